/**
 * The certificates that this server lives by: the mesh's roots and intermediates, its own (server port, HTTPS), and its
 * services' leafs. When they end is told to the federation's status and kept as gauges, in seconds from now.
 *
 * `hanse.certificate.expiry` has each one; Consul's names have those that are in use.
 */
import { type Clock, codeOf, type Labels, type Logger, type Metrics, messageOf } from '#base'
import { CertificateExpiries, type CertificateExpiry } from '#ca'
import type { TlsIdentity } from '#net'
import type { State } from '#state'

const MEASURE_INTERVAL_MS = 5_000
const MS_PER_S = 1_000

export interface CertificatesModules {
  readonly state: State
  readonly identity: () => TlsIdentity | undefined
  /** What the HTTPS port shows; undefined while there is none. */
  readonly https: () => TlsIdentity | undefined
  /** PEM texts of the leafs that this agent keeps. */
  readonly leafs: () => readonly string[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

interface Gauge {
  readonly name: string
  readonly labels: Labels
  readonly remainingMs: number
}

export class Certificates {
  readonly #datacenter: string
  readonly #modules: CertificatesModules
  readonly #expiries = new CertificateExpiries()
  #gauges: readonly Gauge[] = []
  #failed = ''
  #timer: { cancel(): void } | undefined

  constructor(datacenter: string, modules: CertificatesModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    this.measure()
    this.#timer = this.#modules.clock.every(MEASURE_INTERVAL_MS, () => this.measure())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** The nearest end first. None, with a line in the log, when one of them cannot be read. */
  list(): readonly CertificateExpiry[] {
    const { state, identity, https, leafs, clock, log } = this.#modules
    const roots = state.read((tx) => tx.caRoots()).value?.Roots ?? []
    const own = Object.entries({ server: identity(), https: https() }).flatMap(([port, shown]) =>
      shown === undefined ? [] : [[port, shown.certPem] as const],
    )
    try {
      return this.#expiries.list({ roots, leafs: leafs(), ...Object.fromEntries(own) }, clock.wallMs())
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== this.#failed) {
        log.warn('when certificates end is not known: one cannot be read', { code: codeOf(error), error: reason })
      }
      this.#failed = reason
      return []
    }
  }

  /** Sets the gauges, and forgets those of certificates that are gone. */
  measure(): void {
    const { metrics } = this.#modules
    const gauges = this.#measured(this.list())
    for (const { name, labels } of this.#gauges) metrics.dropGauge(name, labels)
    for (const { name, labels, remainingMs } of gauges) metrics.gauge(name, Math.floor(remainingMs / MS_PER_S), labels)
    this.#gauges = gauges
  }

  #measured(expiries: readonly CertificateExpiry[]): readonly Gauge[] {
    const datacenter = this.#datacenter
    const active = (kind: CertificateExpiry['kind']) => expiries.find((each) => each.kind === kind && each.active)
    const root = active('root')
    const consuls = {
      'consul.mesh.active-root-ca.expiry': root,
      // The primary signs with its root.
      'consul.mesh.active-signing-ca.expiry': active('intermediate') ?? root,
      'consul.agent.tls.cert.expiry': active('server'),
    }
    return [
      ...Object.entries(consuls).flatMap(([name, expiry]) =>
        expiry ? [{ name, labels: { datacenter }, remainingMs: expiry.remainingMs }] : [],
      ),
      ...expiries.map(({ kind, name, keyId, remainingMs }) => ({
        name: 'hanse.certificate.expiry',
        labels: kind === 'leaf' ? { datacenter, kind, name } : { datacenter, kind, name, key_id: keyId },
        remainingMs,
      })),
    ]
  }
}
