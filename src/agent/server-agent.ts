/**
 * The agent as the HTTP API knows it (AgentPort): its services and checks, its pools, its own facts, its commands.
 */
import type { AgentMember, AgentPort, AgentSelf, CheckStatus } from '#api'
import { type Clock, codeOf, formatHostPort, type LogListener, type LogSink, type Metrics, parseHostPort } from '#base'
import type { AgentCheckDefinition, AgentServiceDefinition, HealthCheck, NodeService } from '#codec'
import type { GossipPool } from '#gossip'
import { agentError } from './agent-errors.ts'
import { agentMember, agentSelf, agentVersion, hostFacts } from './agent-facts.ts'
import type { RuntimeConfig } from './config-runtime.ts'
import type { Leafs } from './leafs.ts'
import type { LocalAgent } from './local-agent.ts'
import type { ProxySnapshots } from './proxy-snapshots.ts'
import type { ServerCore } from './server-core.ts'
import type { UserEvents } from './user-events.ts'

const STATS_INTERVAL_MS = 2_000
const SERF_PORTS = { lan: 8301, wan: 8302 } as const

export interface ServerAgentModules {
  readonly core: ServerCore
  readonly local: LocalAgent
  readonly events: UserEvents
  /** Absent where connect is disabled. */
  readonly leafs: Leafs | undefined
  readonly proxies: ProxySnapshots | undefined
  readonly logSink: LogSink
  readonly metrics: Metrics
  readonly clock: Clock
  /** What leave and reload mean is the whole agent's business. */
  readonly leave: () => Promise<void>
  readonly reload: () => Promise<void>
}

export class ServerAgent implements AgentPort {
  readonly nodeName: string
  readonly datacenter: string
  readonly remoteScriptChecks = false
  readonly metrics: Metrics
  readonly prometheusRetentionMs: number
  readonly #config: RuntimeConfig
  readonly #nodeId: string
  readonly #meta: Readonly<Record<string, string>>
  readonly #modules: ServerAgentModules
  readonly #statsTimer: { cancel(): void }
  #lanStats: Readonly<Record<string, string>> = {}
  #wanStats: Readonly<Record<string, string>> = {}

  constructor(
    facts: { config: RuntimeConfig; nodeId: string; meta: Readonly<Record<string, string>> },
    modules: ServerAgentModules,
  ) {
    this.#config = facts.config
    this.#nodeId = facts.nodeId
    this.#meta = facts.meta
    this.#modules = modules
    this.nodeName = facts.config.nodeName
    this.datacenter = facts.config.datacenter
    this.metrics = modules.metrics
    this.prometheusRetentionMs = facts.config.telemetry.prometheusRetentionMs
    this.#statsTimer = modules.clock.every(STATS_INTERVAL_MS, () => void this.refreshStats())
  }

  close(): void {
    this.#statsTimer.cancel()
  }

  /** Gossip lives in a thread of its own: its counters are asked for ahead of time. */
  async refreshStats(): Promise<void> {
    const { lan, wan } = this.#modules.core.gossip
    try {
      this.#lanStats = await lan.stats()
      if (wan) this.#wanStats = await wan.stats()
    } catch (error) {
      // The thread is gone while we stop; anything else is worth a line.
      if (codeOf(error) !== 'GOSSIP_STOPPED') this.#modules.logSink.emit('debug', 'agent', 'no gossip counters', {})
    }
  }

  self(): AgentSelf {
    const { core, local } = this.#modules
    return agentSelf({
      config: this.#config,
      nodeId: this.#nodeId,
      lan: core.gossip.lan,
      wan: core.gossip.wan,
      lanStats: this.#lanStats,
      wanStats: this.#wanStats,
      state: core.state,
      leaderAddress: core.leadership.leader?.address ?? '',
      leading: core.leadership.leading,
      lastContactMs: core.engine.staleMs(),
      servers: core.servers.now().length,
      datacenters: core.federation.router.datacenters().length,
      meta: this.#meta,
      services: local.services().length,
      checks: local.checks().length,
    })
  }

  version() {
    return agentVersion
  }

  host(): Readonly<Record<string, unknown>> {
    return hostFacts(this.#modules.clock)
  }

  members({ wan }: { readonly wan: boolean }): readonly AgentMember[] {
    return this.#pool(wan).members().map(agentMember)
  }

  async join(address: string, { wan }: { readonly wan: boolean }): Promise<void> {
    const pool = this.#pool(wan)
    const at = parseHostPort(address, wan ? SERF_PORTS.wan : SERF_PORTS.lan)
    const target = at ? formatHostPort(at.host, at.port) : address
    const { joined, errors } = await pool.join([target])
    if (joined === 0) throw agentError('JOIN_FAILED', { address: target, reasons: errors })
  }

  leave(): Promise<void> {
    return this.#modules.leave()
  }

  async forceLeave(node: string, { prune, wan }: { readonly prune: boolean; readonly wan: boolean }): Promise<void> {
    try {
      await this.#pool(wan).forceLeave(node, { prune })
    } catch (error) {
      throw codeOf(error) === 'GOSSIP_UNKNOWN_NODE' ? agentError('UNKNOWN_MEMBER', { node }, error) : error
    }
  }

  reload(): Promise<void> {
    return this.#modules.reload()
  }

  get events(): UserEvents {
    return this.#modules.events
  }

  services(): readonly NodeService[] {
    return this.#modules.local.services()
  }

  service(id: string): NodeService | undefined {
    return this.#modules.local.service(id)
  }

  onServiceChange(callback: () => void): () => void {
    return this.#modules.local.onServiceChange(callback)
  }

  checks(): readonly HealthCheck[] {
    return this.#modules.local.checks()
  }

  check(id: string): HealthCheck | undefined {
    return this.#modules.local.check(id)
  }

  registerService(
    definition: AgentServiceDefinition,
    options: { readonly replaceExistingChecks: boolean },
  ): Promise<void> {
    return this.#modules.local.registerService(definition, options)
  }

  deregisterService(id: string): Promise<void> {
    return this.#modules.local.deregisterService(id)
  }

  registerCheck(definition: AgentCheckDefinition): Promise<void> {
    return this.#modules.local.registerCheck(definition)
  }

  deregisterCheck(id: string): Promise<void> {
    return this.#modules.local.deregisterCheck(id)
  }

  updateTtl(id: string, status: CheckStatus, output: string): Promise<void> {
    return this.#modules.local.updateTtl(id, status, output)
  }

  nodeMaintenance(enable: boolean, reason: string): Promise<void> {
    return this.#modules.local.nodeMaintenance(enable, reason)
  }

  serviceMaintenance(id: string, enable: boolean, reason: string): Promise<void> {
    return this.#modules.local.serviceMaintenance(id, enable, reason)
  }

  leaf(service: string, options: Parameters<AgentPort['leaf']>[1]): ReturnType<AgentPort['leaf']> {
    const { leafs } = this.#modules
    if (!leafs) return Promise.reject(agentError('CONNECT_OFF', {}))
    return leafs.get(service, options)
  }

  proxySnapshot(
    id: string,
    options: Parameters<AgentPort['proxySnapshot']>[1],
  ): ReturnType<AgentPort['proxySnapshot']> {
    const { proxies } = this.#modules
    if (!proxies) return Promise.reject(agentError('CONNECT_OFF', {}))
    return proxies.get(id, options)
  }

  monitor(listener: LogListener): () => void {
    return this.#modules.logSink.listen(listener)
  }

  async federationStatus(): Promise<object> {
    const { federation, endpoints } = this.#modules.core
    await federation.learnCopies(endpoints)
    return federation.status()
  }

  #pool(wan: boolean): GossipPool {
    const { gossip } = this.#modules.core
    if (!wan) return gossip.lan
    if (!gossip.wan) throw agentError('NO_WAN_POOL', {})
    return gossip.wan
  }
}
