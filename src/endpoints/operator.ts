/**
 * Operator.*: the servers of a datacenter as an operator looks at and changes them.
 *
 * Names and shapes are Consul's, whose servers keep their store by Raft. Here the store is SQLite or etcd, so some words
 * have another meaning: a voter is a server that the store counts on, the last index is the revision that a server has
 * applied, the leader is who holds the lease, and there is one term, 1 (docs/operating.md).
 */

import { parseDuration, sleep } from '#base'
import {
  AutopilotConfig,
  AutopilotHealthReply,
  AutopilotServerHealth,
  AutopilotServerState,
  AutopilotSetConfigRequest,
  AutopilotState,
  bool,
  DCSpecificRequest,
  Empty,
  encode,
  LeadershipTransferRequest,
  RaftConfigurationResponse,
  RaftRemovePeerRequest,
  RaftServer,
  StandDownRequest,
} from '#codec'
import type { State } from '#state'
import { endpointError } from './errors.ts'
import { type CallContext, callOperation, writeOperation } from './operation.ts'
import type { DatacenterServer, Ports, ServersPort } from './ports.ts'
import type { Rights } from './rights.ts'

/** How long a server that gave the lead up, or was asked to, leaves it to others. */
export const STAND_DOWN_MS = 5_000
/** How long the server that is to lead has to take it. */
const TAKE_LIMIT_MS = 4_000
const TAKE_LOOK_MS = 50
const SERF_STATUS = { none: 0, alive: 1, leaving: 2, left: 3, failed: 4 } as const

const needsRead = (rights: Rights) => rights.need(rights.allows.operatorRead(), 'operator:read')
const needsWrite = (rights: Rights) => rights.need(rights.allows.operatorWrite(), 'operator:write')

/** @throws NO_CLUSTER_LEADER */
function serversOf({ ports }: { readonly ports: Pick<Ports, 'servers'> }): ServersPort {
  if (!ports.servers) throw endpointError('NO_CLUSTER_LEADER', {})
  return ports.servers
}

/** A server with what it says of itself. */
export interface ServerHealth {
  readonly server: DatacenterServer
  readonly healthy: boolean
  readonly lastContactNs: number
  readonly lastTerm: number
  readonly lastIndex: number
}

export interface DatacenterHealth {
  readonly servers: readonly ServerHealth[]
  readonly healthy: boolean
  /** How many more may die while a majority of the voters stays healthy. */
  readonly failureTolerance: number
}

/** Asks every server how it is. Healthy is who is alive in gossip and answers. */
export async function healthOf(port: ServersPort): Promise<DatacenterHealth> {
  const servers = await Promise.all(
    (await port.list()).map(async (server) => {
      const stats = server.status === 'alive' ? await port.stats(server) : undefined
      return {
        server,
        healthy: stats !== undefined,
        lastContactNs: parseDuration(stats?.LastContact ?? '') ?? 0,
        lastTerm: stats?.LastTerm ?? 0,
        lastIndex: stats?.LastIndex ?? 0,
      }
    }),
  )
  const voters = servers.filter(({ server }) => server.voter)
  const majority = Math.floor(voters.length / 2) + 1
  return {
    servers,
    healthy: servers.length > 0 && servers.every(({ healthy }) => healthy),
    failureTolerance: Math.max(0, voters.filter(({ healthy }) => healthy).length - majority),
  }
}

export const raftGetConfiguration = callOperation({
  name: 'Operator.RaftGetConfiguration',
  args: DCSpecificRequest,
  reply: RaftConfigurationResponse,
  scope: 'datacenter',
  authorize: (_, rights) => needsRead(rights),
  async run(context) {
    const { servers } = await healthOf(serversOf(context))
    return RaftConfigurationResponse.of({
      Index: context.state.index,
      Servers: servers.map(({ server, lastIndex }) =>
        RaftServer.of({
          ID: server.id,
          Node: server.name,
          Address: server.address,
          Leader: server.leader,
          ProtocolVersion: '3',
          Voter: server.voter,
          LastIndex: lastIndex,
        }),
      ),
    })
  },
})

async function removePeer(
  context: CallContext,
  kind: 'id' | 'address',
  value: string,
  of: (server: DatacenterServer) => string,
): Promise<Empty> {
  const port = serversOf(context)
  const server = (await port.list()).find((each) => of(each) === value)
  if (!server) throw endpointError('PEER_NOT_FOUND', { kind, value })
  if (server.status === 'alive') throw endpointError('PEER_ALIVE', { node: server.name })
  await port.remove(server)
  context.log.info('removed a server', { node: server.name, id: server.id, address: server.address })
  return Empty.of()
}

export const raftRemovePeerByAddress = writeOperation({
  name: 'Operator.RaftRemovePeerByAddress',
  args: RaftRemovePeerRequest,
  reply: Empty,
  scope: 'datacenter',
  authorize: (_, rights) => needsWrite(rights),
  run: (context, { Address }) => removePeer(context, 'address', Address, (server) => server.address),
})

export const raftRemovePeerById = writeOperation({
  name: 'Operator.RaftRemovePeerByID',
  args: RaftRemovePeerRequest,
  reply: Empty,
  scope: 'datacenter',
  authorize: (_, rights) => needsWrite(rights),
  run: (context, { ID }) => removePeer(context, 'id', ID, (server) => server.id),
})

/** Hands the lead over; the named server gets it because all others stand down for a while. */
export const transferLeader = writeOperation({
  name: 'Operator.TransferLeader',
  args: LeadershipTransferRequest,
  reply: Empty,
  scope: 'datacenter',
  onLeader: true,
  authorize: (_, rights) => needsWrite(rights),
  async run(context, { ID, Token }) {
    const port = serversOf(context)
    const others = (await port.list()).filter((server) => !server.leader && server.status === 'alive')
    const target = others.find((server) => server.id === ID)
    if (others.length === 0 || (ID !== '' && !target)) throw endpointError('NO_SUCH_PEER', {})
    const rest = target ? others.filter((server) => server !== target) : []
    const holdOff = async (HoldOffMs: number) => {
      const body = encode(StandDownRequest, StandDownRequest.of({ HoldOffMs, Token }))
      // One that does not answer may take the lead; then it is said.
      const told = rest.map((server) => port.call(server, standDown.name, body).catch(() => undefined))
      await Promise.all(told)
      await port.standDown(HoldOffMs)
    }
    await holdOff(STAND_DOWN_MS)
    const taken = await isTaken(context, port, target)
    await holdOff(0)
    if (!taken) {
      throw endpointError('LEAD_NOT_TAKEN', { node: target?.name ?? others.map(({ name }) => name).join(', ') })
    }
    return Empty.of()
  },
})

/** Waits until the server that is to lead does. */
async function isTaken({ clock }: CallContext, port: ServersPort, target?: DatacenterServer): Promise<boolean> {
  for (const deadline = clock.nowMs() + TAKE_LIMIT_MS; clock.nowMs() < deadline; ) {
    const leader = (await port.list()).find((server) => server.leader)
    if (leader && (!target || leader.id === target.id)) return true
    await sleep(clock, TAKE_LOOK_MS)
  }
  return false
}

/** One server asks another not to take the lead for a while. Ours alone. */
export const standDown = writeOperation({
  name: 'Hanse.StandDown',
  args: StandDownRequest,
  reply: Empty,
  scope: 'here',
  authorize: (_, rights) => needsWrite(rights),
  async run(context, { HoldOffMs }) {
    await serversOf(context).standDown(Math.min(HoldOffMs, STAND_DOWN_MS))
    return Empty.of()
  },
})

/** As set, else as configured. */
export function autopilotConfigOf({
  state,
  ports,
}: {
  readonly state: State
  readonly ports: Pick<Ports, 'servers'>
}): AutopilotConfig {
  return state.read((tx) => tx.autopilotConfig()).value ?? serversOf({ ports }).autopilotDefaults
}

export const autopilotGetConfiguration = callOperation({
  name: 'Operator.AutopilotGetConfiguration',
  args: DCSpecificRequest,
  reply: AutopilotConfig,
  scope: 'datacenter',
  authorize: (_, rights) => needsRead(rights),
  run: async (context) => autopilotConfigOf(context),
})

/** @returns false where it was to replace another version than the one that is there */
export const autopilotSetConfiguration = writeOperation({
  name: 'Operator.AutopilotSetConfiguration',
  args: AutopilotSetConfigRequest,
  reply: bool,
  scope: 'datacenter',
  authorize: (_, rights) => needsWrite(rights),
  async run({ state }, { CAS, Config }) {
    const { value } = await state.write((tx) => {
      if (CAS && (tx.autopilotConfig()?.ModifyIndex ?? 0) !== Config.ModifyIndex) return false
      tx.putAutopilotConfig(AutopilotConfig.of({ ...Config, CreateIndex: 0, ModifyIndex: 0 }))
      return true
    })
    return value
  },
})

const stamp = (wallMs: number): string => new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z')

export const serverHealth = callOperation({
  name: 'Operator.ServerHealth',
  args: DCSpecificRequest,
  reply: AutopilotHealthReply,
  scope: 'datacenter',
  authorize: (_, rights) => needsRead(rights),
  async run(context) {
    const { servers, healthy, failureTolerance } = await healthOf(serversOf(context))
    return AutopilotHealthReply.of({
      Healthy: healthy,
      FailureTolerance: failureTolerance,
      Servers: servers.map(({ server, ...stats }) =>
        AutopilotServerHealth.of({
          ID: server.id,
          Name: server.name,
          Address: server.address,
          SerfStatus: SERF_STATUS[server.status],
          Version: server.version,
          Leader: server.leader,
          LastContact: stats.lastContactNs,
          LastTerm: stats.lastTerm,
          LastIndex: stats.lastIndex,
          Healthy: stats.healthy,
          Voter: server.voter,
          StableSince: stamp(server.sinceWallMs),
        }),
      ),
    })
  },
})

export const autopilotState = callOperation({
  name: 'Operator.AutopilotState',
  args: DCSpecificRequest,
  reply: AutopilotState,
  scope: 'datacenter',
  authorize: (_, rights) => needsRead(rights),
  async run(context) {
    const { servers, healthy, failureTolerance } = await healthOf(serversOf(context))
    const states = servers.map(({ server, ...stats }): [string, AutopilotServerState] => [
      server.id,
      AutopilotServerState.of({
        Server: {
          ID: server.id,
          Name: server.name,
          Address: server.address,
          NodeStatus: server.status,
          Version: server.version,
          Meta: server.meta,
          RaftVersion: 3,
          IsLeader: server.leader,
          NodeType: 'voter',
          Ext: null,
        },
        State: server.leader ? 'leader' : server.voter ? 'voter' : 'non-voter',
        Stats: { LastContact: stats.lastContactNs, LastTerm: stats.lastTerm, LastIndex: stats.lastIndex },
        Health: { Healthy: stats.healthy, StableSince: stamp(server.sinceWallMs) },
      }),
    ])
    return AutopilotState.of({
      Healthy: healthy,
      FailureTolerance: failureTolerance,
      Servers: Object.fromEntries(states),
      Leader: servers.find(({ server }) => server.leader)?.server.id ?? '',
      Voters: servers.flatMap(({ server }) => (server.voter ? [server.id] : [])).sort(),
    })
  },
})
