/**
 * All that exists because there is more than one datacenter, put together: the router that endpoints call through, the
 * joins, what is told to the primary and copied from it, and the doctor who watches over it.
 */
import { type Clock, type Logger, type Metrics, messageOf, type Random } from '#base'
import type { CertificateExpiry } from '#ca'
import { ACLReplicationStatus, type FederationState, FederationStateRequest } from '#codec'
import { type AnyOperation, type Endpoints, federationState } from '#endpoints'
import type { GossipEvent, GossipPool } from '#gossip'
import { RpcConnectionPool } from '#net'
import type { State } from '#state'
import { Copies } from './copies.ts'
import { Doctor } from './doctor.ts'
import { FederationStateAntiEntropy } from './federation-states.ts'
import { PrimaryGatewaysPusher, primaryGatewaysOperation } from './primary-gateways.ts'
import { Probe } from './probe.ts'
import { WanRouter } from './router.ts'
import { asServer } from './servers.ts'
import type { FederationStatus } from './status.ts'
import { WanFlood } from './wan-flood.ts'
import { WanJoin } from './wan-join.ts'
import type { WanLink } from './wan-link.ts'
import { WanReunion } from './wan-reunion.ts'

/** The primary forgets the gateways of datacenters that nobody knows any more. */
const PRUNE_INTERVAL_MS = 3_600_000
export interface FederationOptions {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly nodeName: string
  readonly domain: string
  /** Whether this datacenter has access control. */
  readonly acls: boolean
  /** Whether servers of other datacenters are reached through mesh gateways (and there can be others at all). */
  readonly enabled: boolean
}

export interface FederationModules {
  readonly link: WanLink
  readonly lan: GossipPool
  readonly wan: GossipPool | undefined
  readonly state: State
  /** This datacenter's certificates, the nearest end first. */
  readonly certificates: () => readonly CertificateExpiry[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
}

export class Federation {
  readonly router: WanRouter
  readonly #options: FederationOptions
  readonly #modules: FederationModules
  readonly #pool: RpcConnectionPool
  readonly #doctor: Doctor
  readonly #probe: Probe
  readonly #copies: Copies
  readonly #stops: (() => void)[] = []
  #antiEntropy: FederationStateAntiEntropy | undefined
  #wanJoin: WanJoin | undefined
  #primaryWasLost = false
  #reunion: WanReunion | undefined
  #pusher: PrimaryGatewaysPusher | undefined

  constructor(options: FederationOptions, modules: FederationModules) {
    this.#options = options
    this.#modules = modules
    const { link, clock, metrics, wan } = modules
    this.#pool = new RpcConnectionPool({
      dial: (target, alpn, signal) =>
        link.dialer.dial({ datacenter: target.datacenter, node: target.node }, alpn, signal),
      clock,
      metrics,
    })
    this.router = new WanRouter(options, { ...modules, ...link, pool: this.#pool })
    link.dialer.isOnly = ({ node, datacenter }) =>
      node === '*' || this.router.servers(datacenter).filter(({ status }) => status === 'alive').length <= 1
    this.#probe = new Probe({ router: this.router, reachability: link.reachability, clock })
    this.#copies = new Copies(options.primaryDatacenter, {
      ...modules,
      ...link,
      requireFederationStates: () => this.#requireFederationStates(),
    })
    this.#doctor = new Doctor(options, {
      ...modules,
      ...link,
      wan,
      router: this.router,
      replication: () => this.#copies.status,
    })
  }

  get #primary(): boolean {
    return this.#options.datacenter === this.#options.primaryDatacenter
  }

  /** Operations that only federation has; to be registered with the endpoints. */
  get operations(): readonly AnyOperation[] {
    return [
      primaryGatewaysOperation(this.#modules.link.locator, () => {
        this.#onGateways()
        this.#wake()
      }),
      this.#copies.operation,
    ]
  }

  /** Asks the server that copies how far it is, for status(); nothing to do in the primary. */
  async learnCopies(endpoints: Endpoints): Promise<void> {
    if (!this.#primary && this.#options.enabled) await this.#copies.learn(endpoints)
  }

  status(): FederationStatus {
    return this.#doctor.status()
  }

  /** What a secondary lacks while it does not reach its primary, in words; undefined while all is well. */
  degraded(): string | undefined {
    return this.#doctor.degraded()
  }

  /** What every server of the datacenter does. */
  start(): void {
    const { wan, link } = this.#modules
    if (wan && this.#options.enabled) this.#startReunion(wan)
    if (wan) this.#startFlood(wan)
    this.#followStates()
    this.#doctor.start()
    this.#stops.push(() => this.#doctor.stop())
    if (!this.#options.enabled) return
    this.#probe.start()
    this.#stops.push(() => this.#probe.stop())
    if (wan) this.#stops.push(wan.on((event) => this.#onGossip(event)))
    this.#stops.push(link.reachability.onChange((datacenter, reachable) => this.#onReachable(datacenter, reachable)))
    if (!this.#primary && wan) this.#keepJoined(wan)
  }

  /**
   * What one server of the datacenter does: tells the primary of our gateways; in the primary, the others of its own; in a
   * secondary, copies.
   *
   * @returns what ends it
   */
  lead(endpoints: Endpoints): () => void {
    const { enabled } = this.#options
    if (!enabled) return () => {}
    const stopTelling = this.#startAntiEntropy(endpoints)
    const stopRest = this.#primary ? this.#startPrimary(endpoints) : this.#startCopies(endpoints)
    return () => {
      stopRest()
      stopTelling()
    }
  }

  stop(): void {
    for (const stop of this.#stops.splice(0).reverse()) stop()
    this.#modules.link.carrier.close()
    this.#pool.close()
  }

  #startAntiEntropy(endpoints: Endpoints): () => void {
    const { state, clock, log } = this.#modules
    const antiEntropy = new FederationStateAntiEntropy(this.#options.datacenter, {
      state,
      clock,
      log: log.named('federation-state'),
      apply: async (request) => {
        const Token = endpoints.acl.replicationToken()
        const args = FederationStateRequest.of({ ...request, Token })
        await endpoints.call(federationState.apply, args, { internal: this.#primary })
      },
    })
    this.#antiEntropy = antiEntropy
    antiEntropy.start()
    return () => {
      antiEntropy.stop()
      this.#antiEntropy = undefined
    }
  }

  #startPrimary(endpoints: Endpoints): () => void {
    const { state, clock, log } = this.#modules
    const pusher = new PrimaryGatewaysPusher(this.#options.datacenter, { state, router: this.router, clock, log })
    this.#pusher = pusher
    pusher.start()
    const prune = clock.every(PRUNE_INTERVAL_MS, () => void this.#prune(endpoints))
    return () => {
      prune.cancel()
      pusher.stop()
      this.#pusher = undefined
    }
  }

  #startCopies(endpoints: Endpoints): () => void {
    if (!this.#modules.wan) return () => {}
    this.#copies.start(endpoints)
    return () => this.#copies.stop()
  }

  #keepJoined(wan: GossipPool): void {
    const { clock, log } = this.#modules
    const { primaryDatacenter } = this.#options
    const wanJoin = new WanJoin(primaryDatacenter, {
      wan,
      clock,
      log: log.named('wan'),
      joined: () => this.router.servers(primaryDatacenter).some((server) => server.status === 'alive'),
    })
    this.#wanJoin = wanJoin
    wanJoin.start()
    this.#stops.push(() => wanJoin.stop())
  }

  /** GET /v1/acl/replication. `enabled`: whether there are ACLs to copy. */
  aclReplicationStatus(enabled: boolean): ACLReplicationStatus {
    if (!enabled || this.#primary) return ACLReplicationStatus.of()
    return this.#copies.aclStatus
  }

  /** What replication failed for may be there now: a token. */
  retryReplication(): void {
    this.#copies.wake()
  }

  /** Peers replicate federation states only when every server on both sides knows them. */
  #requireFederationStates(): void {
    const without = [this.#options.datacenter, this.#options.primaryDatacenter]
      .flatMap((datacenter) => this.router.servers(datacenter))
      .find((server) => !server.federationStates)
    if (without) throw new Error(`server "${without.node}" of "${without.datacenter}" does not know federation states`)
  }

  /** Keeps the locator on what the store holds. */
  #followStates(): void {
    const { state, link } = this.#modules
    let cancel = () => {}
    const follow = () => {
      const { value, watch } = state.read((tx) => tx.federationStates.all())
      link.locator.setStates(value)
      this.#reunion?.follow(value.flatMap((entry) => (this.#isOther(entry) ? [entry.Datacenter] : [])))
      this.#onGateways()
      cancel = watch.onFire(follow)
    }
    follow()
    this.#stops.push(() => cancel())
  }

  #startFlood(wan: GossipPool): void {
    const { lan, clock, log } = this.#modules
    const flood = new WanFlood(this.#options.datacenter, { lan, wan, clock, log: log.named('wan') })
    flood.start()
    this.#stops.push(() => flood.stop())
  }

  #startReunion(wan: GossipPool): void {
    const { clock, log } = this.#modules
    const reunion = new WanReunion({ wan, clock, log: log.named('wan') })
    this.#reunion = reunion
    this.#stops.push(() => reunion.stop())
  }

  /** Whether the state is of a datacenter with gateways that is neither ours nor the primary, which is joined anyway. */
  #isOther({ Datacenter, MeshGateways }: FederationState): boolean {
    const { datacenter, primaryDatacenter } = this.#options
    return Datacenter !== datacenter && Datacenter !== primaryDatacenter && (MeshGateways?.length ?? 0) > 0
  }

  /** Other gateways are known now: whoever was silent behind the old ones is tried again at once. */
  #onGateways(): void {
    const { reachability } = this.#modules.link
    this.#reunion?.wake()
    for (const datacenter of this.router.datacenters()) {
      if (datacenter === this.#options.datacenter || reachability.way(datacenter)?.reachable) continue
      reachability.reopen(datacenter)
      if (this.#options.enabled) this.#probe.now(datacenter)
    }
  }

  #onGossip(event: GossipEvent): void {
    if (event.type === 'member-failed' || event.type === 'member-leave') {
      for (const member of event.members) {
        const server = asServer(member)
        if (server && server.datacenter !== this.#options.datacenter) void this.router.lost(server)
      }
    }
    if (event.type !== 'member-join' && event.type !== 'member-update') return
    for (const member of event.members) {
      const server = asServer(member)
      if (server && server.datacenter !== this.#options.datacenter) this.#probe.now(server.datacenter)
    }
  }

  #onReachable(datacenter: string, reachable: boolean): void {
    const { log } = this.#modules
    const primary = datacenter === this.#options.primaryDatacenter
    if (reachable) log.info('datacenter reachable', { datacenter, primary })
    else {
      const way = this.#modules.link.reachability.way(datacenter)
      log.warn(primary ? 'degraded: primary unreachable' : 'datacenter unreachable', {
        datacenter,
        error: way?.lastError,
      })
    }
    if (!reachable) {
      this.#modules.link.carrier.drop(datacenter)
      this.#primaryWasLost ||= primary
      return
    }
    if (primary) {
      if (this.#primaryWasLost) this.#wanJoin?.again()
      this.#primaryWasLost = false
      this.#wake()
    }
    if (this.#primary) this.#pusher?.pushTo(datacenter)
  }

  #wake(): void {
    this.#wanJoin?.wake()
    this.#antiEntropy?.wake()
    this.#copies.wake()
  }

  async #prune(endpoints: Endpoints): Promise<void> {
    const { state, log } = this.#modules
    const known = new Set(this.router.datacenters())
    for (const entry of state.read((tx) => tx.federationStates.all()).value) {
      if (known.has(entry.Datacenter)) continue
      try {
        const args = FederationStateRequest.of({ Op: 'delete', State: entry })
        await endpoints.call(federationState.apply, args, { internal: true })
        log.info('forgot the mesh gateways of a datacenter that is gone', { datacenter: entry.Datacenter })
      } catch (error) {
        log.warn('the federation state of a datacenter that is gone could not be deleted', {
          datacenter: entry.Datacenter,
          error: messageOf(error),
        })
      }
    }
  }
}
