/**
 * Local health: how much a node trusts its own view. A node that is slow itself probes more patiently.
 *
 * Source: Lifeguard, LHA-Probe (arXiv:1707.00788).
 */

/** One node's score, from 0 (healthy) to the multiplier less one. */
export class Awareness {
  readonly #max: number
  #score = 0

  /** @param maxMultiplier - timeouts grow at most to this many times their value */
  constructor(maxMultiplier: number) {
    this.#max = maxMultiplier
  }

  /** 0: healthy. */
  get score(): number {
    return this.#score
  }

  apply(delta: number): void {
    this.#score = Math.min(Math.max(this.#score + delta, 0), this.#max - 1)
  }

  scale(ms: number): number {
    return ms * (this.#score + 1)
  }
}
