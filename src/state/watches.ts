/**
 * Topics, and who waits for them.
 *
 * A topic is something that can change as a whole: a record, the records under one value of an index, a prefix of
 * keys. A reading knows its topics; a watch stands in the list of each of them only while someone waits.
 * Firing collects each watch once, whatever the number of its topics that changed, after the batch is applied.
 */

export interface Topic {
  /** What changes are told under. */
  readonly id: string
  /** Highest index that changed it, 0 if nothing ever did. */
  index(): number
  /** Of a single record: its stored key and the revision that wrote it, 0 if it is not there. */
  readonly record?: { readonly key: string; readonly revision: number }
}

const PREFIX_MARK = '^'

/** The topic of all keys of a table that begin with `prefix`. */
export function prefixTopicId(table: string, prefix: string): string {
  return `${table}${PREFIX_MARK}${prefix}`
}

export class Watches {
  readonly #waiting = new Map<string, Set<StateWatch>>()
  /** How many topics are waited for per length of their prefix: a change looks up these lengths only. */
  readonly #prefixLengths = new Map<number, number>()
  #generation = 0

  /** Grows whenever the tables are replaced: the topics of earlier readings hear of nothing any more. */
  get generation(): number {
    return this.#generation
  }

  /** Topics somebody waits for. */
  get size(): number {
    return this.#waiting.size
  }

  arm(watch: StateWatch): void {
    for (const { id } of watch.topics) {
      let waiting = this.#waiting.get(id)
      if (waiting === undefined) {
        waiting = new Set()
        this.#waiting.set(id, waiting)
        this.#countPrefix(id, 1)
      }
      waiting.add(watch)
    }
  }

  disarm(watch: StateWatch): void {
    for (const { id } of watch.topics) {
      const waiting = this.#waiting.get(id)
      if (!waiting?.delete(watch) || waiting.size > 0) continue
      this.#waiting.delete(id)
      this.#countPrefix(id, -1)
    }
  }

  #countPrefix(id: string, by: number): void {
    const mark = id.indexOf(PREFIX_MARK)
    if (mark === -1) return
    const length = id.length - mark - 1
    const count = (this.#prefixLengths.get(length) ?? 0) + by
    if (count === 0) this.#prefixLengths.delete(length)
    else this.#prefixLengths.set(length, count)
  }

  /** Adds the topics of the prefixes of `key` that are waited for. */
  touchPrefixes(table: string, key: string, touched: Set<string>): void {
    for (const length of this.#prefixLengths.keys()) {
      if (length <= key.length) touched.add(prefixTopicId(table, key.slice(0, length)))
    }
  }

  /** Everyone who waits for one of these topics, taken off all lists; `fire()` calls them back. */
  take(touched: Iterable<string>): ReadonlySet<StateWatch> {
    const taken = new Set<StateWatch>()
    for (const id of touched) {
      for (const watch of this.#waiting.get(id) ?? []) taken.add(watch)
    }
    for (const watch of taken) this.disarm(watch)
    return taken
  }

  /** Everyone, because the tables were replaced; whoever does not wait finds it out when asked. */
  takeAll(): ReadonlySet<StateWatch> {
    this.#generation++
    return this.take([...this.#waiting.keys()])
  }
}

/** Tells when something that a reading saw has changed since. */
export interface Watch {
  /** True once something it read has changed. */
  readonly fired: boolean
  /**
   * Calls back once, after the batch that changed it was applied whole (in a microtask if that has happened already).
   * The returned function cancels; a callback neither fired nor cancelled keeps the watch in memory.
   */
  onFire(callback: () => void): () => void
}

export class StateWatch implements Watch {
  readonly topics: readonly Topic[]
  readonly #watches: Watches
  readonly #index: number
  readonly #generation: number
  readonly #callbacks = new Set<() => void>()
  #fired = false

  /** @param index - the reading's: a later change of a topic has a higher one */
  constructor(watches: Watches, topics: readonly Topic[], index: number) {
    this.#watches = watches
    this.topics = topics
    this.#index = index
    this.#generation = watches.generation
  }

  get fired(): boolean {
    if (!this.#fired && this.#callbacks.size === 0) {
      this.#fired = this.#watches.generation !== this.#generation || highestIndex(this.topics) > this.#index
    }
    return this.#fired
  }

  onFire(callback: () => void): () => void {
    // Its own function, so that the same callback may be given twice.
    const once = () => callback()
    if (this.fired) {
      let cancelled = false
      queueMicrotask(() => {
        if (!cancelled) once()
      })
      return () => {
        cancelled = true
      }
    }
    if (this.#callbacks.size === 0) this.#watches.arm(this)
    this.#callbacks.add(once)
    return () => {
      if (this.#callbacks.delete(once) && this.#callbacks.size === 0 && !this.#fired) this.#watches.disarm(this)
    }
  }

  /** Calls back all who wait; one that throws does not keep the others from hearing. */
  fire(onError: (error: unknown) => void): void {
    this.#fired = true
    const callbacks = [...this.#callbacks]
    this.#callbacks.clear()
    for (const callback of callbacks) {
      try {
        callback()
      } catch (error) {
        onError(error)
      }
    }
  }
}

/** The index of a reading of these topics; 0 if none was ever changed. */
export function highestIndex(topics: readonly Topic[]): number {
  let highest = 0
  for (const topic of topics) highest = Math.max(highest, topic.index())
  return highest
}
