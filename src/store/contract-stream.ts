/**
 * The contract's tests of the stream: every change to every follower, in order, before the writer's answer.
 */
import assert from 'node:assert/strict'
import { codeOf, seededRandom } from '#base'
import { type Check, committed, drop, Follower, follow, loaded, plain, put, textOf } from './contract-fixture.ts'
import type { CommitResult } from './engine.ts'

export function checkStream(check: Check): void {
  check('subscribe() has handed over a change before commit() answers', async (engine) => {
    const { revision } = await loaded(engine)
    const { follower } = follow(engine, revision)
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      for (let round = 0; round < 5; round++) {
        const own = await committed(engine, { writes: [put(`w/${writer}`, String(round))] })
        assert.equal(textOf(follower.records.get(`w/${writer}`)?.value ?? null), String(round))
        assert.ok((follower.batches.at(-1)?.revision ?? 0) >= own)
      }
    })
    await Promise.all(writers)
  })

  check('subscribe() after load() rebuilds the same store, without gap or repeat, under a storm', async (engine) => {
    const random = seededRandom(7)
    const storm = async () => {
      const pending: Promise<CommitResult>[] = []
      for (let round = 0; round < 200; round++) {
        const key = `k/${random.int(20)}`
        pending.push(engine.commit({ writes: [random.int(3) === 0 ? drop(key) : put(key, String(round))] }))
        if (round % 10 === 0) await pending.at(-1)
      }
      await Promise.all(pending)
    }
    const writing = storm()
    const follower = new Follower()
    const { revision } = await engine.load((batch) => {
      for (const record of batch) follower.records.set(record.key, record)
    })
    await committed(engine, { writes: [put('between', 'load and subscribe')] })
    engine.subscribe(revision, follower.onBatch, follower.onLost)
    await writing
    assert.equal(follower.lost, undefined)
    assert.deepEqual(plain(follower.sorted()), plain((await loaded(engine)).records))
  })

  check('subscribe() hands a deletion over with no value and create revision 0', async (engine) => {
    const first = await committed(engine, { writes: [put('a', '1'), put('b', '1')] })
    const { follower } = follow(engine, first)
    const second = await committed(engine, { writes: [drop('a'), put('b', '2')] })
    assert.deepEqual(
      follower.batches[0]?.changes.map((change) => [change.key, textOf(change.value), change.createRevision]),
      [
        ['a', null, 0],
        ['b', '2', first],
      ],
    )
    assert.equal(follower.batches[0]?.revision, second)
  })

  check('subscribe() ends with its function, and for one whose callback threw, alone', async (engine) => {
    const { revision } = await loaded(engine)
    const stopped = follow(engine, revision)
    const going = follow(engine, revision)
    let lost: unknown
    const broken = () => {
      throw new Error('broken follower')
    }
    engine.subscribe(revision, broken, (error) => {
      lost = error
    })
    stopped.stop()
    await committed(engine, { writes: [put('a', '1')] })
    await committed(engine, { writes: [put('a', '2')] })
    assert.equal(stopped.follower.batches.length, 0)
    assert.equal(going.follower.batches.length, 2)
    assert.match(String(lost), /broken follower/)
  })

  check('subscribe() after a revision that is not there yet is told so', async (engine) => {
    const { revision } = await loaded(engine)
    const lost = await new Promise((resolve) => engine.subscribe(revision + 1_000_000, () => {}, resolve))
    assert.equal(codeOf(lost), 'STORE_HISTORY_GONE')
  })

  check('barrier() is not lower than any answered revision', async (engine) => {
    for (let round = 0; round < 5; round++) {
      const revision = await committed(engine, { writes: [put('a', String(round))] })
      assert.ok((await engine.barrier()) >= revision)
    }
  })
}
