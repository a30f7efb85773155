/**
 * What the engine and its thread say to each other. Keys and values travel in one buffer that is handed over, not
 * copied; numbers travel beside it, in columns.
 *
 * Both ends are this program: the shapes are trusted, and only the file's content is not.
 */
import type { StoredRecord, Transaction } from './engine.ts'
import type { PlaceCode } from './errors.ts'

/** A condition on a key that is not written, in place of a value's length. */
export const NOT_WRITTEN = -2
/** A deletion, in place of a value's length. */
export const DELETED = -1
/** No expectation, in place of a mod revision. */
export const ANY = -1

/** Transactions, one entry per key; `bytes` has key, value, key, value, … */
export interface PackedTransactions {
  /** Entries of each transaction, writes before conditions. */
  readonly counts: readonly number[]
  readonly keyBytes: readonly number[]
  /** Length of the value, DELETED or NOT_WRITTEN. */
  readonly valueBytes: readonly number[]
  readonly expects: readonly number[]
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Per transaction: its revision, or the entries (counted within it) whose expectation failed. */
export type Outcome =
  | {
      readonly revision: number /** Per write: the create revision; DELETED; 0: nothing there to delete. */
      readonly created: readonly number[]
    }
  | { readonly conflicts: readonly number[] }

/** Records, one entry each; `bytes` as in PackedTransactions. */
export interface PackedRecords {
  readonly keyBytes: readonly number[]
  readonly valueBytes: readonly number[]
  readonly createRevisions: readonly number[]
  readonly modRevisions: readonly number[]
  readonly bytes: Uint8Array<ArrayBuffer>
}

export type Request =
  | { readonly kind: 'commit'; readonly transactions: PackedTransactions }
  /** The records after this key; null: from the first. */
  | { readonly kind: 'page'; readonly after: Uint8Array | null }
  | { readonly kind: 'begin-replacing' }
  /** Puts only, without expectations. */
  | { readonly kind: 'replace'; readonly records: PackedTransactions }
  | { readonly kind: 'end-replacing' }
  | { readonly kind: 'stop-replacing' }
  | { readonly kind: 'close' }

export interface Failure {
  readonly code: PlaceCode
  readonly path: string
  readonly reason: string
}

export type Reply =
  | { readonly kind: 'opened'; readonly revision: number }
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'records'; readonly records: PackedRecords }
  | { readonly kind: 'replacing' }
  | { readonly kind: 'replaced'; readonly revision: number }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** What the thread is started with. */
export interface ThreadOptions {
  /** null: in memory. */
  readonly path: string | null
  readonly maxBytes: number
}

/** @param totalBytes - of all keys and values, as checkTransaction() counted them */
export function packTransactions(transactions: readonly Transaction[], totalBytes: number): PackedTransactions {
  const bytes = Buffer.allocUnsafeSlow(totalBytes)
  const counts: number[] = []
  const keyBytes: number[] = []
  const valueBytes: number[] = []
  const expects: number[] = []
  let at = 0
  for (const { writes, conditions = [] } of transactions) {
    counts.push(writes.length + conditions.length)
    for (const { key, value, expect } of writes) {
      const length = bytes.write(key, at)
      at += length
      keyBytes.push(length)
      valueBytes.push(value ? value.byteLength : DELETED)
      expects.push(expect ?? ANY)
      if (!value) continue
      bytes.set(value, at)
      at += value.byteLength
    }
    for (const { key, expect } of conditions) {
      const length = bytes.write(key, at)
      at += length
      keyBytes.push(length)
      valueBytes.push(NOT_WRITTEN)
      expects.push(expect)
    }
  }
  return { counts, keyBytes, valueBytes, expects, bytes }
}

/** Views into the page's buffer, not copies. */
export function unpackRecords(packed: PackedRecords): StoredRecord[] {
  const { keyBytes, valueBytes, createRevisions, modRevisions } = packed
  const bytes = Buffer.from(packed.bytes.buffer, packed.bytes.byteOffset, packed.bytes.byteLength)
  let at = 0
  return keyBytes.map((length, index) => {
    const key = bytes.toString('utf8', at, at + length)
    at += length
    const value = bytes.subarray(at, at + (valueBytes[index] ?? 0))
    at += value.byteLength
    return { key, value, createRevision: createRevisions[index] ?? 0, modRevision: modRevisions[index] ?? 0 }
  })
}
