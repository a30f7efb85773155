/**
 * Writers that want the same key take turns, first come first served, instead of colliding in the store.
 *
 * A key is held from the moment its commit is handed to the store until that is answered. Who finds it held waits
 * outside, holding nothing, and then tries anew; so there is no deadlock, and correctness never rests on this: the
 * store compares all the same.
 */

export class WriteGate {
  readonly #held = new Set<string>()
  readonly #queues = new Map<string, (() => void)[]>()

  /** The first key that is held by another, or that others wait for. */
  blockedBy(keys: Iterable<string>, turnOf?: string): string | undefined {
    for (const key of keys) {
      if (this.#held.has(key) || (key !== turnOf && this.#queues.has(key))) return key
    }
    return undefined
  }

  hold(keys: Iterable<string>): void {
    for (const key of keys) this.#held.add(key)
  }

  release(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#held.delete(key)
      this.passOn(key)
    }
  }

  /** Waits for a key; whoever had a turn calls passOn() with it when done, holding it or not. */
  turn(key: string): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#queues.get(key)
      if (queue) queue.push(resolve)
      else this.#queues.set(key, [resolve])
    })
  }

  /** Lets the next one try, unless the key is held; then its release does. */
  passOn(key: string): void {
    if (this.#held.has(key)) return
    const queue = this.#queues.get(key)
    const next = queue?.shift()
    if (queue?.length === 0) this.#queues.delete(key)
    next?.()
  }
}
