/**
 * /v1/discovery-chain: what stands behind a service's name, compiled; POST with overrides for one caller.
 */
import { HanseError, parseDuration } from '#base'
import { CompiledDiscoveryChain, DiscoveryChainRequest, parseGoJson, pointer } from '#codec'
import { discoveryChain } from '#endpoints'
import { apiError } from '../errors.ts'
import { jsonAnswer } from '../http/answer.ts'
import { readOptions } from '../http/read-options.ts'
import { asJson, metaHeaders } from '../http/read-plan.ts'
import { MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const Chain = pointer(CompiledDiscoveryChain)
const NO_NAME = 'Missing chain name'
const GATEWAY_MODES: ReadonlySet<string> = new Set(['', 'none', 'local', 'remote'])

export function discoveryChainRoutes(ports: RoutePorts): Route[] {
  return [
    {
      pattern: '/v1/discovery-chain/',
      methods: { GET: getHandler(ports), POST: postHandler(ports) },
      refuses: 'partition',
    },
  ]
}

function getHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: discoveryChain.get,
    showsConsistency: true,
    metaOnError: true,
    format: 'discovery chain',
    args: (request, target) =>
      DiscoveryChainRequest.of({
        ...target,
        Name: nameOf(request, NO_NAME),
        EvaluateInDatacenter: request.query.get('compile-dc') ?? '',
      }),
    present: (reply) => asJson(() => ({ Chain: Chain.toJson(reply.Chain) })),
  })
}

/** The same with overrides in the body; asked rarely, and not kept. */
function postHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const { query, pretty } = request
    const Name = nameOf(request, NO_NAME)
    const args = DiscoveryChainRequest.of({
      ...readOptions(query),
      Datacenter: request.datacenter,
      Name,
      EvaluateInDatacenter: query.get('compile-dc') ?? '',
      ...overridesIn((await request.body(MAX_JSON_BODY_BYTES)).toString()),
    })
    const reply = await ports.endpoints.call(discoveryChain.get, args, request)
    return jsonAnswer({ Chain: Chain.toJson(reply.Chain) }, pretty, metaHeaders(reply, args))
  })
}

type Overrides = Pick<DiscoveryChainRequest, 'OverrideConnectTimeout' | 'OverrideProtocol' | 'OverrideMeshGateway'>

/** @throws HanseError BAD_OVERRIDES, OVERRIDE_GATEWAY_MODE */
function overridesIn(text: string): Overrides {
  const body = fieldsOf(text.trim() === '' ? {} : parsed(text))
  const Mode = String(fieldsOf(body.get('overridemeshgateway')).get('mode') ?? '')
  if (!GATEWAY_MODES.has(Mode)) throw apiError('OVERRIDE_GATEWAY_MODE', {})
  return {
    OverrideMeshGateway: { Mode },
    OverrideProtocol: String(body.get('overrideprotocol') ?? ''),
    OverrideConnectTimeout: timeoutOf(body.get('overrideconnecttimeout')),
  }
}

function parsed(text: string): unknown {
  try {
    return parseGoJson(text)
  } catch (thrown) {
    if (thrown instanceof HanseError) throw apiError('BAD_OVERRIDES', { problem: thrown.message }, thrown)
    throw thrown
  }
}

/** Members by their folded names, snake_case too. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null) return new Map()
  return new Map(Object.entries(value).map(([key, member]) => [key.replaceAll('_', '').toLowerCase(), member]))
}

/** Nanoseconds, as a number or as "5s". */
function timeoutOf(value: unknown): number {
  if (value === undefined || value === null) return 0
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  const ns = typeof value === 'string' ? parseDuration(value) : undefined
  if (ns !== undefined && Number.isSafeInteger(ns)) return ns
  const shown = JSON.stringify(typeof value === 'string' ? value : String(value))
  const problem = `1 error(s) decoding:\n\n* error decoding 'OverrideConnectTimeout': time: invalid duration ${shown}`
  throw apiError('BAD_OVERRIDES', { problem })
}
