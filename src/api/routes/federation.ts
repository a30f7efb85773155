/**
 * /v1/status, and what exists because there is more than one datacenter: federation states and the status of it all.
 */
import { CheckServiceNode, DCSpecificRequest, FederationState, FederationStateQuery, list, map, pointer } from '#codec'
import { federationState, status } from '#endpoints'
import type { AgentPort } from '../agent-port.ts'
import { jsonAnswer } from '../http/answer.ts'
import { asJson, type Presented } from '../http/read-plan.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { agentNeeds, guarded } from './agent-rights.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const UNKNOWN_DATACENTER: Presented = { kind: 'bare', status: 404, meta: false }
const gateways = map(list(CheckServiceNode))
const state = pointer(FederationState)

export function federationRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  const methods = { GET: stateHandler(ports) }
  return [
    { pattern: '/v1/status/leader', methods: { GET: leaderHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/status/peers', methods: { GET: peersHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/internal/federation-states', methods: { GET: statesHandler(ports) }, refuses: 'nothing' },
    {
      pattern: '/v1/internal/federation-states/mesh-gateways',
      methods: { GET: gatewaysHandler(ports) },
      refuses: 'nothing',
    },
    { pattern: '/v1/internal/federation-state/', methods, refuses: 'nothing' },
    {
      pattern: '/v1/internal/federation-status',
      methods: {
        GET: guarded(
          ports,
          // What a mesh gateway may read with the rights that Consul's charts give it.
          agentNeeds(agent).agentRead,
          call(async (request) => jsonAnswer(await agent.federationStatus(), request.pretty)),
        ),
      },
      refuses: 'nothing',
    },
  ]
}

function leaderHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = DCSpecificRequest.of({ Datacenter: request.datacenter })
    const leader = await ports.endpoints.call(status.leader, args, request)
    return jsonAnswer(leader, request.pretty)
  })
}

function peersHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = DCSpecificRequest.of({ Datacenter: request.datacenter })
    const peers = await ports.endpoints.call(status.peers, args, request)
    return jsonAnswer(peers ?? [], request.pretty)
  })
}

function statesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    metaOnError: true,
    operation: federationState.list,
    format: 'federation-states',
    args: (_, target) => DCSpecificRequest.of(target),
    present: (reply) => asJson(() => (reply.States ?? []).map(FederationState.toJson)),
  })
}

function gatewaysHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    metaOnError: true,
    operation: federationState.listMeshGateways,
    format: 'federation-states mesh-gateways',
    args: (_, target) => DCSpecificRequest.of(target),
    present: (reply) => asJson(() => gateways.toJson(reply.DatacenterNodes ?? {})),
  })
}

/** One state, with the facts about the answer beside it, as recorded. */
function stateHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    metaOnError: true,
    operation: federationState.get,
    format: 'federation-state',
    // On the wire `Datacenter` says whose state, `TargetDatacenter` who is asked.
    args: (request, target) =>
      FederationStateQuery.of({
        ...target,
        Datacenter: nameOf(request, 'Missing datacenter name'),
        TargetDatacenter: target.Datacenter,
      }),
    present: (reply) => {
      if (reply.State === null) return UNKNOWN_DATACENTER
      return asJson(() => ({
        State: state.toJson(reply.State),
        Index: reply.Index,
        LastContact: reply.LastContact,
        KnownLeader: reply.KnownLeader,
        ConsistencyLevel: reply.ConsistencyLevel,
        NotModified: reply.NotModified,
        Backend: reply.Backend,
        ResultsFilteredByACLs: reply.ResultsFilteredByACLs,
      }))
    },
  })
}
