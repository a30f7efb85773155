/**
 * The servers of our own datacenter as operators see and change them (ServersPort): who they are by the LAN pool, who
 * leads by the lease, who decides by the store's members, how each is by asking it.
 */
import { type Clock, codeOf, formatDuration, formatHostPort, type Logger, messageOf, sleep } from '#base'
import { AutopilotConfig, decode, EmptyReadRequest, encode, RaftStats } from '#codec'
import { type DatacenterServer, endpointError, type Freshness, type ServersPort, status } from '#endpoints'
import { asServer, type LocalServers } from '#federation'
import type { GossipPool, Member } from '#gossip'
import type { State } from '#state'
import type { StoreMember, StoreMembers } from '#store'
import type { AutopilotSettings } from './config-runtime.ts'
import type { Leadership } from './leadership.ts'

/** A server that does not say in this time how it is counts as silent. */
const STATS_TIMEOUT_MS = 1_000
const CALL_TIMEOUT_MS = 5_000
/** How long a call waits for a leader to be elected. */
const HOLD_MS = 7_000
const HOLD_LOOK_MS = 100
const NS_PER_MS = 1e6
/** How a dial fails where certificates do not fit. */
const FOREIGN = ['DIAL_UNKNOWN_CA', 'DIAL_REJECTED', 'DIAL_NAME_MISMATCH', 'DIAL_EXPIRED']

export interface DatacenterServersModules {
  readonly lan: GossipPool
  readonly wan: GossipPool | undefined
  readonly leadership: Leadership
  readonly members: StoreMembers
  readonly calls: LocalServers
  readonly state: State
  readonly freshness: Freshness
  readonly clock: Clock
  readonly log: Logger
}

export class DatacenterServers implements ServersPort {
  /** In force until an operator says otherwise. */
  readonly autopilotDefaults: AutopilotConfig
  readonly #nodeId: string
  readonly #modules: DatacenterServersModules
  /** Node ID → its status, and when it was first seen with it. */
  readonly #seen = new Map<string, { status: string; sinceWallMs: number }>()
  readonly #cancel: () => void

  constructor(nodeId: string, autopilot: AutopilotSettings, modules: DatacenterServersModules) {
    this.#nodeId = nodeId
    this.autopilotDefaults = AutopilotConfig.of({
      CleanupDeadServers: autopilot.cleanupDeadServers,
      LastContactThreshold: autopilot.lastContactThresholdMs * NS_PER_MS,
      MaxTrailingLogs: autopilot.maxTrailingLogs,
      MinQuorum: autopilot.minQuorum,
      ServerStabilizationTime: autopilot.serverStabilizationTimeMs * NS_PER_MS,
    })
    this.#modules = modules
    this.#cancel = modules.lan.on((event) => {
      if (event.type.startsWith('member-')) this.#note()
      if (event.type === 'member-join') void this.#meet(event.members)
    })
    this.#note()
  }

  stop(): void {
    this.#cancel()
  }

  get leading(): boolean {
    return this.#modules.leadership.leading
  }

  async list(): Promise<readonly DatacenterServer[]> {
    const { leadership } = this.#modules
    const [stored, leader] = await Promise.all([this.#members(), leadership.look()])
    return this.now(leader?.nodeId).map((server) => ({
      ...server,
      voter: stored === undefined || stored.some(({ name, voter }) => voter && name === server.name),
    }))
  }

  /** Those that the store counts on; as if all, while it cannot be asked. */
  async #members(): Promise<readonly StoreMember[] | undefined> {
    const { members, log } = this.#modules
    try {
      return await members.list()
    } catch (error) {
      log.debug('the members of the store could not be listed', { error: messageOf(error) })
      return undefined
    }
  }

  /** As the LAN pool has them, without asking anyone. @param leaderId - as last known unless given */
  now(leaderId = this.#modules.leadership.leader?.nodeId): readonly DatacenterServer[] {
    const { lan } = this.#modules
    return lan.members().flatMap((member) => {
      const server = member.status === 'left' || member.status === 'none' ? undefined : asServer(member)
      if (!server) return []
      return {
        id: server.nodeId,
        name: server.node,
        address: formatHostPort(server.address, server.rpcPort),
        status: server.status,
        version: server.build,
        leader: server.nodeId === leaderId,
        voter: true,
        meta: { 'consul-network-segment': '', 'consul-version': server.build },
        sinceWallMs: this.#seen.get(server.nodeId)?.sinceWallMs ?? this.#modules.clock.wallMs(),
      }
    })
  }

  ownStats(): RaftStats {
    const { freshness, state } = this.#modules
    const LastContact = formatDuration(Math.round(freshness.lastContactMs()) * NS_PER_MS)
    return RaftStats.of({ LastContact, LastTerm: 1, LastIndex: state.index })
  }

  async stats(server: DatacenterServer): Promise<RaftStats | undefined> {
    if (server.id === this.#nodeId) return this.ownStats()
    const { calls, log } = this.#modules
    try {
      const body = encode(EmptyReadRequest, EmptyReadRequest.of())
      const { address, name: node } = server
      return decode(
        RaftStats,
        await calls.call({ address, node, method: status.raftStats.name, body, timeoutMs: STATS_TIMEOUT_MS }),
      )
    } catch (error) {
      log.debug('a server does not say how it is', { node: server.name, error: messageOf(error) })
      return undefined
    }
  }

  call({ address, name: node }: DatacenterServer, method: string, body: Buffer): Promise<Buffer> {
    return this.#modules.calls.call({ address, node, method, body, timeoutMs: CALL_TIMEOUT_MS })
  }

  async askLeader(method: string, body: Buffer, options: { timeoutMs: number; signal?: AbortSignal }): Promise<Buffer> {
    const { clock, leadership, calls } = this.#modules
    const startedMs = clock.nowMs()
    for (;;) {
      const leader = await leadership.look()
      if (leader && leader.nodeId !== this.#nodeId) {
        return calls.call({ address: leader.address, node: leader.name, method, body, ...options })
      }
      if (clock.nowMs() - startedMs >= HOLD_MS) throw endpointError('NO_CLUSTER_LEADER', {})
      await sleep(clock, HOLD_LOOK_MS, options.signal)
    }
  }

  /** The store first: a server that only the pools forgot would still count there. */
  async remove(server: DatacenterServer): Promise<void> {
    const { members, lan, wan } = this.#modules
    await members.remove(server.name)
    await lan.forceLeave(server.name)
    const dc = lan.members().find(({ name }) => name === server.name)?.tags.dc
    await wan?.forceLeave(`${server.name}.${dc}`).catch(() => undefined)
  }

  standDown(holdOffMs: number): Promise<void> {
    return this.#modules.leadership.standDown(holdOffMs)
  }

  /** Says by name which server cannot be talked with although gossip has it: it has a certificate of another CA. */
  async #meet(members: readonly Member[]): Promise<void> {
    const { log } = this.#modules
    for (const member of members) {
      const server = this.now().find(({ id, name }) => name === member.name && id !== this.#nodeId)
      if (!server) continue
      try {
        await this.call(server, status.ping.name, encode(EmptyReadRequest, EmptyReadRequest.of()))
      } catch (error) {
        const code = codeOf(error) ?? ''
        if (!FOREIGN.includes(code)) continue
        log.error('a server of this datacenter is refused: its certificate is not of our CA, or not that of a server', {
          node: server.name,
          address: server.address,
          code,
          error: messageOf(error),
          remedy: 'give all servers of a datacenter certificates of one CA (tls.internal_rpc)',
        })
      }
    }
  }

  #note(): void {
    const now = this.#modules.clock.wallMs()
    const ids = new Set<string>()
    for (const member of this.#modules.lan.members()) {
      const id = asServer(member)?.nodeId
      if (id === undefined) continue
      ids.add(id)
      if (this.#seen.get(id)?.status !== member.status) this.#seen.set(id, { status: member.status, sinceWallMs: now })
    }
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id)
  }
}
