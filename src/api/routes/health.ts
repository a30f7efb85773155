/**
 * /v1/health: instances with their checks, and checks by node, service and state.
 */
import {
  CheckServiceNode,
  ChecksInStateRequest,
  HealthCheck,
  NodeSpecificRequest,
  ServiceSpecificRequest,
} from '#codec'
import { health } from '#endpoints'
import { apiError } from '../errors.ts'
import { nodeMetaOf, sourceOf } from '../http/read-options.ts'
import { asJson } from '../http/read-plan.ts'
import { parseBool } from '../http/request.ts'
import type { Handler, PlanRequest, Route } from '../http/route.ts'
import { serviceArgs, withTags } from './catalog.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const HEALTH = { showsConsistency: true }

export function healthRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/health/node/', methods: { GET: nodeHandler(ports) } },
    { pattern: '/v1/health/checks/', methods: { GET: checksHandler(ports) } },
    { pattern: '/v1/health/state/', methods: { GET: stateHandler(ports) } },
    { pattern: '/v1/health/service/', methods: { GET: instancesHandler(ports, {}) } },
    { pattern: '/v1/health/connect/', methods: { GET: instancesHandler(ports, { Connect: true }) } },
    { pattern: '/v1/health/ingress/', methods: { GET: instancesHandler(ports, { Ingress: true }) } },
  ]
}

function checkList(checks: readonly ReturnType<typeof HealthCheck.of>[] | null) {
  return asJson(() => (checks ?? []).map(HealthCheck.toJson))
}

function nodeHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...HEALTH,
    operation: health.nodeChecks,
    format: 'health node',
    args: (request, target) =>
      NodeSpecificRequest.of({
        ...target,
        Node: nameOf(request, 'Missing node name'),
        PeerName: request.query.get('peer') ?? '',
      }),
    present: (reply) => checkList(reply.HealthChecks),
  })
}

function checksHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...HEALTH,
    operation: health.serviceChecks,
    format: 'health checks',
    args: (request, target) =>
      ServiceSpecificRequest.of({
        ...target,
        ServiceName: nameOf(request, 'Missing service name'),
        NodeMetaFilters: nodeMetaOf(request.query),
        PeerName: request.query.get('peer') ?? '',
        Source: sourceOf(request.query, target.Datacenter, ports.agentNode),
      }),
    present: (reply) => checkList(reply.HealthChecks),
  })
}

function stateHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...HEALTH,
    operation: health.checksInState,
    format: 'health state',
    args: (request, target) =>
      ChecksInStateRequest.of({
        ...target,
        State: nameOf(request, 'Missing check state'),
        NodeMetaFilters: nodeMetaOf(request.query),
        PeerName: request.query.get('peer') ?? '',
        Source: sourceOf(request.query, target.Datacenter, ports.agentNode),
      }),
    present: (reply) => checkList(reply.HealthChecks),
  })
}

/** `?passing` without a value means yes. @throws HanseError BAD_PARAMETER */
function onlyPassing(request: PlanRequest): boolean {
  const text = request.query.get('passing')
  if (text === null) return false
  const value = text === '' ? true : parseBool(text)
  if (value === undefined) throw apiError('BAD_PARAMETER', { text: 'Invalid value for ?passing' })
  return value
}

/** Lists that are nil stand as [] here, though not where federation states show the same records. */
function shown(instance: CheckServiceNode): CheckServiceNode {
  return { ...instance, Service: instance.Service && withTags(instance.Service), Checks: instance.Checks ?? [] }
}

/** `passing` is applied here and not asked of the operation: servers of other datacenters may not know how. */
function instancesHandler(ports: RoutePorts, kind: { Connect?: boolean; Ingress?: boolean }): Handler {
  return readRoute(ports, {
    ...HEALTH,
    operation: health.serviceNodes,
    format: (request) => (onlyPassing(request) ? 'health passing' : 'health service'),
    args: (request, target) => {
      if (request.query.get('sg')) throw apiError('SAMENESS_UNSUPPORTED', {})
      return { ...serviceArgs(ports, request, target), ...kind }
    },
    present: (reply, request) => {
      const passing = onlyPassing(request)
      return asJson(() => {
        const nodes = reply.Nodes ?? []
        const wanted = passing
          ? nodes.filter((node) => node.Checks?.every((check) => check.Status === 'passing') ?? true)
          : nodes
        return wanted.map((node) => CheckServiceNode.toJson(shown(node)))
      })
    },
  })
}
