/**
 * Many transactions in one of etcd's, and what its answer means for each. Pure.
 *
 * Transactions go together when none of them writes what another one expects or writes: then it is the same as one
 * after the other, in any order. If one expectation fails, etcd does nothing; then it is asked which keys are where, and
 * those whose own expectations hold are tried again without the others.
 *
 * The writer's own key is compared and written with each fold. So a fold that is sent twice happens once, and a fold
 * for a generation that was replaced (its writers' keys are deleted) does not happen at all.
 */
import {
  ETCD_COMPARE,
  type EtcdCompare,
  type EtcdKeyValue,
  type EtcdOperation,
  EtcdOperationReply,
  type EtcdTxn,
  type EtcdTxnReply,
} from '#codec'
import type { QueuedTransaction } from '../commit-queue.ts'
import type { Transaction } from '../engine.ts'
import { MAX_TRANSACTION_BYTES } from '../transaction.ts'
import { endOf, type Generation } from './keyspace.ts'

/** etcd's `--max-txn-ops`, which counts comparisons and operations each; the writer's key takes one of both. */
export const MAX_OPERATIONS = 128

const NO_RANGE = {
  key: '',
  rangeEnd: '',
  limit: 0,
  revision: 0,
  serializable: false,
  keysOnly: false,
  countOnly: false,
}

export const expectRevision = (key: string, modRevision: number): EtcdCompare => ({
  target: ETCD_COMPARE.modRevision,
  key,
  createRevision: 0,
  modRevision,
  value: null,
})
export const expectValue = (key: string, value: Buffer): EtcdCompare => ({
  target: ETCD_COMPARE.value,
  key,
  createRevision: 0,
  modRevision: 0,
  value,
})
export const putOf = (key: string, value: Uint8Array, lease = 0n): EtcdOperation => ({
  range: null,
  put: { key, value: asBuffer(value), lease },
  delete: null,
})
export const deleteOf = (key: string, rangeEnd = ''): EtcdOperation => ({
  range: null,
  put: null,
  delete: { key, rangeEnd },
})
export const rangeOf = (key: string, options: Partial<typeof NO_RANGE> = {}) => ({ ...NO_RANGE, ...options, key })
export const readOf = (key: string, options: Partial<typeof NO_RANGE> = {}): EtcdOperation => ({
  range: rangeOf(key, options),
  put: null,
  delete: null,
})
export const allBelow = (prefix: string, options: Partial<typeof NO_RANGE> = {}) =>
  rangeOf(prefix, { ...options, rangeEnd: endOf(prefix) })

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What one operation of a transaction was answered. */
export function answerTo(reply: EtcdTxnReply, position: number) {
  const bytes = reply.replies?.[position]
  return bytes && EtcdOperationReply.decode(bytes)
}

/** The key that one read of a transaction found. */
export function foundBy(reply: EtcdTxnReply, position: number): EtcdKeyValue | undefined {
  return answerTo(reply, position)?.range?.kvs?.[0]
}

/** Every expectation of a transaction, writes before conditions. */
export function expectationsOf({ writes, conditions = [] }: Transaction): { key: string; expect: number }[] {
  const expected: { key: string; expect: number }[] = []
  for (const { key, expect } of writes) if (expect !== undefined) expected.push({ key, expect })
  expected.push(...conditions)
  return expected
}

/** Whether it has room for the writer's key; one that has not is committed alone, without it. */
export function fitsWithWriter(transaction: Transaction): boolean {
  return transaction.writes.length < MAX_OPERATIONS && countExpectations(transaction) < MAX_OPERATIONS
}

function countExpectations({ writes, conditions }: Transaction): number {
  let count = conditions?.length ?? 0
  for (const { expect } of writes) if (expect !== undefined) count++
  return count
}

/** Says of one transaction after the other whether it goes into the fold; the first always does. */
export function foldRule(): (queued: QueuedTransaction) => boolean {
  /** Whether it is written, by each key of the fold; the others are only expected to be somewhere. */
  const written = new Map<string, boolean>()
  let writes = 1
  let expectations = 1
  let bytes = 0
  let alone = false
  return ({ transaction, bytes: ownBytes }) => {
    if (alone) return false
    const conditions = transaction.conditions ?? []
    const own = countExpectations(transaction)
    if (written.size > 0) {
      if (writes + transaction.writes.length > MAX_OPERATIONS || expectations + own > MAX_OPERATIONS) return false
      if (bytes + ownBytes > MAX_TRANSACTION_BYTES || !fitsWithWriter(transaction)) return false
      for (const { key } of transaction.writes) if (written.has(key)) return false
      for (const { key } of conditions) if (written.get(key)) return false
    } else if (!fitsWithWriter(transaction)) alone = true
    for (const { key } of conditions) written.set(key, false)
    for (const { key } of transaction.writes) written.set(key, true)
    writes += transaction.writes.length
    expectations += own
    bytes += ownBytes
    return true
  }
}

/** The writer's own key: where it must be, and what the fold makes of it. */
export interface WriterMark {
  readonly key: string
  readonly expect: number
  readonly value: Buffer
}

/** The fold as etcd's transaction. `mark` is undefined for one that has no room for it. */
export function encodeFold(fold: readonly Transaction[], keys: Generation, mark: WriterMark | undefined): EtcdTxn {
  const compare: EtcdCompare[] = []
  const success: EtcdOperation[] = []
  const conditions = new Map<string, number>()
  const expect = (key: string, revision: number) => {
    compare.push(expectRevision(keys.record(key), keys.inEtcd(key, revision)))
  }
  for (const transaction of fold) {
    for (const { key, value, expect: revision } of transaction.writes) {
      if (revision !== undefined) expect(key, revision)
      success.push(value === null ? deleteOf(keys.record(key)) : putOf(keys.record(key), value))
    }
    for (const { key, expect: revision } of transaction.conditions ?? []) {
      // Many rely on the same record; asked once is enough.
      if (conditions.get(key) === revision) continue
      conditions.set(key, revision)
      expect(key, revision)
    }
  }
  if (mark === undefined) return { compare, success, failure: [] }
  compare.push(expectRevision(mark.key, mark.expect))
  success.push(putOf(mark.key, mark.value))
  return { compare, success, failure: [readOf(mark.key)] }
}

/** Asks where the keys are that a fold has expectations of. */
export function encodeQuestion(fold: readonly Transaction[], keys: Generation): EtcdTxn {
  const expected = new Set(
    fold.flatMap((transaction) => expectationsOf(transaction)).map(({ key }) => keys.record(key)),
  )
  return { compare: [], success: [...expected].map((key) => readOf(key, { keysOnly: true })), failure: [] }
}

/** Where the keys are that a question asked for; 0 for those that are not there. */
export function revisionsIn(question: EtcdTxn, reply: EtcdTxnReply): ReadonlyMap<string, number> {
  const revisions = new Map<string, number>()
  for (const [position, operation] of (question.success ?? []).entries()) {
    revisions.set(operation.range?.key ?? '', foundBy(reply, position)?.modRevision ?? 0)
  }
  return revisions
}

/** The keys whose expectations do not hold, in the transaction's order. */
export function conflictsOf(
  transaction: Transaction,
  keys: Generation,
  revisions: ReadonlyMap<string, number>,
): readonly string[] {
  return expectationsOf(transaction)
    .filter(({ key, expect }) => (revisions.get(keys.record(key)) ?? 0) !== keys.inEtcd(key, expect))
    .map(({ key }) => key)
}

/** Whether a fold that succeeded changed a record: it put one, or deleted one that was there. */
export function changedRecords(fold: readonly Transaction[], reply: EtcdTxnReply): boolean {
  const writes = fold.flatMap((transaction) => transaction.writes)
  if (writes.some(({ value }) => value !== null)) return true
  return writes.some((_, position) => (answerTo(reply, position)?.delete?.deleted ?? 0) > 0)
}
