/**
 * A transaction with more keys than etcd compares or writes in one (`--max-txn-ops`). Pure.
 *
 * The writes are groups within etcd's transaction, because the limit counts for each group anew. Expectations that are
 * too many to be compared with them are looked up at one revision; then the transaction is written on the condition that
 * no server has committed anything since, which is one comparison: of all their marks.
 */
import type { EtcdCompare, EtcdTxn } from '#codec'
import type { Transaction } from '../engine.ts'
import { countExpectations, expectationsOf, expectedKeys, MAX_OPERATIONS, type WriterMark } from './fold.ts'
import type { Generation } from './keyspace.ts'
import { expectNoneAfter, expectRevision, groupOf, putOf, readOf, writeOf } from './operations.ts'

/** What the outer transaction compares, and what a group writes: the limit holds for both together. */
const HALF = MAX_OPERATIONS / 2

/** Whether its expectations have to be looked up before. */
export function needsFence(transaction: Transaction): boolean {
  return countExpectations(transaction) >= HALF
}

/** The keys that it has expectations of, as many at a time as can be asked for. */
export function questionsOf(transaction: Transaction): string[][] {
  return inGroups(expectedKeys([transaction]), MAX_OPERATIONS)
}

/** @param fence - the revision at which its expectations held; undefined for one that does not need it */
export function encodeLarge(
  transaction: Transaction,
  keys: Generation,
  mark: WriterMark,
  fence: number | undefined,
): EtcdTxn {
  const expected = (): EtcdCompare[] =>
    expectationsOf(transaction).map(({ key, expect }) => expectRevision(keys.record(key), keys.inEtcd(key, expect)))
  const writes = transaction.writes.map(({ key, value }) => writeOf(keys.record(key), value))
  return {
    compare: [
      expectRevision(mark.key, mark.expect),
      ...(fence === undefined ? expected() : [expectNoneAfter(keys.writers, fence)]),
    ],
    success: [...inGroups(writes, HALF).map(groupOf), putOf(mark.key, mark.value)],
    failure: [readOf(mark.key)],
  }
}

function inGroups<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))
}
