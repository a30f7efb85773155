/**
 * The doctor: gathers what gossip, dialing and replication know into one status, and says once in the log what is wrong.
 */
import { type Clock, formatHostPort, type Logger, type Metrics } from '#base'
import type { CertificateExpiry } from '#ca'
import { type GossipPool, MISMATCH_INTERVAL_MS, type MismatchEvent } from '#gossip'
import { certificateProblems, certificateStatus } from './certificates.ts'
import { type DiagnosisContext, diagnoseAccessControl, diagnoseDial, diagnoseMismatch } from './diagnosis.ts'
import type { Gateway, GatewayLocator } from './gateway-locator.ts'
import type { Reachability } from './reachability.ts'
import type { ReplicationStatus } from './replication.ts'
import type { WanRouter } from './router.ts'
import { asServer } from './servers.ts'
import type {
  DatacenterState,
  DatacenterStatus,
  FederationProblem,
  FederationStatus,
  GatewayStatus,
  ReplicationTypeStatus,
} from './status.ts'

/** A mismatch that gossip has not seen again for this long is over. Gossip tells of the same one once an interval. */
export const MISMATCH_MEMORY_MS = 2.5 * MISMATCH_INTERVAL_MS
/** Different mismatches that are remembered at a time. */
const MAX_MISMATCHES = 64
/** A problem is logged again after this long. */
const LOG_AGAIN_MS = 300_000
/** A way that opens sooner was no problem, but gateways that were just starting. */
const LOG_AFTER_MS = 3_000
/** How long a server with our datacenter's name may be in the WAN pool alone. */
const STRANGER_MS = 3_000

export interface DoctorOptions extends DiagnosisContext {
  readonly nodeName: string
  /** Whether this datacenter has access control. */
  readonly acls: boolean
}

export interface DoctorModules {
  readonly wan: GossipPool | undefined
  readonly lan: GossipPool
  readonly router: WanRouter
  readonly locator: GatewayLocator
  readonly reachability: Reachability
  /** Type → status of what this secondary copies; empty in the primary. */
  readonly replication: () => Readonly<Record<string, ReplicationStatus>>
  /** This datacenter's certificates, the nearest end first. */
  readonly certificates: () => readonly CertificateExpiry[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

const stamp = (wallMs: number | undefined): string => (wallMs === undefined ? '' : new Date(wallMs).toISOString())

export class Doctor {
  readonly #options: DoctorOptions
  readonly #modules: DoctorModules
  readonly #mismatches = new Map<string, { readonly event: MismatchEvent; readonly seenMs: number }>()
  readonly #logged = new Map<string, number>()
  readonly #startedWallMs: number
  #strangeSinceMs: number | undefined
  readonly #cancel: (() => void)[] = []

  constructor(options: DoctorOptions, modules: DoctorModules) {
    this.#options = options
    this.#modules = modules
    this.#startedWallMs = modules.clock.wallMs()
  }

  start(): void {
    for (const pool of [this.#modules.lan, this.#modules.wan]) {
      if (!pool) continue
      this.#cancel.push(
        pool.on((event) => {
          if (event.type === 'mismatch') this.#saw(event)
        }),
      )
    }
    const timer = this.#modules.clock.every(2_000, () => this.#look())
    this.#cancel.push(() => timer.cancel())
  }

  stop(): void {
    for (const cancel of this.#cancel.splice(0)) cancel()
  }

  status(): FederationStatus {
    const { router, wan } = this.#modules
    const { datacenter, primaryDatacenter, domain, nodeName } = this.#options
    const names = new Set([datacenter, primaryDatacenter, ...router.datacenters()])
    const certificates = this.#modules.certificates()
    return {
      Datacenter: datacenter,
      PrimaryDatacenter: primaryDatacenter,
      Domain: domain,
      Node: nodeName,
      GossipEncrypted: wan?.encrypted ?? this.#modules.lan.encrypted,
      Datacenters: [...names].sort().map((name) => this.#datacenter(name)),
      Certificates: certificates.map(certificateStatus),
      Problems: [...this.#generalProblems(), ...certificateProblems(certificates, this.#options)],
    }
  }

  /** What a secondary lacks while it does not reach its primary, in words; undefined while all is well. */
  degraded(): string | undefined {
    const { datacenter, primaryDatacenter } = this.#options
    const way = datacenter === primaryDatacenter ? undefined : this.#modules.reachability.way(primaryDatacenter)
    if (way === undefined || way.reachable) return undefined
    return `primary "${primaryDatacenter}" unreachable since ${stamp(way.sinceWallMs)}`
  }

  /** Gauges of a secondary: whether it reaches its primary, and how far its copies may be behind. */
  #measure(status: FederationStatus): void {
    const { metrics } = this.#modules
    const { datacenter, primaryDatacenter } = this.#options
    if (datacenter === primaryDatacenter) return
    metrics.gauge('hanse.federation.degraded', this.degraded() === undefined ? 0 : 1)
    const primary = status.Datacenters.find(({ Name }) => Name === primaryDatacenter)
    for (const [type, { LagSeconds }] of Object.entries(primary?.Replication ?? {})) {
      metrics.gauge('hanse.replication.lag_seconds', LagSeconds, { type })
    }
  }

  #saw(event: MismatchEvent): void {
    const key = `${event.kind} ${event.node ?? ''} ${event.address ?? ''}`
    this.#mismatches.delete(key)
    this.#mismatches.set(key, { event, seenMs: this.#modules.clock.nowMs() })
    const oldest = this.#mismatches.size > MAX_MISMATCHES ? this.#mismatches.keys().next() : undefined
    if (oldest && !oldest.done) this.#mismatches.delete(oldest.value)
    this.#look()
  }

  #generalProblems(): readonly FederationProblem[] {
    const now = this.#modules.clock.nowMs()
    const problems = new Map<string, FederationProblem>()
    for (const [key, { event, seenMs }] of this.#mismatches) {
      if (now - seenMs > MISMATCH_MEMORY_MS) this.#mismatches.delete(key)
      else {
        const problem = diagnoseMismatch(event, this.#options)
        problems.set(problem.Code, problem)
      }
    }
    const twin = this.#twin()
    if (twin) problems.set(twin.Code, twin)
    return [...problems.values()]
  }

  /** A server that says it is of our datacenter, and is not in our LAN pool: another datacenter has our name. */
  #twin(): FederationProblem | undefined {
    const { datacenter } = this.#options
    const ours = new Set(this.#modules.lan.members().map((member) => member.tags.id))
    const strangers = (this.#modules.wan?.members() ?? []).filter((member) => {
      const server = member.status === 'alive' ? asServer(member) : undefined
      return server?.datacenter === datacenter && !ours.has(server.nodeId)
    })
    const nowMs = this.#modules.clock.nowMs()
    if (strangers.length === 0) this.#strangeSinceMs = undefined
    else this.#strangeSinceMs ??= nowMs
    // A server of ours may come into the WAN pool a moment before it comes into the LAN pool here.
    if (this.#strangeSinceMs === undefined || nowMs - this.#strangeSinceMs < STRANGER_MS) return undefined
    const names = strangers
      .map((member) => `"${member.name}" at ${formatHostPort(member.address, member.port)}`)
      .join(', ')
    return {
      Code: 'DATACENTER_NAME_TAKEN',
      Message: `Datacenter name (setting "datacenter"): two datacenters call themselves "${datacenter}": ${names} is not in our LAN pool`,
      Hint: 'give each datacenter of the federation its own name',
    }
  }

  #datacenter(name: string): DatacenterStatus {
    const { locator, reachability, router, replication } = this.#modules
    const { datacenter, primaryDatacenter } = this.#options
    const local = name === datacenter
    const way = reachability.way(name)
    const gossip = this.#gossip(name)
    const gateways = (local ? locator.local() : locator.of(name)).map((gateway) => this.#gateway(gateway))
    const rpcOk = local || (way?.reachable ?? false)
    const silentMs = reachability.silentMs(name)
    const failure =
      way && !way.reachable ? diagnoseDial(way.lastErrorCode, way.lastError, name, this.#options) : undefined
    const copies = !local && name === primaryDatacenter ? this.#replication(replication(), rpcOk) : null
    const known = local || router.servers(name).length > 0
    const lagging = copies !== null && Object.values(copies).some((type) => type.LastSuccess === '')
    const state: DatacenterState = !rpcOk
      ? 'unreachable'
      : gossip.Failed > 0 || gossip.Alive === 0 || lagging
        ? 'degraded'
        : 'ok'
    return {
      Name: name,
      Primary: name === primaryDatacenter,
      Local: local,
      State: state,
      Since: local ? stamp(this.#startedWallMs) : stamp(way?.sinceWallMs),
      Gateways: gateways,
      Gossip: gossip,
      RPC: {
        OK: rpcOk,
        LastSuccessSeconds: local ? 0 : Number.isFinite(silentMs) ? Math.round(silentMs / 100) / 10 : null,
        LastError: way?.reachable ? '' : (way?.lastError ?? ''),
        Since: local ? stamp(this.#startedWallMs) : stamp(way?.sinceWallMs),
      },
      Replication: copies,
      Problems: [
        ...(failure ? [failure] : this.#silent(name, known, way !== undefined)),
        ...(local ? [] : this.#accessControl(name)),
      ],
    }
  }

  /** Servers say in their tags whether they have access control: it is for all datacenters or for none. */
  #accessControl(name: string): readonly FederationProblem[] {
    const { acls } = this.#options
    const differs = (this.#modules.wan?.members() ?? []).some((member) => {
      const server = member.status === 'alive' ? asServer(member) : undefined
      return server?.datacenter === name && server.acls === !acls
    })
    return differs ? [diagnoseAccessControl(name, acls, this.#options)] : []
  }

  /** A primary that was never in the WAN pool, and nothing that says why. */
  #silent(name: string, known: boolean, dialled: boolean): readonly FederationProblem[] {
    if (known || dialled) return []
    return [
      {
        Code: 'DATACENTER_UNKNOWN',
        Message: `Datacenter "${name}": none of its servers is in the WAN pool`,
        Hint: `see that "primary_gateways" names the mesh gateways of "${this.#options.primaryDatacenter}"`,
      },
    ]
  }

  #gateway(gateway: Gateway): GatewayStatus {
    const address = formatHostPort(gateway.host, gateway.port)
    const refused = this.#modules.reachability.gateway(address)
    return { Address: address, Healthy: refused === undefined, Source: gateway.source, LastError: refused?.error ?? '' }
  }

  #gossip(name: string): DatacenterStatus['Gossip'] {
    const members = (this.#modules.wan ?? this.#modules.lan).members().filter((member) => member.tags.dc === name)
    const count = (...statuses: string[]) => members.filter((member) => statuses.includes(member.status)).length
    return { Alive: count('alive', 'leaving'), Failed: count('failed'), Left: count('left') }
  }

  #replication(
    types: Readonly<Record<string, ReplicationStatus>>,
    reachable: boolean,
  ): Readonly<Record<string, ReplicationTypeStatus>> {
    const now = this.#modules.clock.wallMs()
    return Object.fromEntries(
      Object.entries(types).map(([name, type]) => [
        name,
        {
          Running: type.running,
          Index: type.index,
          LastSuccess: stamp(type.lastSuccessWallMs),
          LastError: type.lastError,
          LagSeconds:
            reachable && type.lastSuccessWallMs !== undefined
              ? 0
              : Math.max(0, Math.round((now - (type.lastSuccessWallMs ?? this.#startedWallMs)) / 1000)),
        },
      ]),
    )
  }

  #lasts(datacenter: string): boolean {
    const { reachability, clock } = this.#modules
    const sinceMs = reachability.way(datacenter)?.sinceWallMs ?? this.#startedWallMs
    return clock.wallMs() - sinceMs >= LOG_AFTER_MS
  }

  #look(): void {
    const status = this.status()
    this.#measure(status)
    const now = this.#modules.clock.nowMs()
    const lasting = status.Datacenters.filter(({ Name }) => this.#lasts(Name))
    for (const problem of [...status.Problems, ...lasting.flatMap((entry) => entry.Problems)]) {
      const key = `${problem.Code} ${problem.Message.slice(0, 120)}`
      const last = this.#logged.get(key)
      if (last !== undefined && now - last < LOG_AGAIN_MS) continue
      if (this.#logged.size > MAX_MISMATCHES) this.#logged.clear()
      this.#logged.set(key, now)
      this.#modules.log.error(problem.Message, { code: problem.Code, remedy: problem.Hint })
    }
  }
}
