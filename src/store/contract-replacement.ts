/**
 * The contract's tests of replacing everything: all or nothing, for the stored records, for writers and for followers.
 */
import assert from 'node:assert/strict'
import { codeOf } from '#base'
import { type Check, committed, content, follow, inBatches, loaded, plain, put, refusal } from './contract-fixture.ts'
import type { CommitResult, Content, Engine } from './engine.ts'
import { MAX_KEY_BYTES, MAX_TRANSACTION_BYTES } from './transaction.ts'

export function checkReplacements(check: Check): void {
  check('replaceAll() leaves what it was given and nothing else, as of one new revision', async (engine) => {
    const before = await committed(engine, { writes: [put('a', 'old'), put('b', 'old'), put('meta/x', 'old')] })
    const given = inBatches([content('b', 'new'), content('c', '')], [], [content('meta/y', 'new')])
    const { revision } = await engine.replaceAll(given)
    assert.ok(revision > before)
    const after = await loaded(engine)
    assert.equal(after.revision, revision)
    assert.deepEqual(plain(after.records), [
      ['b', 'new', revision, revision],
      ['c', '', revision, revision],
      ['meta/y', 'new', revision, revision],
    ])
    assert.ok((await engine.barrier()) >= revision)
    assert.deepEqual(await engine.commit({ writes: [put('b', '2', before)] }), { ok: false, conflicts: ['b'] })
    const next = await committed(engine, { writes: [put('a', '2', 0), put('b', '2', revision)] })
    assert.ok(next > revision)
    assert.deepEqual(plain((await loaded(engine)).records)[1], ['b', '2', revision, next])
  })

  check('replaceAll() takes more than one transaction holds, and keeps it over a restart', async (engine, under) => {
    const records = Array.from({ length: 3_000 }, (_, index) => content(`k/${10_000 + index}`, `value ${index}`))
    const largest = { key: 'l'.repeat(MAX_KEY_BYTES), value: new Uint8Array(MAX_TRANSACTION_BYTES - MAX_KEY_BYTES) }
    await committed(engine, { writes: [put('k/10000', 'old'), put('old', 'old')] })
    const { revision } = await engine.replaceAll(inBatches(records.slice(0, 1_700), records.slice(1_700), [largest]))
    const expected = [...records, largest].map(({ key }) => key)
    const keysOf = async (of: Engine) => (await loaded(of)).records.map(({ key }) => key)
    assert.deepEqual(await keysOf(engine), expected)
    if (!under.reopen) return
    const again = await under.reopen()
    assert.deepEqual(await keysOf(again), expected)
    assert.ok((await committed(again, { writes: [put('next', '')] })) > revision)
  })

  check('replaceAll() by nothing empties the store, and revisions go on', async (engine) => {
    const before = await committed(engine, { writes: [put('a', '1')] })
    const { revision } = await engine.replaceAll(inBatches())
    assert.ok(revision > before)
    assert.deepEqual(await loaded(engine), { records: [], revision })
  })

  check('replaceAll() that fails on the way changes nothing, and nobody notices', async (engine) => {
    await committed(engine, { writes: [put('a', '1'), put('z', '1')] })
    const before = await loaded(engine)
    const { follower } = follow(engine, before.revision)
    async function* cut() {
      yield [content('a', 'new')]
      yield [content('b', 'new')]
      throw new Error('the source was cut')
    }
    await assert.rejects(engine.replaceAll(cut()), /the source was cut/)
    const huge = { key: 'h', value: new Uint8Array(MAX_TRANSACTION_BYTES) }
    const refused: [string, ...(readonly Content[])[]][] = [
      ['STORE_TRANSACTION_INVALID', [content('a', 'new'), content('a', 'twice')]],
      ['STORE_TRANSACTION_INVALID', [content('b', 'new')], [content('a', 'out of order')]],
      ['STORE_TRANSACTION_INVALID', [content('\u{10ffff}', 'new')], [content('\uffff', 'out of byte order')]],
      ['STORE_TRANSACTION_INVALID', [content('', 'no key')]],
      ['STORE_TRANSACTION_INVALID', [content('\ud800', 'no Unicode')]],
      ['STORE_TRANSACTION_TOO_LARGE', [content('a', 'new')], [huge]],
      ['STORE_TRANSACTION_TOO_LARGE', [content('k'.repeat(MAX_KEY_BYTES + 1), '')]],
    ]
    for (const [code, ...batches] of refused) {
      await assert.rejects(engine.replaceAll(inBatches(...batches)), refusal(code))
    }
    assert.deepEqual((await loaded(engine)).records, before.records)
    assert.equal(follower.lost, undefined)
    await committed(engine, { writes: [put('a', '2', before.records[0]?.modRevision)] })
    assert.equal(follower.batches.length, 1)
  })

  check('replaceAll() ends every subscription before it resolves, and none can begin before it', async (engine) => {
    const before = await committed(engine, { writes: [put('a', '1')] })
    const followers = [follow(engine, before).follower, follow(engine, before).follower]
    const { revision } = await engine.replaceAll(inBatches([content('a', '1')]))
    for (const { lost, batches } of followers) {
      assert.equal(codeOf(lost), 'STORE_REPLACED')
      assert.equal(batches.length, 0, 'a replacement is no batch')
    }
    const late = await new Promise((resolve) => engine.subscribe(before, () => {}, resolve))
    assert.ok(['STORE_HISTORY_GONE', 'STORE_REPLACED'].includes(codeOf(late) ?? ''))
    const { follower } = follow(engine, revision)
    const next = await committed(engine, { writes: [put('a', '2')] })
    assert.deepEqual(
      follower.batches.map((batch) => batch.revision),
      [next],
    )
    assert.equal(followers[0]?.batches.length, 0)
  })

  check('replaceAll() leaves each racing transaction whole: before it, after it, or refused', async (engine) => {
    const tries: { readonly keys: readonly string[]; readonly done: Promise<CommitResult> }[] = []
    const attempt = (name: string) => {
      const keys = [`try/${name}/a`, `try/${name}/b`]
      const done = engine.commit({ writes: keys.map((key) => put(key, 'x', 0)) })
      done.catch(() => {})
      tries.push({ keys, done })
    }
    async function* slowly() {
      for (let batch = 0; batch < 20; batch++) {
        attempt(`during-${batch}`)
        await new Promise((resolve) => setImmediate(resolve))
        yield [content(`new/${String(batch).padStart(2, '0')}`, 'x')]
      }
    }
    for (let index = 0; index < 50; index++) attempt(`before-${index}`)
    const { revision } = await engine.replaceAll(slowly())
    for (let index = 0; index < 50; index++) attempt(`after-${index}`)
    const results = await Promise.allSettled(tries.map(({ done }) => done))
    const stored = new Set((await loaded(engine)).records.map(({ key }) => key))
    const outcomes = new Map<string, number>()
    for (const [index, { keys }] of tries.entries()) {
      const result = results[index]
      assert.ok(result)
      const there = keys.filter((key) => stored.has(key)).length
      if (result.status === 'rejected') {
        assert.equal(codeOf(result.reason), 'STORE_REPLACED')
        assert.equal(there, 0, `${keys[0]} was refused and is there`)
      } else {
        assert.ok(result.value.ok)
        assert.equal(there, result.value.revision > revision ? 2 : 0, `${keys[0]} is there by half, or gone`)
        assert.notEqual(result.value.revision, revision)
      }
      const outcome = result.status === 'rejected' ? 'refused' : there > 0 ? 'after' : 'before'
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    assert.equal([...stored].filter((key) => key.startsWith('new/')).length, 20)
    assert.equal(outcomes.get('after'), 50, 'what is handed in afterwards is not refused')
  })

  check('replaceAll() twice at a time: the later one stays, whole', async (engine) => {
    const of = (name: string) => Array.from({ length: 200 }, (_, index) => content(`k/${1_000 + index}`, name))
    const [one, two] = await Promise.all([
      engine.replaceAll(inBatches(of('one'), [content('one', '')])),
      engine.replaceAll(inBatches(of('two'), [content('two', '')])),
    ])
    assert.notEqual(one.revision, two.revision)
    const { records, revision } = await loaded(engine)
    assert.equal(revision, Math.max(one.revision, two.revision))
    const last = one.revision > two.revision ? 'one' : 'two'
    assert.deepEqual(
      plain(records).map(([key, value]) => [key, value]),
      [...of(last), content(last, '')].map(({ key, value }) => [key, Buffer.from(value).toString()]),
    )
  })

  check('replaceAll() keeps leases', async (engine) => {
    const lease = engine.lease('leader', { ttlMs: 5_000, holder: 'one' })
    const duty = await lease.acquire()
    await engine.replaceAll(inBatches([content('a', '1')]))
    assert.equal(duty.aborted, false)
    assert.equal(await engine.lease('leader', { ttlMs: 5_000, holder: 'two' }).holder(), 'one')
    assert.deepEqual(
      (await loaded(engine)).records.map(({ key }) => key),
      ['a'],
    )
  })

  check('replaceAll() is refused once the engine is closed', async (engine) => {
    await engine.close()
    await assert.rejects(engine.replaceAll(inBatches()), refusal('STORE_CLOSED'))
  })
}
