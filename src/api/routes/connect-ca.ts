/**
 * /v1/connect/ca and /v1/agent/connect/ca: roots, the authority's configuration, leaf certificates of this agent.
 */
import {
  CAConfiguration,
  CARequest,
  CARoot,
  CheckServiceNode,
  DCSpecificRequest,
  IndexedCARoots,
  IssuedCert,
  ServiceDumpRequest,
} from '#codec'
import { connectCa, internal } from '#endpoints'
import type { AgentPort } from '../agent-port.ts'
import { bareAnswer, EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { readOptions } from '../http/read-options.ts'
import { asJson } from '../http/read-plan.ts'
import { decodeBody, isSet, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { guarded, type Need, needServiceWrite } from './agent-rights.ts'
import { type RoutePorts, readRoute } from './read-route.ts'

export function connectCaRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  const configuration = { GET: configurationHandler(ports), PUT: configureHandler(ports) }
  return [
    { pattern: '/v1/connect/ca/roots', methods: { GET: rootsHandler(ports) } },
    { pattern: '/v1/agent/connect/ca/roots', methods: { GET: rootsHandler(ports) } },
    { pattern: '/v1/agent/connect/ca/leaf/', methods: { GET: guarded(ports, leafNeed, leafHandler(ports, agent)) } },
    { pattern: '/v1/connect/ca/configuration', methods: configuration },
    {
      pattern: '/v1/internal/proxy-snapshot/',
      methods: { GET: guarded(ports, snapshotNeed(agent), snapshotHandler(ports, agent)) },
    },
    { pattern: '/v1/internal/service-dump', methods: { GET: dumpHandler(ports) } },
  ]
}

/** Instances of one kind (`?kind=connect-proxy`), as a mesh gateway needs them for its routes. */
function dumpHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: internal.serviceDump,
    format: ({ query }) => `service dump ${query.get('kind') ?? ''}`,
    args: ({ query }, target) =>
      ServiceDumpRequest.of({ ...target, ServiceKind: query.get('kind') ?? '', UseServiceKind: true, NodesOnly: true }),
    present: (reply) => asJson(() => (reply.Nodes ?? []).map(CheckServiceNode.toJson)),
  })
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
    const configuration = await ports.endpoints.call(connectCa.configurationGet, args, request)
    return jsonAnswer(CAConfiguration.toJson(configuration), request.pretty)
  })
}

function configureHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const names = { type: 'structs.CAConfiguration', path: 'CAConfiguration' }
    const Config = decodeBody(CAConfiguration, await request.body(MAX_JSON_BODY_BYTES), names)
    const args = CARequest.of({ Datacenter: request.datacenter, Config })
    await ports.endpoints.call(connectCa.configurationSet, args, request)
    return EMPTY_ANSWER
  })
}

const leafNeed: Need = (rights, { rest }) => needServiceWrite(rights, rest)

/** A snapshot holds the key of the service that the sidecar stands for, so it needs what its certificate needs. */
function snapshotNeed(agent: AgentPort): Need {
  return (rights, { rest }) => {
    const proxy = agent.service(rest)
    if (proxy !== undefined) needServiceWrite(rights, proxy.Proxy.DestinationServiceName)
  }
}

/** What a sidecar of this agent is to do; blocks on the hash of what it has. */
function snapshotHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const { MaxQueryTime } = readOptions(request.query)
    const { snapshot, hash } = await agent.proxySnapshot(request.rest, {
      hash: request.query.get('hash') ?? '',
      token: request.token,
      waitMs: ports.endpoints.cappedWaitMs(MaxQueryTime),
      signal: request.signal,
    })
    return jsonAnswer(snapshot, request.pretty, ['X-Consul-Contenthash', hash])
  })
}

/** Waits for a renewed certificate as other reads wait for a change. */
function leafHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const { MinQueryIndex, MaxQueryTime } = readOptions(request.query)
    const waitMs = ports.endpoints.cappedWaitMs(MaxQueryTime)
    const { certificate, index } = await agent.leaf(request.rest, {
      minIndex: MinQueryIndex,
      waitMs,
      signal: request.signal,
    })
    if (request.signal.aborted) return bareAnswer(200)
    return jsonAnswer(IssuedCert.toJson(certificate), request.pretty, ['X-Consul-Index', String(index)])
  })
}
