/**
 * How long a fold waits for more to be in it.
 *
 * etcd's work for a fold hardly depends on how many transactions are in it, and who writes one thing after the other
 * comes again as soon as it is answered. So after a fold the next one waits until as many have come as were in that one
 * and behind it, for a share of the time that etcd took. The share grows while they come, up to twice that time, and
 * shrinks when they do not: writers that come when they like are not kept waiting. Nor is one that is alone.
 */
import type { Clock } from '#base'

/** The longest wait, as a share of what the fold before took. */
const MAX_SHARE = 2
const MIN_SHARE = 0.25
const FACTOR = 2
const MAX_WAIT_MS = 10

export class Gathering {
  readonly #clock: Clock
  #share = 0.5
  #enough = 0
  #onEnough = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes note of how many are waiting now. */
  waiting(count: number): void {
    if (count >= this.#enough) this.#onEnough()
  }

  /**
   * Resolves when the next fold may go.
   *
   * @param sent - how many were in the fold before
   * @param behind - how many are waiting already
   * @param tookMs - how long that fold took
   */
  async next(sent: number, behind: number, tookMs: number): Promise<void> {
    if (sent + behind < 2) return
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#enough = sent + behind
    this.#onEnough = () => resolve(true)
    const timer = this.#clock.after(Math.min(tookMs * this.#share, MAX_WAIT_MS), () => resolve(false))
    const came = await promise
    timer.cancel()
    this.#share = came ? Math.min(this.#share * FACTOR, MAX_SHARE) : Math.max(this.#share / FACTOR, MIN_SHARE)
    this.#onEnough = () => {}
  }
}
