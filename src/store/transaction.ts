/**
 * What a transaction may hold. Checked before it is queued, so that every engine refuses the same ones.
 *
 * Source: etcd's `--max-request-bytes` (1.5 MiB, of which a part is left for the frame around keys and values). Keys
 * are limited so that one transaction does not hold up all others for long.
 */
import type { Content, Transaction } from './engine.ts'
import { storeError } from './errors.ts'

/** Most keys one transaction writes, and most that it sets an expectation on. */
export const MAX_TRANSACTION_KEYS = 1024
/** Keys and values of one transaction together. */
export const MAX_TRANSACTION_BYTES = 1_048_576
export const MAX_KEY_BYTES = 16_384

function checkKey(key: string, seen: Set<string>): number {
  if (key === '') throw storeError('STORE_TRANSACTION_INVALID', { reason: 'a key is empty' })
  if (!key.isWellFormed()) throw storeError('STORE_TRANSACTION_INVALID', { reason: 'a key is not valid Unicode' })
  if (seen.has(key)) throw storeError('STORE_TRANSACTION_INVALID', { reason: 'a key occurs twice' })
  seen.add(key)
  const keyBytes = Buffer.byteLength(key)
  checkLimit('bytes in one key', keyBytes, MAX_KEY_BYTES)
  return keyBytes
}

function checkExpect(expect: number): void {
  if (!Number.isSafeInteger(expect) || expect < 0) {
    throw storeError('STORE_TRANSACTION_INVALID', { reason: 'an expected revision is not a whole number from 0 on' })
  }
}

/** The key of the record before, of those that replace everything. */
export interface Ascent {
  last: Uint8Array
}

export const startOfAscent = (): Ascent => ({ last: new Uint8Array(0) })

/**
 * The size of records that are part of a replacement. Each must be as it could be written alone, and their keys ascend.
 *
 * @throws STORE_TRANSACTION_TOO_LARGE, STORE_TRANSACTION_INVALID
 */
export function checkReplacement(records: readonly Content[], ascent: Ascent): number {
  let bytes = 0
  for (const { key, value } of records) {
    const size = checkKey(key, new Set()) + value.byteLength
    checkLimit('bytes', size, MAX_TRANSACTION_BYTES)
    const encoded = Buffer.from(key)
    if (Buffer.compare(encoded, ascent.last) <= 0) {
      throw storeError('STORE_TRANSACTION_INVALID', { reason: 'the keys of a replacement do not ascend' })
    }
    ascent.last = encoded
    bytes += size
  }
  return bytes
}

function checkLimit(what: string, count: number, limit: number): void {
  if (count > limit) throw storeError('STORE_TRANSACTION_TOO_LARGE', { what, count, limit })
}

/**
 * The size of a transaction in bytes, keys and values together.
 *
 * @throws STORE_TRANSACTION_TOO_LARGE, STORE_TRANSACTION_INVALID
 */
export function checkTransaction({ writes, conditions = [] }: Transaction): number {
  checkLimit('keys to write', writes.length, MAX_TRANSACTION_KEYS)
  let expectations = conditions.length
  let bytes = 0
  const seen = new Set<string>()
  for (const { key, value, expect } of writes) {
    bytes += checkKey(key, seen) + (value?.byteLength ?? 0)
    if (expect === undefined) continue
    checkExpect(expect)
    expectations++
  }
  checkLimit('expectations', expectations, MAX_TRANSACTION_KEYS)
  for (const { key, expect } of conditions) {
    bytes += checkKey(key, seen)
    checkExpect(expect)
  }
  checkLimit('bytes', bytes, MAX_TRANSACTION_BYTES)
  return bytes
}
