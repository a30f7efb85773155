/**
 * The contract between Hanse and what keeps its data: transactions on ordered keys, and one stream of what they changed.
 *
 * It has the shape of etcd (compare, put, delete, watch, lease), because the engine for several servers is etcd; the
 * embedded engine (sqlite-engine.ts) keeps the same promises. `engineContract()` in engine-contract.ts is the same text
 * as a test suite: an engine that passes it may stand here. Nothing above this folder knows which engine runs.
 *
 * Promises, beyond the types:
 * - A transaction happens whole or not at all, and `commit()` resolves when it is durable.
 * - Revisions only grow: over deletes, restarts and crashes. They may have gaps. A transaction has a higher revision
 *   than all that were answered before it was handed in; two that were waiting together may share one.
 * - Before `commit()` resolves, every subscriber has been handed all batches up to its revision. A state that is fed by
 *   the stream is therefore up to date when the writer goes on.
 * - A transaction that changes nothing (empty, or it deletes what is not there) makes no batch; its answer has the
 *   revision that the store was at. A put of the value that is already there is a change.
 * - Keys are text without lone surrogates, ordered by their UTF-8 bytes.
 * - Bytes that were handed in or out are shared, not copied: nobody changes them afterwards.
 */

/** One key that a transaction writes. */
export interface Write {
  readonly key: string
  /** null deletes the key. */
  readonly value: Uint8Array | null
  /** The mod revision the key must have, 0 if it must not exist; undefined sets no condition. */
  readonly expect?: number
}

/** A key that must be unchanged, but is not written. */
export interface Condition {
  readonly key: string
  readonly expect: number
}

/** Each key at most once over both lists. Limits: transaction.ts. */
export interface Transaction {
  readonly writes: readonly Write[]
  readonly conditions?: readonly Condition[]
}

/** `conflicts`: every key whose expectation did not hold, writes before conditions, in the transaction's order. */
export type CommitResult =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly conflicts: readonly string[] }

export interface StoredRecord {
  readonly key: string
  readonly value: Uint8Array
  /** Revision that made the key; a key that was deleted and made again has a new one. */
  readonly createRevision: number
  /** Revision that wrote it last. */
  readonly modRevision: number
}

/** What a key holds, without where it came from. */
export interface Content {
  readonly key: string
  readonly value: Uint8Array
}

export interface Change {
  readonly key: string
  /** null: the key was deleted. */
  readonly value: Uint8Array | null
  /** 0 for a deletion. */
  readonly createRevision: number
  readonly modRevision: number
}

/** All that one revision changed, each key once. */
export interface ChangeBatch {
  readonly revision: number
  readonly changes: readonly Change[]
}

export interface LeaseOptions {
  /** How long the others wait after the holder fell silent, in milliseconds. An engine with one process ignores it. */
  readonly ttlMs: number
  /** Who asks, as the others see it: a server's name. */
  readonly holder: string
}

/** A duty that one server has at a time. Two leases of one name exclude each other, in one process too. */
export interface Lease {
  readonly name: string
  /**
   * Waits until this lease is the holder. The duty runs under the returned signal: it is aborted when the lease is
   * released or lost, or the engine closes.
   *
   * @throws the reason of `signal` once that is aborted; STORE_CLOSED
   */
  acquire(signal?: AbortSignal): Promise<AbortSignal>
  /** Gives the duty up, or the wait for it; harmless where there is nothing to give up. */
  release(): Promise<void>
  /** The holder's name, whoever it is. */
  holder(): Promise<string | undefined>
}

export interface Engine {
  /** 'sqlite', 'memory' or 'etcd': for people to read, not to branch on. */
  readonly kind: string

  /**
   * Hands over every record, in the order of their keys, as of one revision. Go on with `subscribe(revision)`.
   * Writes wait meanwhile (or go on, where the engine can keep the picture still).
   *
   * @throws STORE_CORRUPT, STORE_CLOSED, STORE_FAILED
   */
  load(onRecords: (batch: readonly StoredRecord[]) => void): Promise<{ readonly revision: number }>

  /**
   * Hands over every batch after `afterRevision`, in order and without a gap, beginning with those that exist already.
   * `onLost` comes once and ends it: history is gone (STORE_HISTORY_GONE: load again), everything was replaced
   * (STORE_REPLACED: load again), the engine failed, or `onBatch` threw. Closing the engine or calling the returned function ends it silently.
   */
  subscribe(afterRevision: number, onBatch: (batch: ChangeBatch) => void, onLost: (error: unknown) => void): () => void

  /**
   * Compares and writes, all or nothing.
   *
   * @throws STORE_BUSY (nothing was tried), STORE_CONTENDED, STORE_REPLACED, STORE_TRANSACTION_TOO_LARGE, STORE_TRANSACTION_INVALID,
   *   STORE_FULL, STORE_FAILED, STORE_CORRUPT, STORE_CLOSED: nothing was written, except that after STORE_FAILED it is
   *   unknown
   */
  commit(transaction: Transaction): Promise<CommitResult>

  /**
   * Puts these records in the place of everything that is stored, all or nothing, also over a crash. They come in
   * ascending order of their keys, as load() hands them over, each no larger than one transaction may be; afterwards
   * all have the returned revision, which is higher than any before, as create and as mod revision.
   *
   * A transaction that was handed in and not done when it happens fails with STORE_REPLACED and wrote nothing. Every
   * subscriber is lost with STORE_REPLACED, those of this engine before this resolves; nobody can follow from a
   * revision before it. Leases are kept. Writes may wait meanwhile, so the records should be at hand.
   *
   * @throws what `records` throws; STORE_TRANSACTION_INVALID, STORE_TRANSACTION_TOO_LARGE, STORE_FULL, STORE_FAILED,
   *   STORE_CLOSED: everything is as it was, except that after STORE_FAILED it is unknown which of the two is there
   */
  replaceAll(records: AsyncIterable<readonly Content[]>): Promise<{ readonly revision: number }>

  /** The revision that a linearizable read must have seen: no lower than that of any transaction answered before. */
  barrier(): Promise<number>

  /**
   * How long ago, in milliseconds, it was last known that the stream lacks nothing that was answered to anyone; 0 for
   * an engine that only one process writes.
   */
  staleMs(): number

  lease(name: string, options: LeaseOptions): Lease

  /** Finishes what is queued, refuses what comes later, gives all leases up. May be called more than once. */
  close(): Promise<void>
}

/** Keys under this prefix hold facts about the store itself (schema of the state, index base); the state writes them. */
export const META_PREFIX = 'meta/'
