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
import type { EtcdCompare, EtcdOperation, EtcdTxn, EtcdTxnReply } from '#codec'
import type { QueuedTransaction } from '../commit-queue.ts'
import type { Transaction } from '../engine.ts'
import { MAX_TRANSACTION_BYTES } from '../transaction.ts'
import type { Generation } from './keyspace.ts'
import { answerTo, expectRevision, foundBy, putOf, readOf, writeOf } from './operations.ts'

/** etcd's `--max-txn-ops`, which counts comparisons and operations each; the writer's key takes one of both. */
export const MAX_OPERATIONS = 128

/** Every expectation of a transaction, writes before conditions. */
export function expectationsOf({ writes, conditions = [] }: Transaction): { key: string; expect: number }[] {
  const expected: { key: string; expect: number }[] = []
  for (const { key, expect } of writes) if (expect !== undefined) expected.push({ key, expect })
  expected.push(...conditions)
  return expected
}

/** Whether etcd can compare and write its keys one by one, with the writer's key; if not, see large.ts. */
export function fitsInFold(transaction: Transaction): boolean {
  return transaction.writes.length < MAX_OPERATIONS && countExpectations(transaction) < MAX_OPERATIONS
}

export function countExpectations({ writes, conditions }: Transaction): number {
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
      if (bytes + ownBytes > MAX_TRANSACTION_BYTES || !fitsInFold(transaction)) return false
      for (const { key } of transaction.writes) if (written.has(key)) return false
      for (const { key } of conditions) if (written.get(key)) return false
    } else if (!fitsInFold(transaction)) alone = true
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

/** The fold as etcd's transaction. */
export function encodeFold(fold: readonly Transaction[], keys: Generation, mark: WriterMark): EtcdTxn {
  const compare: EtcdCompare[] = []
  const success: EtcdOperation[] = []
  const conditions = new Map<string, number>()
  const expect = (key: string, revision: number) => {
    compare.push(expectRevision(keys.record(key), keys.inEtcd(key, revision)))
  }
  for (const transaction of fold) {
    for (const { key, value, expect: revision } of transaction.writes) {
      if (revision !== undefined) expect(key, revision)
      success.push(writeOf(keys.record(key), value))
    }
    for (const { key, expect: revision } of transaction.conditions ?? []) {
      // Many rely on the same record; asked once is enough.
      if (conditions.get(key) === revision) continue
      conditions.set(key, revision)
      expect(key, revision)
    }
  }
  compare.push(expectRevision(mark.key, mark.expect))
  success.push(putOf(mark.key, mark.value))
  return { compare, success, failure: [readOf(mark.key)] }
}

/** The keys that a fold has expectations of, each once. */
export function expectedKeys(fold: readonly Transaction[]): string[] {
  return [...new Set(fold.flatMap((transaction) => expectationsOf(transaction)).map(({ key }) => key))]
}

/** Asks where keys are, at most MAX_OPERATIONS of them. @param revision - as of when; 0: now */
export function encodeQuestion(asked: readonly string[], keys: Generation, revision = 0): EtcdTxn {
  return {
    compare: [],
    success: asked.map((key) => readOf(keys.record(key), { keysOnly: true, revision })),
    failure: [],
  }
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
