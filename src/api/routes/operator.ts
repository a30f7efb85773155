/**
 * /v1/operator/raft and /v1/operator/autopilot: the servers of a datacenter, and what is done about dead ones.
 */
import { formatDuration } from '#base'
import {
  AutopilotConfig,
  type AutopilotServerHealth,
  AutopilotSetConfigRequest,
  type AutopilotState,
  DCSpecificRequest,
  LeadershipTransferRequest,
  RaftConfigurationResponse,
  RaftRemovePeerRequest,
} from '#codec'
import { operator } from '#endpoints'
import { apiError } from '../errors.ts'
import { EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { type ApiRequest, decodeBody, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import type { RoutePorts } from './read-route.ts'

const SERF_STATUS = ['none', 'alive', 'leaving', 'left', 'failed']
/** Not all servers are healthy: load balancers and scripts look at the status alone. */
const UNHEALTHY = 429
const names = { type: 'api.AutopilotConfiguration', path: 'AutopilotConfiguration' }

export function operatorRoutes(ports: RoutePorts): Route[] {
  const transfer = transferHandler(ports)
  return [
    { pattern: '/v1/operator/raft/configuration', methods: { GET: raftHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/operator/raft/peer', methods: { DELETE: removeHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/operator/raft/transfer-leader', methods: { POST: transfer, PUT: transfer }, refuses: 'nothing' },
    {
      pattern: '/v1/operator/autopilot/configuration',
      methods: { GET: configurationHandler(ports), PUT: configureHandler(ports) },
      refuses: 'nothing',
    },
    { pattern: '/v1/operator/autopilot/health', methods: { GET: healthHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/operator/autopilot/state', methods: { GET: stateHandler(ports) }, refuses: 'nothing' },
  ]
}

const asked = (request: ApiRequest) => DCSpecificRequest.of({ Datacenter: request.datacenter })

function raftHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const reply = await endpoints.call(operator.raftGetConfiguration, asked(request), request)
    return jsonAnswer(RaftConfigurationResponse.toJson(reply), request.pretty)
  })
}

function removeHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const ID = request.query.get('id') ?? ''
    const Address = request.query.get('address') ?? ''
    if (ID === '' && Address === '') {
      throw apiError('BAD_PARAMETER', {
        text: "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
      })
    }
    if (ID !== '' && Address !== '') {
      throw apiError('BAD_PARAMETER', { text: 'Must specify only one of ?id or ?address' })
    }
    const args = RaftRemovePeerRequest.of({ Datacenter: request.datacenter, ID, Address })
    await endpoints.call(ID === '' ? operator.raftRemovePeerByAddress : operator.raftRemovePeerById, args, request)
    return EMPTY_ANSWER
  })
}

function transferHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const ID = request.query.get('id') ?? ''
    const args = LeadershipTransferRequest.of({ Datacenter: request.datacenter, ID })
    await endpoints.call(operator.transferLeader, args, request)
    return jsonAnswer({ Success: true }, request.pretty)
  })
}

function configurationHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const reply = await endpoints.call(operator.autopilotGetConfiguration, asked(request), request)
    return jsonAnswer(AutopilotConfig.toJson(reply), request.pretty)
  })
}

function configureHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const cas = request.query.get('cas')
    if (cas !== null && !/^\d{1,16}$/.test(cas)) {
      const problem = `strconv.ParseUint: parsing ${JSON.stringify(cas)}: invalid syntax`
      throw apiError('BAD_PARAMETER', { text: `Error parsing cas value: ${problem}` })
    }
    const Config = decodeBody(AutopilotConfig, await request.body(MAX_JSON_BODY_BYTES), names)
    const args = AutopilotSetConfigRequest.of({
      Datacenter: request.datacenter,
      CAS: cas !== null,
      Config: { ...Config, ModifyIndex: Number(cas ?? 0) },
    })
    const done = await endpoints.call(operator.autopilotSetConfiguration, args, request)
    return cas === null ? EMPTY_ANSWER : jsonAnswer(done, request.pretty)
  })
}

function healthHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const { Healthy, FailureTolerance, Servers } = await endpoints.call(operator.serverHealth, asked(request), request)
    const shown = (server: AutopilotServerHealth) => ({
      ...server,
      SerfStatus: SERF_STATUS[server.SerfStatus] ?? 'none',
      LastContact: formatDuration(server.LastContact),
    })
    const answer = jsonAnswer({ Healthy, FailureTolerance, Servers: (Servers ?? []).map(shown) }, request.pretty)
    return Healthy ? answer : { ...answer, status: UNHEALTHY }
  })
}

function stateHandler({ endpoints }: RoutePorts): Handler {
  return call(async (request) => {
    const reply = await endpoints.call(operator.autopilotState, asked(request), request)
    return jsonAnswer(stateJson(reply), request.pretty)
  })
}

/** Flatter than between servers, as Consul's API shows it. */
function stateJson({ Healthy, FailureTolerance, Leader, Voters, Servers }: AutopilotState): unknown {
  const shown = Object.values(Servers ?? {}).flatMap((state) => {
    if (!state) return []
    const { Server, Stats, Health, State } = state
    return {
      ID: Server.ID,
      Name: Server.Name,
      Address: Server.Address,
      NodeStatus: Server.NodeStatus,
      Version: Server.Version,
      LastContact: formatDuration(Stats.LastContact),
      LastTerm: Stats.LastTerm,
      LastIndex: Stats.LastIndex,
      Healthy: Health.Healthy,
      StableSince: Health.StableSince,
      ReadReplica: false,
      Status: State,
      Meta: Server.Meta ?? {},
      NodeType: Server.NodeType,
    }
  })
  return {
    Healthy,
    FailureTolerance,
    OptimisticFailureTolerance: FailureTolerance,
    Servers: Object.fromEntries(shown.map((server) => [server.ID, server])),
    Leader,
    Voters: Voters ?? [],
  }
}
