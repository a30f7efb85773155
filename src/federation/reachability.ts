/**
 * What we know of the way to each datacenter: when it last answered, when it last did not, and what each gateway said.
 *
 * One record that dialing writes and three read: the router (fail at once while the way is known to be shut), the
 * replicators (try again when it opens) and the doctor (which gateways, silent since when).
 */
import { type Clock, codeOf, messageOf } from '#base'

/** How long a failure keeps calls from trying again themselves; probes go on meanwhile. */
export const SHUT_MS = 5_000
/** Datacenters and gateways that are remembered; the oldest record goes first. */
export const MAX_RECORDS = 4_096

export interface Way {
  /** Monotonic; undefined: never. */
  readonly lastSuccessMs: number | undefined
  readonly lastFailureMs: number | undefined
  readonly lastError: string
  readonly lastErrorCode: string
  /** Wall time at which it went from one state to the other. */
  readonly sinceWallMs: number
  readonly reachable: boolean
}

export interface GatewayOutcome {
  readonly error: string
  readonly code: string
  readonly wallMs: number
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.size > MAX_RECORDS ? map.keys().next() : undefined
  if (oldest && !oldest.done) map.delete(oldest.value)
}

export class Reachability {
  readonly #clock: Clock
  readonly #ways = new Map<string, Way>()
  /** By "host:port": the last refusal; absent after a success. */
  readonly #gateways = new Map<string, GatewayOutcome>()
  readonly #listeners = new Set<(datacenter: string, reachable: boolean) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `listener` each time a datacenter becomes reachable or unreachable. */
  onChange(listener: (datacenter: string, reachable: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  way(datacenter: string): Way | undefined {
    return this.#ways.get(datacenter)
  }

  gateway(address: string): GatewayOutcome | undefined {
    return this.#gateways.get(address)
  }

  succeeded(datacenter: string): void {
    const before = this.#ways.get(datacenter)
    const now = this.#clock.nowMs()
    remember(this.#ways, datacenter, {
      lastSuccessMs: now,
      lastFailureMs: before?.lastFailureMs,
      lastError: before?.lastError ?? '',
      lastErrorCode: before?.lastErrorCode ?? '',
      sinceWallMs: before?.reachable ? before.sinceWallMs : this.#clock.wallMs(),
      reachable: true,
    })
    if (!before?.reachable) this.#tell(datacenter, true)
  }

  failed(datacenter: string, error: unknown): void {
    const before = this.#ways.get(datacenter)
    const down = before !== undefined && !before.reachable
    remember(this.#ways, datacenter, {
      lastSuccessMs: before?.lastSuccessMs,
      lastFailureMs: this.#clock.nowMs(),
      lastError: messageOf(error),
      lastErrorCode: codeOf(error) ?? '',
      sinceWallMs: down ? before.sinceWallMs : this.#clock.wallMs(),
      reachable: false,
    })
    if (before?.reachable) this.#tell(datacenter, false)
  }

  gatewayAnswered(address: string): void {
    this.#gateways.delete(address)
  }

  gatewayRefused(address: string, error: unknown): void {
    const outcome = { error: messageOf(error), code: codeOf(error) ?? '', wallMs: this.#clock.wallMs() }
    remember(this.#gateways, address, outcome)
  }

  /** Whether the way was seen shut so recently that trying again now would only make the caller wait. */
  shut(datacenter: string): boolean {
    const way = this.#ways.get(datacenter)
    if (!way || way.reachable || way.lastFailureMs === undefined) return false
    return this.#clock.nowMs() - way.lastFailureMs < SHUT_MS
  }

  /** Other gateways lead there now: what was seen of the old ones says nothing about these. */
  reopen(datacenter: string): void {
    const way = this.#ways.get(datacenter)
    if (way && !way.reachable) this.#ways.set(datacenter, { ...way, lastFailureMs: undefined })
  }

  /** Milliseconds since the datacenter last answered; Infinity when it never did. */
  silentMs(datacenter: string): number {
    const last = this.#ways.get(datacenter)?.lastSuccessMs
    return last === undefined ? Number.POSITIVE_INFINITY : this.#clock.nowMs() - last
  }

  #tell(datacenter: string, reachable: boolean): void {
    for (const listener of [...this.#listeners]) listener(datacenter, reachable)
  }
}
