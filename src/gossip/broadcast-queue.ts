/**
 * Broadcasts that wait to be piggybacked on packets, each sent a limited number of times.
 *
 * Picking order: fewest transmits first; among those the largest message that still fits; then the newest. The queue is
 * an array kept in exactly that order, so that picking is one pass.
 *
 * Source: SWIM (Das et al., 2002) §4.1; gossip wire notes §9.
 */

export interface Broadcast {
  readonly message: Buffer
  /** A newer broadcast of the same name replaces this one. */
  readonly name?: string
  /** Called once: when it was sent often enough, or dropped. */
  readonly onDone?: () => void
}

interface Queued extends Broadcast {
  readonly id: number
  readonly transmits: number
}

/** Most broadcasts a queue holds whatever else is asked; the most transmitted ones go first. */
export const MAX_QUEUED_BROADCASTS = 16_384

function before(a: Queued, b: Queued): number {
  if (a.transmits !== b.transmits) return a.transmits - b.transmits
  if (a.message.length !== b.message.length) return b.message.length - a.message.length
  return b.id - a.id
}

export class BroadcastQueue {
  readonly #items: Queued[] = []
  readonly #named = new Map<string, Queued>()
  #nextId = 0

  get length(): number {
    return this.#items.length
  }

  add(broadcast: Broadcast): void {
    if (broadcast.name !== undefined) {
      const older = this.#named.get(broadcast.name)
      if (older) this.#drop(older)
    }
    this.#insert({ ...broadcast, id: this.#nextId++, transmits: 0 })
    this.prune(MAX_QUEUED_BROADCASTS)
  }

  /**
   * Takes what fits into `budgetBytes`.
   *
   * @param overheadBytes - added by each message
   * @param transmitLimit - a message that was taken this often leaves the queue
   */
  take(
    overheadBytes: number,
    budgetBytes: number,
    transmitLimit: number,
    maxMessages = Number.POSITIVE_INFINITY,
  ): Buffer[] {
    const picked: Queued[] = []
    let freeBytes = budgetBytes
    for (const item of this.#items) {
      if (freeBytes <= overheadBytes || picked.length >= maxMessages) break
      const cost = item.message.length + overheadBytes
      if (cost > freeBytes) continue
      freeBytes -= cost
      picked.push(item)
    }
    for (const item of picked) {
      this.#remove(item)
      if (item.transmits + 1 >= transmitLimit) item.onDone?.()
      else this.#insert({ ...item, transmits: item.transmits + 1 })
    }
    return picked.map((item) => item.message)
  }

  /** Drops all but `keep`, beginning with those that were sent most. */
  prune(keep: number): void {
    while (this.#items.length > keep) {
      const last = this.#items[this.#items.length - 1]
      if (!last) return
      this.#drop(last)
    }
  }

  #drop(item: Queued): void {
    this.#remove(item)
    item.onDone?.()
  }

  #insert(item: Queued): void {
    this.#items.splice(this.#indexFor(item), 0, item)
    if (item.name !== undefined) this.#named.set(item.name, item)
  }

  #remove(item: Queued): void {
    const index = this.#indexFor(item)
    if (this.#items[index]?.id === item.id) this.#items.splice(index, 1)
    if (item.name !== undefined && this.#named.get(item.name)?.id === item.id) this.#named.delete(item.name)
  }

  /** Where `item` stands or belongs. */
  #indexFor(item: Queued): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (before(this.#items[middle]!, item) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
