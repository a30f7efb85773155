/**
 * Replication: what a secondary copies from its primary, type by type, by one loop.
 *
 * A round asks the primary for its list (blocking until it changes), compares it with ours, deletes, then writes what is
 * new. Any error makes the next round a full comparison. What is compared and how is a ReplicatedType; the loop, its
 * pace, its retries and what it says of itself are the same for all.
 *
 * Source: RPC wire notes §11.
 */
import { type Clock, type Logger, type Metrics, messageOf, sleep } from '#base'

/** What differs between the primary's list and ours. */
export interface Difference<T> {
  readonly deletions: readonly T[]
  readonly upserts: readonly T[]
}

export interface ReplicatedType<T> {
  readonly name: string
  /** The primary's list; waits until its index is above `minIndex`. */
  list(minIndex: number, signal: AbortSignal): Promise<{ readonly index: number; readonly items: readonly T[] }>
  local(): readonly T[]
  /** @param lastIndex - the index of the last round that worked, 0 for a full comparison */
  compare(local: readonly T[], remote: readonly T[], lastIndex: number): Difference<T>
  apply(difference: Difference<T>): Promise<void>
}

export interface ReplicationStatus {
  readonly running: boolean
  /** The primary's index up to which we hold everything. */
  readonly index: number
  readonly lastSuccessWallMs: number | undefined
  readonly lastErrorWallMs: number | undefined
  readonly lastError: string
}

/** Least time between two rounds: a busy primary is asked at most five times a second for each type. */
export const ROUND_INTERVAL_MS = 200
export const RETRY_MIN_MS = 250
export const RETRY_MAX_MS = 5_000

export interface ReplicatorModules {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Told after each round, for the gateway locator. */
  readonly onRound: (worked: boolean) => void
}

export class Replicator<T> {
  readonly #type: ReplicatedType<T>
  readonly #modules: ReplicatorModules
  readonly #stop = new AbortController()
  #anew = new AbortController()
  #retryNow: () => void = () => {}
  #status: ReplicationStatus = {
    running: false,
    index: 0,
    lastSuccessWallMs: undefined,
    lastErrorWallMs: undefined,
    lastError: '',
  }

  constructor(type: ReplicatedType<T>, modules: ReplicatorModules) {
    this.#type = type
    this.#modules = modules
  }

  get name(): string {
    return this.#type.name
  }

  get status(): ReplicationStatus {
    return this.#status
  }

  start(): void {
    this.#status = { ...this.#status, running: true }
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('replication was stopped'))
    this.#status = { ...this.#status, running: false }
  }

  /** Ends the wait after a failure: the primary has just become reachable. */
  wake(): void {
    this.#retryNow()
  }

  /** Compares everything: what we hold is not what the last round left, as after a restore. */
  again(): void {
    this.#anew.abort(new Error('everything is compared anew'))
    this.#retryNow()
  }

  async #run(): Promise<void> {
    const { clock, log, metrics, onRound } = this.#modules
    const { signal } = this.#stop
    let lastIndex = 0
    let failures = 0
    while (!signal.aborted) {
      this.#anew = new AbortController()
      const anew = this.#anew.signal
      try {
        const { index, changed } = await this.#round(lastIndex, AbortSignal.any([signal, anew]))
        lastIndex = anew.aborted ? 0 : index
        failures = 0
        this.#status = { ...this.#status, index, lastSuccessWallMs: clock.wallMs() }
        metrics.gauge(`consul.leader.replication.${this.#type.name}.index`, index)
        metrics.gauge(`consul.leader.replication.${this.#type.name}.status`, 1)
        if (changed > 0) log.debug('replicated', { type: this.#type.name, changed, index })
        onRound(true)
        await this.#pause(ROUND_INTERVAL_MS, signal)
        if (anew.aborted) lastIndex = 0
      } catch (error) {
        if (signal.aborted) return
        lastIndex = 0
        if (anew.aborted) continue
        failures++
        this.#status = { ...this.#status, lastErrorWallMs: clock.wallMs(), lastError: messageOf(error) }
        metrics.gauge(`consul.leader.replication.${this.#type.name}.status`, 0)
        if (failures === 1) log.warn('replication failed', { type: this.#type.name, error: messageOf(error) })
        onRound(false)
        await this.#pause(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10)), signal)
      }
    }
  }

  async #round(lastIndex: number, signal: AbortSignal): Promise<{ index: number; changed: number }> {
    const { index, items } = await this.#type.list(lastIndex, signal)
    const from = index < lastIndex ? 0 : lastIndex
    const difference = this.#type.compare(this.#type.local(), items, from)
    const changed = difference.deletions.length + difference.upserts.length
    if (changed > 0) await this.#type.apply(difference)
    return { index, changed }
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#retryNow = () => woken.abort()
    return sleep(this.#modules.clock, delayMs, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  }
}
