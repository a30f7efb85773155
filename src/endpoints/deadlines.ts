/**
 * Deadlines of things that others may prolong: each has a version, and a new version starts its time anew.
 *
 * Nothing but durations is kept with the things themselves, so whoever takes this duty over gives each its full time
 * from then on: late at worst, never early, whatever the clocks of other servers say. Pure: time comes in.
 */

/** What ends some time after it was last seen to change. */
export interface Timed {
  readonly key: string
  readonly version: number
  readonly durationMs: number
}

interface Deadline {
  readonly version: number
  readonly atMs: number
}

export class Deadlines {
  #known = new Map<string, Deadline>()

  /**
   * Takes in what there is now; what is not among it is forgotten.
   *
   * @param nowMs - monotonic
   * @returns those whose time is over; they stay due until they change or go
   */
  due(things: Iterable<Timed>, nowMs: number): Timed[] {
    const next = new Map<string, Deadline>()
    const over: Timed[] = []
    for (const thing of things) {
      const known = this.#known.get(thing.key)
      const kept = known?.version === thing.version ? known : undefined
      const deadline = kept ?? { version: thing.version, atMs: nowMs + thing.durationMs }
      next.set(thing.key, deadline)
      if (nowMs >= deadline.atMs) over.push(thing)
    }
    this.#known = next
    return over
  }

  /** Everything begins anew when it is seen next. */
  forget(): void {
    this.#known.clear()
  }
}
