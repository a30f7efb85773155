/**
 * Those who wait for a change of one answer through one URL: one wait at the endpoints for all of them.
 *
 * Each has its own time limit and leaves when its connection closes. When the answer changes they are let go a part at a
 * time, so that thousands of answers do not hold up everything else.
 */
import type { Clock, Timer } from '#base'
import type { LiveAnswer } from '#endpoints'
import { apiError } from '../errors.ts'

/** Requests that wait, over all URLs of one server. */
export const MAX_PARKED = 50_000
/** Let go per turn of the event loop. */
const WAKE_CHUNK = 128
/** The common wait is renewed after this while anyone is left. */
const COMMON_WAIT_MS = 600_000

/** How many wait on one server. */
export interface ParkedCount {
  count: number
}

/** Who waits. */
export interface Waiting {
  /** Calls back when the connection closes before it was answered. */
  onGone(callback: () => void): void
}

/** How a wait ends. Called back instead of a promise: thousands of these are made at once, and wake at once. */
export interface WaitEnd<R> {
  /** With the answer that has changed; undefined when the time is over or the caller has gone. */
  ended(answer: LiveAnswer<R> | undefined): void
  failed(error: unknown): void
}

interface Waiter<R> {
  readonly end: WaitEnd<R>
  timer: Timer | undefined
}

export class ParkedReads<R> {
  readonly #clock: Clock
  readonly #parked: ParkedCount
  readonly #minIndex: number
  readonly #waiters = new Set<Waiter<R>>()
  #common: AbortController | undefined

  constructor(options: { readonly clock: Clock; readonly parked: ParkedCount; readonly minIndex: number }) {
    this.#clock = options.clock
    this.#parked = options.parked
    this.#minIndex = options.minIndex
  }

  /**
   * Waits until the answer's index is above the one that the URL names.
   *
   * @throws HanseError TOO_MANY_WAITING; what the wait at the endpoints threw is told to `end`
   */
  wait(live: LiveAnswer<R>, waitMs: number, caller: Waiting, end: WaitEnd<R>): void {
    if (this.#parked.count >= MAX_PARKED) throw apiError('TOO_MANY_WAITING', { limit: MAX_PARKED })
    const waiter: Waiter<R> = { end, timer: undefined }
    const leave = () => {
      if (this.#remove(waiter)) end.ended(undefined)
    }
    waiter.timer = this.#clock.after(waitMs, leave)
    caller.onGone(leave)
    this.#parked.count++
    this.#waiters.add(waiter)
    if (this.#common === undefined) this.#watch(live)
  }

  #remove(waiter: Waiter<R>): boolean {
    if (!this.#waiters.delete(waiter)) return false
    this.#parked.count--
    waiter.timer?.cancel()
    if (this.#waiters.size === 0) {
      this.#common?.abort()
      this.#common = undefined
    }
    return true
  }

  #watch(live: LiveAnswer<R>): void {
    const common = new AbortController()
    this.#common = common
    live.next(this.#minIndex, { timeoutMs: COMMON_WAIT_MS, signal: common.signal }).then(
      (next) => {
        if (common.signal.aborted) return
        this.#common = undefined
        if (next.index > this.#minIndex) this.#letGo([...this.#waiters], (end) => end.ended(next))
        else this.#watch(next)
      },
      (error) => {
        if (common.signal.aborted) return
        this.#common = undefined
        this.#letGo([...this.#waiters], (end) => end.failed(error))
      },
    )
  }

  #letGo(waiters: readonly Waiter<R>[], settle: (end: WaitEnd<R>) => void, from = 0): void {
    const end = Math.min(waiters.length, from + WAKE_CHUNK)
    for (const waiter of waiters.slice(from, end)) if (this.#remove(waiter)) settle(waiter.end)
    if (end < waiters.length) setImmediate(() => this.#letGo(waiters, settle, end))
  }
}
