/**
 * Many transactions in one of etcd's, and what its answer means for each. Pure.
 *
 * Transactions go together when none of them writes what another one expects or writes: then it is the same as one
 * after the other, in any order. If one expectation fails, etcd does nothing and says which keys are where; those whose
 * own expectations hold are tried again without the others.
 *
 * The writer's own key is compared and written with each fold. So a fold that is sent twice happens once, and a fold
 * for a generation that was replaced (its writers' keys are deleted) does not happen at all.
 */
import { ETCD_COMPARE, type EtcdCompare, type EtcdOperation, type EtcdTxn, type EtcdTxnReply } from '#codec'
import type { QueuedTransaction } from '../commit-queue.ts'
import type { Transaction } from '../engine.ts'
import { MAX_TRANSACTION_BYTES } from '../transaction.ts'
import { endOf, type Generation } from './keyspace.ts'

/** etcd's `--max-txn-ops`, which counts comparisons and operations each; the writer's key takes one of both. */
export const MAX_OPERATIONS = 128

const NO_KEYS: EtcdCompare = { target: 0, key: '', createRevision: 0, modRevision: 0, value: null }
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
  ...NO_KEYS,
  target: ETCD_COMPARE.modRevision,
  key,
  modRevision,
})
export const expectValue = (key: string, value: Buffer): EtcdCompare => ({
  ...NO_KEYS,
  target: ETCD_COMPARE.value,
  key,
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

/** Every expectation of a transaction, writes before conditions. */
export function expectationsOf({ writes, conditions = [] }: Transaction): { key: string; expect: number }[] {
  const expected: { key: string; expect: number }[] = []
  for (const { key, expect } of writes) if (expect !== undefined) expected.push({ key, expect })
  expected.push(...conditions)
  return expected
}

/** Whether it has room for the writer's key; one that has not is committed alone, without it. */
export function fitsWithWriter(transaction: Transaction): boolean {
  return transaction.writes.length < MAX_OPERATIONS && expectationsOf(transaction).length < MAX_OPERATIONS
}

/** Says of one transaction after the other whether it goes into the fold; the first always does. */
export function foldRule(): (queued: QueuedTransaction) => boolean {
  const written = new Set<string>()
  const expected = new Set<string>()
  let writes = 1
  let expectations = 1
  let bytes = 0
  let alone = false
  return ({ transaction, bytes: ownBytes }) => {
    if (alone) return false
    const own = expectationsOf(transaction)
    const empty = written.size === 0 && expected.size === 0
    if (!empty) {
      if (writes + transaction.writes.length > MAX_OPERATIONS || expectations + own.length > MAX_OPERATIONS)
        return false
      if (bytes + ownBytes > MAX_TRANSACTION_BYTES || !fitsWithWriter(transaction)) return false
      if (transaction.writes.some(({ key }) => written.has(key) || expected.has(key))) return false
      if (own.some(({ key }) => written.has(key))) return false
    } else if (!fitsWithWriter(transaction)) alone = true
    for (const { key } of transaction.writes) written.add(key)
    for (const { key } of own) expected.add(key)
    writes += transaction.writes.length
    expectations += own.length
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
  const expected = new Map<string, EtcdCompare[]>()
  const success: EtcdOperation[] = []
  for (const transaction of fold) {
    for (const { key, expect } of expectationsOf(transaction)) {
      const compare = expectRevision(keys.record(key), keys.inEtcd(key, expect))
      const others = expected.get(compare.key)
      if (others === undefined) expected.set(compare.key, [compare])
      else if (others.every(({ modRevision }) => modRevision !== compare.modRevision)) others.push(compare)
    }
    for (const { key, value } of transaction.writes) {
      success.push(value === null ? deleteOf(keys.record(key)) : putOf(keys.record(key), value))
    }
  }
  const compare = [...expected.values()].flat()
  const failure = [...expected.keys()].map((key) => readOf(key, { keysOnly: true }))
  if (mark === undefined) return { compare, success, failure }
  return {
    compare: [...compare, expectRevision(mark.key, mark.expect)],
    success: [...success, putOf(mark.key, mark.value)],
    failure: [...failure, readOf(mark.key)],
  }
}

/** Where the keys are that the answer to a failed fold names; 0 for those that are not there. */
export function revisionsIn(request: EtcdTxn, reply: EtcdTxnReply): ReadonlyMap<string, number> {
  const revisions = new Map<string, number>()
  for (const [position, operation] of (request.failure ?? []).entries()) {
    const key = operation.range?.key ?? ''
    revisions.set(key, reply.replies?.[position]?.range?.kvs?.[0]?.modRevision ?? 0)
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
export function changedRecords(request: EtcdTxn, reply: EtcdTxnReply, mark: WriterMark | undefined): boolean {
  return (request.success ?? []).some(({ put }, position) => {
    if (put !== null) return put.key !== mark?.key
    return (reply.replies?.[position]?.delete?.deleted ?? 0) > 0
  })
}
