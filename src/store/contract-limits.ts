/**
 * The contract's tests of limits and ends: what is refused, who holds a lease, what closing leaves.
 */
import assert from 'node:assert/strict'
import { codeOf } from '#base'
import { type Check, committed, drop, follow, loaded, put, refusal } from './contract-fixture.ts'
import type { Transaction } from './engine.ts'
import { MAX_KEY_BYTES, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_KEYS } from './transaction.ts'

export function checkRefusals(check: Check): void {
  check('commit() refuses what no engine can take, and nothing is written', async (engine) => {
    const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`)
    const tooLarge: Transaction[] = [
      { writes: keys(MAX_TRANSACTION_KEYS + 1).map((key) => put(key, '')) },
      { writes: [], conditions: keys(MAX_TRANSACTION_KEYS + 1).map((key) => ({ key, expect: 0 })) },
      { writes: [{ key: 'a', value: new Uint8Array(MAX_TRANSACTION_BYTES) }] },
      { writes: [put('k'.repeat(MAX_KEY_BYTES + 1), '')] },
    ]
    const invalid: Transaction[] = [
      { writes: [put('a', '1'), drop('a')] },
      { writes: [put('a', '1')], conditions: [{ key: 'a', expect: 0 }] },
      { writes: [put('', '1')] },
      { writes: [put('\ud800', '1')] },
      { writes: [put('a', '1', -1)] },
      { writes: [], conditions: [{ key: 'a', expect: 0.5 }] },
    ]
    const before = await loaded(engine)
    for (const transaction of tooLarge) {
      await assert.rejects(engine.commit(transaction), refusal('STORE_TRANSACTION_TOO_LARGE'))
    }
    for (const transaction of invalid) {
      await assert.rejects(engine.commit(transaction), refusal('STORE_TRANSACTION_INVALID'))
    }
    assert.deepEqual(await loaded(engine), before)
  })

  check('commit() takes a transaction that is exactly as large as allowed', async (engine) => {
    const key = 'k'.repeat(MAX_KEY_BYTES)
    await committed(engine, { writes: [{ key, value: new Uint8Array(MAX_TRANSACTION_BYTES - MAX_KEY_BYTES) }] })
    const full = Array.from({ length: MAX_TRANSACTION_KEYS }, (_, index) => put(`k${index}`, 'x', 0))
    await committed(engine, { writes: full })
    assert.equal((await loaded(engine)).records.length, MAX_TRANSACTION_KEYS + 1)
  })

  check(
    'commit() of as many keys as allowed is all or nothing, and names those that are not as expected',
    async (engine) => {
      const keys = Array.from({ length: MAX_TRANSACTION_KEYS }, (_, index) => `k${index}`)
      const first = await committed(engine, { writes: keys.map((key) => put(key, '1', 0)) })
      const second = await committed(engine, { writes: [put('k7', '2'), put('k1000', '2')] })
      const before = await loaded(engine)
      const { follower } = follow(engine, second)
      for (const transaction of [
        { writes: keys.map((key) => put(key, '3', first)) },
        { writes: [put('other', '3')], conditions: keys.map((key) => ({ key, expect: first })) },
      ]) {
        const result = await engine.commit(transaction)
        assert.deepEqual(result.ok || result.conflicts, ['k7', 'k1000'])
      }
      assert.deepEqual(await loaded(engine), before)
      const changed = new Set(['k7', 'k1000'])
      const third = await committed(engine, { writes: keys.map((key) => drop(key, changed.has(key) ? second : first)) })
      assert.deepEqual((await loaded(engine)).records, [])
      assert.deepEqual(
        follower.batches.map(({ revision, changes }) => [revision, changes.length]),
        [[third, MAX_TRANSACTION_KEYS]],
      )
      assert.equal(await committed(engine, { writes: keys.map((key) => drop(key)) }), third, 'nothing was there')
    },
  )

  check('commit() of many keys beside small ones: each sees all of the others or nothing', async (engine) => {
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}`)
    let revision = await committed(engine, { writes: keys.map((key) => put(key, '0', 0)) })
    const { follower } = follow(engine, revision)
    const small = Array.from({ length: 300 }, (_, index) => engine.commit({ writes: [put(`s/${index}`, 'x')] }))
    for (let round = 1; round <= 5; round++) {
      const large = { writes: keys.map((key) => put(key, `${round}`, revision)) }
      const [one, other] = await Promise.all([engine.commit(large), engine.commit(large)])
      const won = one.ok ? one : other
      assert.ok(won.ok && one.ok !== other.ok, 'one of two that expect the same')
      revision = won.revision
    }
    await Promise.all(small)
    const whole = follower.batches.map(({ changes }) => changes.filter(({ key }) => key.startsWith('k')).length)
    assert.deepEqual(
      whole.filter((count) => count > 0),
      Array(5).fill(keys.length),
    )
  })

  check('commit() refuses with STORE_BUSY when too much waits, and all that it took happens', async (engine) => {
    const tries = Array.from({ length: 6_000 }, (_, index) => engine.commit({ writes: [put(`k/${index}`, 'x')] }))
    const results = await Promise.allSettled(tries)
    const refused = results.filter((result) => result.status === 'rejected')
    assert.ok(refused.length > 0)
    for (const { reason } of refused) assert.equal(codeOf(reason), 'STORE_BUSY')
    assert.equal((await loaded(engine)).records.length, results.length - refused.length)
  })
}

export function checkLeases(check: Check): void {
  const as = (holder: string) => ({ ttlMs: 1_000, holder })

  check('lease() has one holder at a time, and goes on to the next', async (engine) => {
    const one = engine.lease('leader', as('one'))
    const two = engine.lease('leader', as('two'))
    assert.equal(await one.holder(), undefined)
    const duty = await one.acquire()
    assert.equal(await two.holder(), 'one')
    assert.equal(await one.acquire(), duty, 'the holder asks again')
    let granted = false
    const waiting = two.acquire().then((signal) => {
      granted = true
      return signal
    })
    const other = await engine.lease('other', as('two')).acquire()
    assert.equal(granted, false)
    await one.release()
    assert.ok(duty.aborted)
    assert.equal((await waiting).aborted, false)
    assert.equal(other.aborted, false)
    assert.equal(await one.holder(), 'two')
  })

  check('lease() stops waiting when its caller does', async (engine) => {
    const one = engine.lease('leader', as('one'))
    const two = engine.lease('leader', as('two'))
    await one.acquire()
    const caller = new AbortController()
    const waiting = two.acquire(caller.signal)
    caller.abort(new Error('gave up'))
    await assert.rejects(waiting, /gave up/)
    await assert.rejects(two.acquire(caller.signal), /gave up/)
    await one.release()
    assert.equal(await one.holder(), undefined)
    assert.equal((await two.acquire()).aborted, false)
  })
}

export function checkEnds(check: Check): void {
  check('close() finishes what was queued, then refuses, and ends every duty', async (engine) => {
    const duty = await engine.lease('leader', { ttlMs: 1_000, holder: 'one' }).acquire()
    const waiting = engine.lease('leader', { ttlMs: 1_000, holder: 'two' }).acquire()
    const ended = assert.rejects(waiting, refusal('STORE_CLOSED'))
    const queued = engine.commit({ writes: [put('a', '1')] })
    const closed = engine.close()
    assert.ok((await queued).ok)
    await closed
    await engine.close()
    assert.ok(duty.aborted)
    await ended
    await assert.rejects(engine.commit({ writes: [] }), refusal('STORE_CLOSED'))
    await assert.rejects(engine.barrier(), refusal('STORE_CLOSED'))
  })

  check('what was answered is there after close() and opening again, and revisions go on', async (engine, under) => {
    if (!under.reopen) return
    await committed(engine, { writes: [put('a', '1'), put('b', '1')] })
    await committed(engine, { writes: [put('a', '2')] })
    const before = await loaded(engine)
    const last = await committed(engine, { writes: [drop('a'), drop('b')] })
    const again = await under.reopen()
    const after = await loaded(again)
    assert.deepEqual(after.records, [])
    assert.ok(after.revision >= last, 'deletes and a restart took the revision back')
    const next = await committed(again, { writes: [put('a', '3', 0)] })
    assert.ok(next > last && last > before.revision)
    const lost = await new Promise((resolve) => again.subscribe(before.revision - 1, () => {}, resolve))
    assert.equal(codeOf(lost), 'STORE_HISTORY_GONE')
  })
}
