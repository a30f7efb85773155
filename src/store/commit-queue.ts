/**
 * Transactions that wait for the disk: bounded, first come first served, taken out many at a time.
 *
 * One sync of the disk costs the same for one transaction as for a hundred, so all that gathered during one are folded
 * into the next. Pure memory.
 */
import type { CommitResult, Transaction } from './engine.ts'
import { storeError } from './errors.ts'

/** Transactions that may wait; a further one is refused with STORE_BUSY. */
export const MAX_QUEUED_TRANSACTIONS = 4096
/** Bytes of keys and values that may wait. */
export const MAX_QUEUED_BYTES = 67_108_864
/** Most transactions and bytes of one fold: bounds how long the first of them waits for the last. */
const MAX_FOLDED_TRANSACTIONS = 512
const MAX_FOLDED_BYTES = 8_388_608

export interface QueuedTransaction {
  readonly transaction: Transaction
  readonly bytes: number
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

export class CommitQueue {
  #queue: QueuedTransaction[] = []
  #bytes = 0

  get length(): number {
    return this.#queue.length
  }

  /** @throws STORE_BUSY */
  add(queued: QueuedTransaction): void {
    if (this.#queue.length >= MAX_QUEUED_TRANSACTIONS) {
      const limit = MAX_QUEUED_TRANSACTIONS
      throw storeError('STORE_BUSY', { queued: this.#queue.length, limit, unit: 'transactions' })
    }
    if (this.#bytes + queued.bytes > MAX_QUEUED_BYTES) {
      throw storeError('STORE_BUSY', { queued: this.#bytes, limit: MAX_QUEUED_BYTES, unit: 'bytes' })
    }
    this.#queue.push(queued)
    this.#bytes += queued.bytes
  }

  /** Takes out what the next fold holds; at least one transaction if there is any. */
  take(): { fold: readonly QueuedTransaction[]; bytes: number } {
    let count = 0
    let bytes = 0
    for (const queued of this.#queue) {
      if (count >= MAX_FOLDED_TRANSACTIONS || (count > 0 && bytes + queued.bytes > MAX_FOLDED_BYTES)) break
      count++
      bytes += queued.bytes
    }
    const fold = this.#queue.slice(0, count)
    this.#queue = this.#queue.slice(count)
    this.#bytes -= bytes
    return { fold, bytes }
  }

  /** Takes out those that `accepts` says yes to, asked in order; the first one in any case. */
  takeAccepted(accepts: (queued: QueuedTransaction) => boolean): readonly QueuedTransaction[] {
    const taken: QueuedTransaction[] = []
    const left: QueuedTransaction[] = []
    for (const [position, queued] of this.#queue.entries()) {
      const asked = position < MAX_FOLDED_TRANSACTIONS && accepts(queued)
      if (asked || position === 0) taken.push(queued)
      else left.push(queued)
    }
    this.#queue = left
    for (const { bytes } of taken) this.#bytes -= bytes
    return taken
  }

  /** Puts back what was taken out and not done, before all others; the limits do not hold for it. */
  putBack(queued: readonly QueuedTransaction[]): void {
    this.#queue = [...queued, ...this.#queue]
    for (const { bytes } of queued) this.#bytes += bytes
  }

  /** The same, behind all others. */
  putLast(queued: QueuedTransaction): void {
    this.#queue.push(queued)
    this.#bytes += queued.bytes
  }

  /** Refuses all that waits. */
  fail(error: unknown): void {
    const queue = this.#queue
    this.#queue = []
    this.#bytes = 0
    for (const { reject } of queue) reject(error)
  }
}
