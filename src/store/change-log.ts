/**
 * The stream of changes: hands every batch to all subscribers in order, and keeps the last ones for who comes late.
 *
 * A subscriber that begins at a revision that is no longer kept is told so and loads anew; nobody ever sees a gap.
 * Pure memory; the engine that owns it decides when a batch is durable.
 */
import type { ChangeBatch } from './engine.ts'
import { storeError } from './errors.ts'

/** Batches kept for subscribers that begin behind. */
export const MAX_KEPT_BATCHES = 1024
/** Values kept with them. */
export const MAX_KEPT_BYTES = 16_777_216

interface Subscriber {
  readonly onBatch: (batch: ChangeBatch) => void
  readonly onLost: (error: unknown) => void
}

function bytesOf(batch: ChangeBatch): number {
  return batch.changes.reduce((sum, change) => sum + change.key.length + (change.value?.byteLength ?? 0), 0)
}

export class ChangeLog {
  readonly #subscribers = new Set<Subscriber>()
  /** A ring would save the shifting; at this length shift() is cheaper than its bookkeeping. */
  readonly #kept: ChangeBatch[] = []
  #keptBytes = 0
  /** Revision before the oldest kept batch: who has seen it misses nothing. */
  #floor: number
  #revision: number
  #lastBatch: number

  /** @param revision - the store's revision at the start; nothing before it can be followed */
  constructor(revision: number) {
    this.#floor = revision
    this.#revision = revision
    this.#lastBatch = revision
  }

  /** Revision up to which everything was handed over. */
  get revision(): number {
    return this.#revision
  }

  /** Revision of the last batch, or that of the start. */
  get lastBatch(): number {
    return this.#lastBatch
  }

  /** Up to here nothing more will come: others wrote what is not ours. */
  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
  }

  /** Whether one of the batches that are kept has this revision. */
  has(revision: number): boolean {
    return this.#kept.some((batch) => batch.revision === revision)
  }

  /** Appends a batch, of a higher revision than any before, and hands it to everyone before it returns. */
  append(batch: ChangeBatch): void {
    this.#revision = batch.revision
    this.#lastBatch = batch.revision
    this.#kept.push(batch)
    this.#keptBytes += bytesOf(batch)
    while (this.#kept.length > MAX_KEPT_BATCHES || this.#keptBytes > MAX_KEPT_BYTES) {
      const dropped = this.#kept.shift()
      if (!dropped) break
      this.#keptBytes -= bytesOf(dropped)
      this.#floor = dropped.revision
    }
    for (const subscriber of [...this.#subscribers]) this.#hand(subscriber, batch)
  }

  /** See Engine.subscribe(). Batches that are already kept are handed over before this returns. */
  subscribe(after: number, onBatch: Subscriber['onBatch'], onLost: Subscriber['onLost']): () => void {
    const subscriber: Subscriber = { onBatch, onLost }
    this.#subscribers.add(subscriber)
    const unsubscribe = () => {
      this.#subscribers.delete(subscriber)
    }
    if (after < this.#floor || after > this.#revision) {
      const gone = storeError('STORE_HISTORY_GONE', { after, from: this.#floor, to: this.#revision })
      this.#lose(subscriber, gone)
      return unsubscribe
    }
    for (const batch of [...this.#kept]) {
      if (batch.revision > after) this.#hand(subscriber, batch)
    }
    return unsubscribe
  }

  #hand(subscriber: Subscriber, batch: ChangeBatch): void {
    if (!this.#subscribers.has(subscriber)) return
    try {
      subscriber.onBatch(batch)
    } catch (error) {
      this.#lose(subscriber, error)
    }
  }

  /** Told in a turn of its own: what one subscriber then throws must not look like a failure of the writer. */
  #lose(subscriber: Subscriber, error: unknown): void {
    if (this.#subscribers.delete(subscriber)) queueMicrotask(() => subscriber.onLost(error))
  }

  /** Everything is another store's now: nothing before `revision` can be followed, and every subscriber hears it. */
  replace(revision: number): void {
    this.#forget(revision)
    this.fail(storeError('STORE_REPLACED', { revision }))
  }

  /** Tells every subscriber that nothing more will come, because the engine failed or began anew. */
  fail(error: unknown): void {
    for (const subscriber of [...this.#subscribers]) this.#lose(subscriber, error)
  }

  /** Forgets the subscribers without a word: the engine closes. */
  close(): void {
    this.#subscribers.clear()
    this.#forget(this.#revision)
  }

  #forget(revision: number): void {
    this.#kept.length = 0
    this.#keptBytes = 0
    this.#floor = revision
    this.#revision = revision
  }
}
