/** The queue before the disk: bounded by number and bytes, folded in order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from '#base'
import { CommitQueue, MAX_QUEUED_BYTES, MAX_QUEUED_TRANSACTIONS } from './commit-queue.ts'

const waiting = (bytes: number, reject: (error: unknown) => void = () => {}) => ({
  transaction: { writes: [] },
  bytes,
  resolve: () => {},
  reject,
})

function fill(queue: CommitQueue, bytes: number): string | undefined {
  try {
    for (let count = 0; count <= MAX_QUEUED_TRANSACTIONS; count++) queue.add(waiting(bytes))
  } catch (error) {
    return codeOf(error)
  }
  return undefined
}

test('add() refuses what is beyond the limits of number and bytes, and takes again what fits', () => {
  const many = new CommitQueue()
  assert.equal(fill(many, 1), 'STORE_BUSY')
  assert.equal(many.length, MAX_QUEUED_TRANSACTIONS)
  const large = new CommitQueue()
  assert.equal(fill(large, 1_000_000), 'STORE_BUSY')
  assert.equal(large.length, Math.floor(MAX_QUEUED_BYTES / 1_000_000))
  large.take()
  large.add(waiting(1_000_000))
})

test('take() folds in order, within its limits, and one that is large goes alone', () => {
  const queue = new CommitQueue()
  const large = waiting(9_000_000)
  const small = Array.from({ length: 600 }, () => waiting(10))
  queue.add(large)
  for (const queued of small) queue.add(queued)
  assert.deepEqual(queue.take(), { fold: [large], bytes: 9_000_000 })
  assert.deepEqual(queue.take(), { fold: small.slice(0, 512), bytes: 5_120 })
  assert.deepEqual(queue.take(), { fold: small.slice(512), bytes: 880 })
  assert.deepEqual(queue.take(), { fold: [], bytes: 0 })
})

test('fail() refuses all that waits', () => {
  const queue = new CommitQueue()
  const refused: unknown[] = []
  for (let count = 0; count < 3; count++) queue.add(waiting(1, (error) => refused.push(error)))
  queue.fail('broken')
  assert.deepEqual(refused, ['broken', 'broken', 'broken'])
  assert.equal(queue.length, 0)
})
