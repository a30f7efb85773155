/**
 * Lamport clock: orders intents, events and queries without a common time.
 *
 * Source: Lamport, "Time, Clocks and the Ordering of Events" (1978); gossip wire notes §11.
 */

/** One clock; it begins at 1 and never goes back. */
export class LamportClock {
  #time = 1

  get time(): number {
    return this.#time
  }

  /** Ticks and returns the time before the tick. */
  increment(): number {
    return this.#time++
  }

  /** Learns of an event elsewhere: the clock moves behind it. */
  witness(time: number): void {
    if (time >= this.#time && time < Number.MAX_SAFE_INTEGER) this.#time = time + 1
  }
}
