/**
 * /v1/connect/ca and /v1/agent/connect/ca: roots, the authority's configuration, leaf certificates of this agent.
 */
import { CAConfiguration, CARequest, CARoot, DCSpecificRequest, IndexedCARoots, IssuedCert } from '#codec'
import { connectCa } from '#endpoints'
import type { AgentPort } from '../agent-port.ts'
import { bareAnswer, EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { readOptions } from '../http/read-options.ts'
import { asJson, DEFAULT_WAIT_MS, MAX_WAIT_MS } from '../http/read-plan.ts'
import { decodeBody, isSet, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { type RoutePorts, readRoute } from './read-route.ts'

const NS_PER_MS = 1_000_000

export function connectCaRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  const configuration = { GET: configurationHandler(ports), PUT: configureHandler(ports) }
  return [
    { pattern: '/v1/connect/ca/roots', methods: { GET: rootsHandler(ports) } },
    { pattern: '/v1/agent/connect/ca/roots', methods: { GET: rootsHandler(ports) } },
    { pattern: '/v1/agent/connect/ca/leaf/', methods: { GET: leafHandler(agent) } },
    { pattern: '/v1/connect/ca/configuration', methods: configuration },
  ]
}

/** `?pem`: the certificates alone, one after the other. */
function rootsHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: connectCa.roots,
    format: ({ query }) => (isSet(query, 'pem') ? 'ca roots pem' : 'ca roots'),
    args: (_, target) => DCSpecificRequest.of(target),
    present: (reply) =>
      asJson(() => ({ ...(IndexedCARoots.toJson(reply) as object), Roots: (reply.Roots ?? []).map(CARoot.toJson) })),
  })
}

function configurationHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = DCSpecificRequest.of({ Datacenter: request.datacenter })
    const configuration = await ports.endpoints.call(connectCa.configurationGet, args, { signal: request.signal })
    return jsonAnswer(CAConfiguration.toJson(configuration), request.pretty)
  })
}

function configureHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const names = { type: 'structs.CAConfiguration', path: 'CAConfiguration' }
    const Config = decodeBody(CAConfiguration, await request.body(MAX_JSON_BODY_BYTES), names)
    const args = CARequest.of({ Datacenter: request.datacenter, Config })
    await ports.endpoints.call(connectCa.configurationSet, args, { signal: request.signal })
    return EMPTY_ANSWER
  })
}

/** Waits for a renewed certificate as other reads wait for a change. */
function leafHandler(agent: AgentPort): Handler {
  return call(async (request) => {
    const { MinQueryIndex, MaxQueryTime } = readOptions(request.query)
    const waitMs = Math.min(MaxQueryTime > 0 ? MaxQueryTime / NS_PER_MS : DEFAULT_WAIT_MS, MAX_WAIT_MS)
    const { certificate, index } = await agent.leaf(request.rest, {
      minIndex: MinQueryIndex,
      waitMs,
      signal: request.signal,
    })
    if (request.signal.aborted) return bareAnswer(200)
    return jsonAnswer(IssuedCert.toJson(certificate), request.pretty, ['X-Consul-Index', String(index)])
  })
}
