/** The stream of changes: what is kept, and what is no longer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from '#base'
import { ChangeLog, MAX_KEPT_BATCHES, MAX_KEPT_BYTES } from './change-log.ts'

const batch = (revision: number, valueBytes = 1) => ({
  revision,
  changes: [{ key: 'k', value: new Uint8Array(valueBytes), createRevision: 1, modRevision: revision }],
})

function revisionsAfter(log: ChangeLog, after: number): Promise<number[] | string | undefined> {
  return new Promise((resolve) => {
    const revisions: number[] = []
    log.subscribe(
      after,
      ({ revision }) => revisions.push(revision),
      (error) => resolve(codeOf(error)),
    )
    setImmediate(() => resolve(revisions))
  })
}

test('subscribe() begins with the batches that are kept after its revision', async () => {
  const log = new ChangeLog(10)
  for (const revision of [11, 13, 14]) log.append(batch(revision))
  assert.deepEqual(await revisionsAfter(log, 10), [11, 13, 14])
  assert.deepEqual(await revisionsAfter(log, 12), [13, 14])
  assert.deepEqual(await revisionsAfter(log, 14), [])
  assert.equal(await revisionsAfter(log, 9), 'STORE_HISTORY_GONE')
  assert.equal(await revisionsAfter(log, 15), 'STORE_HISTORY_GONE')
})

test('append() keeps as many batches and bytes as their limits say', async () => {
  const many = new ChangeLog(0)
  for (let revision = 1; revision <= MAX_KEPT_BATCHES + 5; revision++) many.append(batch(revision))
  assert.equal(await revisionsAfter(many, 4), 'STORE_HISTORY_GONE')
  assert.equal((await revisionsAfter(many, 5))?.length, MAX_KEPT_BATCHES)
  const large = new ChangeLog(0)
  for (let revision = 1; revision <= 5; revision++) large.append(batch(revision, MAX_KEPT_BYTES / 4))
  assert.equal(await revisionsAfter(large, 1), 'STORE_HISTORY_GONE')
  assert.deepEqual(await revisionsAfter(large, 2), [3, 4, 5])
})

test('fail() tells every subscriber once, close() tells none', async () => {
  const told: unknown[] = []
  const failing = new ChangeLog(0)
  failing.subscribe(
    0,
    () => {},
    (error) => told.push(error),
  )
  failing.fail('broken')
  failing.fail('again')
  await Promise.resolve()
  assert.deepEqual(told, ['broken'])
  const closing = new ChangeLog(0)
  const never = () => assert.fail('a closed log spoke')
  closing.subscribe(0, never, never)
  closing.close()
  closing.append(batch(1))
})
