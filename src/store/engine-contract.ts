/**
 * The contract of engine.ts as tests: `engineContract(name, open)` runs the same ones against every engine.
 *
 * Not a test by itself: each engine's test file calls it. Engines may be shared with other writers and may not begin
 * at revision 0, so the tests compare revisions and never expect a number.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, seededRandom } from '#base'
import type { ChangeBatch, CommitResult, Engine, StoredRecord, Transaction } from './engine.ts'
import { MAX_KEY_BYTES, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_KEYS } from './transaction.ts'

/** An engine with an empty store. `reopen` closes it and opens the same data again; undefined: nothing is kept. */
export interface EngineUnderTest {
  readonly engine: Engine
  readonly reopen?: () => Promise<Engine>
  readonly dispose: () => Promise<void>
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = (value: Uint8Array | null): string | null => value && Buffer.from(value).toString()
const put = (key: string, value: string, expect?: number) => ({ key, value: bytes(value), expect })
const drop = (key: string, expect?: number) => ({ key, value: null, expect })

async function committed(engine: Engine, transaction: Transaction): Promise<number> {
  const result = await engine.commit(transaction)
  assert.ok(result.ok, 'the transaction met a conflict')
  return result.revision
}

async function loaded(engine: Engine): Promise<{ records: StoredRecord[]; revision: number }> {
  const records: StoredRecord[] = []
  const { revision } = await engine.load((batch) => records.push(...batch))
  return { records, revision }
}

const plain = (records: readonly StoredRecord[]) =>
  records.map(({ key, value, createRevision, modRevision }) => [key, textOf(value), createRevision, modRevision])

function refusal(code: string) {
  return (error: unknown) => codeOf(error) === code
}

/** What a follower of the stream holds: the least that a state does. */
class Follower {
  readonly batches: ChangeBatch[] = []
  readonly records = new Map<string, StoredRecord>()
  lost: unknown

  readonly onBatch = (batch: ChangeBatch): void => {
    assert.ok(batch.revision > (this.batches.at(-1)?.revision ?? -1), 'a batch came out of order')
    this.batches.push(batch)
    for (const { key, value, createRevision, modRevision } of batch.changes) {
      assert.equal(modRevision, batch.revision)
      if (value) this.records.set(key, { key, value, createRevision, modRevision })
      else this.records.delete(key)
    }
  }

  readonly onLost = (error: unknown): void => {
    this.lost = error
  }

  sorted(): StoredRecord[] {
    return [...this.records.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }
}

function follow(engine: Engine, after: number): { follower: Follower; stop: () => void } {
  const follower = new Follower()
  const stop = engine.subscribe(after, follower.onBatch, follower.onLost)
  return { follower, stop }
}

/** Declares the contract's tests for one engine. */
export function engineContract(name: string, open: () => Promise<EngineUnderTest>): void {
  const check = (criterion: string, body: (engine: Engine, under: EngineUnderTest) => Promise<void>) =>
    test(`${name}: ${criterion}`, async () => {
      const under = await open()
      try {
        await body(under.engine, under)
      } finally {
        await under.dispose()
      }
    })
  checkTransactions(check)
  checkExpectations(check)
  checkStream(check)
  checkRefusals(check)
  checkLeases(check)
  checkEnds(check)
}

type Check = (criterion: string, body: (engine: Engine, under: EngineUnderTest) => Promise<void>) => void

function checkTransactions(check: Check): void {
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

function checkExpectations(check: Check): void {
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

function checkStream(check: Check): void {
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

function checkRefusals(check: Check): void {
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

  check('commit() refuses with STORE_BUSY when too much waits, and all that it took happens', async (engine) => {
    const tries = Array.from({ length: 6_000 }, (_, index) => engine.commit({ writes: [put(`k/${index}`, 'x')] }))
    const results = await Promise.allSettled(tries)
    const refused = results.filter((result) => result.status === 'rejected')
    assert.ok(refused.length > 0)
    for (const { reason } of refused) assert.equal(codeOf(reason), 'STORE_BUSY')
    assert.equal((await loaded(engine)).records.length, results.length - refused.length)
  })
}

function checkLeases(check: Check): void {
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

function checkEnds(check: Check): void {
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
