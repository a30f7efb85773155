/**
 * The contract's tests of transactions: what a commit leaves behind, and when it leaves nothing.
 */
import assert from 'node:assert/strict'
import { type Check, committed, drop, follow, loaded, plain, put, textOf } from './contract-fixture.ts'
import { MAX_TRANSACTION_KEYS } from './transaction.ts'

export function checkTransactions(check: Check): void {
  check('load() of an empty store hands over nothing', async (engine) => {
    assert.deepEqual((await loaded(engine)).records, [])
  })

  check('commit() gives create and mod revisions, and a key made again begins anew', async (engine) => {
    const first = await committed(engine, { writes: [put('a', '1'), put('b', '1')] })
    const second = await committed(engine, { writes: [put('a', '2')] })
    assert.ok(second > first)
    const { records, revision } = await loaded(engine)
    assert.equal(revision, second)
    assert.deepEqual(plain(records), [
      ['a', '2', first, second],
      ['b', '1', first, first],
    ])
    const third = await committed(engine, { writes: [drop('a')] })
    const fourth = await committed(engine, { writes: [put('a', '3')] })
    assert.ok(third > second && fourth > third)
    assert.deepEqual(plain((await loaded(engine)).records)[0], ['a', '3', fourth, fourth])
  })

  check('commit() that changes nothing keeps the revision and makes no batch', async (engine) => {
    const revision = await committed(engine, { writes: [put('a', '1')] })
    const { follower } = follow(engine, revision)
    assert.equal(await committed(engine, { writes: [] }), revision)
    assert.equal(await committed(engine, { writes: [drop('missing')] }), revision)
    assert.equal(follower.batches.length, 0)
    const again = await committed(engine, { writes: [put('a', '1'), drop('missing')] })
    assert.ok(again > revision, 'a put of the same value is a change')
    assert.deepEqual(
      follower.batches.map((batch) => batch.changes.map((change) => change.key)),
      [['a']],
    )
  })

  check('commit() keeps any text as key and any bytes as value', async (engine) => {
    const keys = ['a', 'a\0', 'a\0b', 'a/', 'é', 'z', '\u{10ffff}', '\uffff', ' ', 'a/b', '"\'%_;--']
    await committed(engine, { writes: keys.map((key) => put(key, `value of ${key}`)) })
    const all = Uint8Array.from({ length: 256 }, (_, index) => index)
    await committed(engine, { writes: [{ key: 'all', value: all }, put('empty', '')] })
    const { records } = await loaded(engine)
    const sorted = [...keys, 'all', 'empty'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(
      records.map((record) => record.key),
      sorted,
      'keys are ordered by their bytes',
    )
    const values = new Map(records.map((record) => [record.key, record.value]))
    for (const key of keys) assert.equal(textOf(values.get(key) ?? null), `value of ${key}`)
    assert.deepEqual(Buffer.from(values.get('all') ?? []), Buffer.from(all))
    assert.equal(values.get('empty')?.byteLength, 0)
  })

  check('load() hands over more records than one batch holds, once each', async (engine) => {
    const keys = Array.from({ length: 2_500 }, (_, index) => `key/${String(index).padStart(5, '0')}`)
    const jobs: Promise<number>[] = []
    for (let at = 0; at < keys.length; at += MAX_TRANSACTION_KEYS) {
      const writes = keys.slice(at, at + MAX_TRANSACTION_KEYS).map((key) => put(key, key))
      jobs.push(committed(engine, { writes }))
    }
    await Promise.all(jobs)
    const { records } = await loaded(engine)
    assert.deepEqual(
      records.map((record) => textOf(record.value)),
      keys,
    )
  })
}

export function checkExpectations(check: Check): void {
  check('commit() names every conflict and writes nothing', async (engine) => {
    const first = await committed(engine, { writes: [put('a', '1'), put('b', '1')] })
    const before = await loaded(engine)
    const { follower } = follow(engine, before.revision)
    const result = await engine.commit({
      writes: [put('c', '1', 0), put('a', '2', 0), put('b', '2', first), drop('missing', first)],
      conditions: [
        { key: 'x', expect: first },
        { key: 'y', expect: 0 },
      ],
    })
    assert.deepEqual(result, { ok: false, conflicts: ['a', 'missing', 'x'] })
    assert.deepEqual(await loaded(engine), before)
    assert.equal(follower.batches.length, 0)
  })

  check('commit() writes when all expectations hold', async (engine) => {
    const first = await committed(engine, { writes: [put('a', '1', 0), put('b', '1')] })
    const conditions = [
      { key: 'b', expect: first },
      { key: 'none', expect: 0 },
    ]
    const second = await committed(engine, { writes: [put('a', '2', first), drop('gone', 0)], conditions })
    assert.deepEqual(await engine.commit({ writes: [put('a', '3', first)] }), { ok: false, conflicts: ['a'] })
    await committed(engine, { writes: [drop('a', second)], conditions })
    assert.deepEqual(
      (await loaded(engine)).records.map((record) => record.key),
      ['b'],
    )
  })

  check('commit() lets one of many that wait together win a key', async (engine) => {
    const tries = Array.from({ length: 32 }, (_, index) =>
      engine.commit({ writes: [put('lock', String(index), 0), put(`by/${index}`, 'x')] }),
    )
    const results = await Promise.all(tries)
    const winners = results.flatMap((result, index) => (result.ok ? [index] : []))
    assert.equal(winners.length, 1)
    const { records } = await loaded(engine)
    assert.deepEqual(
      records.map((record) => record.key),
      [`by/${winners[0]}`, 'lock'],
      'a loser left something behind',
    )
  })

  check('commit() loses no increment of 8 writers that compare and set one counter', async (engine) => {
    const read = async () => (await loaded(engine)).records[0]
    await committed(engine, { writes: [put('n', '0')] })
    const writer = async () => {
      for (let done = 0; done < 5; ) {
        const record = await read()
        assert.ok(record)
        const next = String(Number(textOf(record.value)) + 1)
        if ((await engine.commit({ writes: [put('n', next, record.modRevision)] })).ok) done++
      }
    }
    await Promise.all(Array.from({ length: 8 }, writer))
    assert.equal(textOf((await read())?.value ?? null), '40')
  })
}
