/** A datacenter moved by its records: between engines, under who reads, waits and writes; and the indexes it shows. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Content, openMemory, openSqlite } from '#store'
import { StoredAuthority } from './ca-declarations.ts'
import { RecordCheck } from './restore.ts'
import type { State } from './state.ts'
import { check, entry, node, service, stateOver, withState } from './test-state.ts'
import type { ReadTx } from './transactions.ts'

async function dumped(state: State): Promise<{ records: Content[]; index: number }> {
  const records: Content[] = []
  const { index } = await state.dump((batch) => records.push(...batch))
  return { records, index }
}

async function* batches(records: readonly Content[], size = 3): AsyncGenerator<readonly Content[]> {
  for (let at = 0; at < records.length; at += size) yield records.slice(at, at + size)
}

const fill = async (state: State) => {
  await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('web'))])
  await state.write((tx) => tx.putCheck(check('n1', 'c', { ServiceID: 'web' })))
  await state.write((tx) => [tx.putKv(entry('a/b', '1')), tx.putKv(entry('a/gone'))])
  await state.write((tx) => tx.deleteKv('a/gone'))
}

const plain = (state: State) =>
  state.read((tx) => ({
    nodes: tx.nodes.all().map(({ Node }) => Node),
    web: tx.instances('web').map(({ Service, Checks }) => [Service?.ID, Checks?.map(({ CheckID }) => CheckID)]),
    kv: tx.kv.list('').map(({ Key, Value }) => [Key, Value?.toString()]),
  })).value

test('restore() gives another engine what was dumped of this one, over a restart too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hanse-restore-'))
  const memory = await openMemory()
  const source = await stateOver(memory, 700)
  try {
    await fill(source)
    const { records, index } = await dumped(source)
    assert.equal(index, source.index)
    const engine = await openSqlite({ directory })
    const target = await stateOver(engine)
    await target.write((tx) => tx.putKv(entry('old')))
    await target.restore(batches(records), index)
    assert.deepEqual(plain(target), plain(source))
    assert.ok(target.index > index, 'who knew the source sees the index go on')
    const shown = target.index
    await target.close()
    await engine.close()
    const again = await openSqlite({ directory })
    const reopened = await stateOver(again)
    assert.deepEqual(plain(reopened), plain(source))
    assert.equal(reopened.index, shown)
    await reopened.close()
    await again.close()
  } finally {
    await source.close()
    await memory.close()
    rmSync(directory, { recursive: true })
  }
})

const QUESTIONS: readonly ((tx: ReadTx) => unknown)[] = [
  (tx) => tx.kv.get('a/b'),
  (tx) => tx.kv.get('later'),
  (tx) => tx.kv.get('never'),
  (tx) => tx.kv.list('a/'),
  (tx) => tx.kv.list('later/'),
  (tx) => tx.nodes.all(),
  (tx) => tx.nodes.get('n2'),
  (tx) => tx.instances('web'),
  (tx) => tx.instances('db'),
  (tx) => tx.checks.inState('critical'),
  (tx) => tx.checks.inState('passing'),
]

test('restore() lets no index go back, of what is not there any more too, and wakes everyone', () =>
  withState(async (state) => {
    await fill(state)
    const { records, index } = await dumped(state)
    await state.write((tx) => [tx.putNode(node('n2')), tx.putService('n2', service('db'))])
    await state.write((tx) => tx.putCheck(check('n2', 'x', { Status: 'critical' })))
    await state.write((tx) => [tx.putKv(entry('later')), tx.putKv(entry('later/x')), tx.putKv(entry('a/c'))])
    const before = QUESTIONS.map((question) => state.read(question))
    const woken = before.map(({ watch }) => new Promise<void>((resolve) => watch.onFire(resolve)))
    const unarmed = QUESTIONS.map((question) => state.read(question).watch)
    const shown = state.index
    let told = 0
    state.onRestored(() => told++)
    await state.restore(batches(records), index)
    await Promise.all(woken)
    assert.equal(told, 1)
    assert.equal(state.restores, 1)
    assert.ok(state.index > shown)
    assert.ok(
      unarmed.every((watch) => watch.fired),
      'an answer from before is taken for one of now',
    )
    for (const [at, { index: earlier }] of before.entries()) {
      const now = state.read(QUESTIONS[at] ?? (() => undefined))
      assert.ok(now.index > earlier, `question ${at}: ${now.index} after ${earlier}`)
    }
    const { value } = state.read((tx) => tx.kv.get('a/b'))
    assert.ok(value && value.CreateIndex <= value.ModifyIndex && value.ModifyIndex <= state.index)
    const { watch } = state.read((tx) => tx.kv.get('a/b'))
    const fired = new Promise<void>((resolve) => watch.onFire(resolve))
    const written = await state.write((tx) => tx.putKv(entry('a/b', '2')))
    await fired
    assert.ok(written.index > value.ModifyIndex)
  }))

test('writes around a restore are whole and answered, on what was there before or after it', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putKv(entry('restored', 'yes')))
    const { records, index } = await dumped(state)
    const writers = Array.from({ length: 200 }, (_, at) =>
      state.write((tx) => {
        const seen = tx.kv.get('restored') !== undefined
        tx.putKv(entry(`w/${at}`, 'a'))
        tx.putKv(entry(`w/${at}/too`, 'a'))
        return seen
      }),
    )
    const restoring = state.restore(batches(records), index)
    const late = Array.from({ length: 200 }, (_, at) => state.write((tx) => tx.putKv(entry(`late/${at}`))))
    const consistent = state.consistent()
    await restoring
    const written = await Promise.all(writers)
    await Promise.all(late)
    await consistent
    await state.consistent()
    assert.ok(written.every(({ value }) => value))
    const keys = state.read((tx) => tx.kv.keys('w/')).value
    assert.equal(keys.length % 2, 0, 'half a write is there')
  }))

test('restore() makes serial numbers go on far above those of the snapshot', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putCaAuthority(StoredAuthority.of({ RootID: 'r', KeyPEM: 'k', NextSerial: 7 })))
    const { records, index } = await dumped(state)
    await state.write((tx) => tx.putCaAuthority(StoredAuthority.of({ RootID: 'r', KeyPEM: 'k', NextSerial: 5000 })))
    await state.restore(batches(records), index)
    const authority = state.read((tx) => tx.caAuthority()).value
    assert.equal(authority?.KeyPEM, 'k')
    assert.ok((authority?.NextSerial ?? 0) > 5000)
  }))

test('restore() of a source that breaks changes nothing', () =>
  withState(async (state) => {
    await fill(state)
    const before = { index: state.index, plain: plain(state) }
    async function* broken() {
      yield [{ key: 'kv/x', value: Buffer.from('x') }]
      throw new Error('the source broke')
    }
    await assert.rejects(state.restore(broken(), 9000), /the source broke/)
    assert.deepEqual({ index: state.index, plain: plain(state) }, before)
  }))

test('a restored datacenter can be dumped and restored again', () =>
  withState(async (state) => {
    await fill(state)
    for (let round = 0; round < 3; round++) {
      const { records, index } = await dumped(state)
      await state.restore(batches(records, 1), index)
    }
    assert.deepEqual(plain(state).kv, [['a/b', '1']])
  }))

test('RecordCheck refuses what the tables could not hold', async () => {
  const check = new RecordCheck()
  const engine = await openMemory()
  const state = await stateOver(engine)
  await fill(state)
  for (const record of (await dumped(state)).records) check.check(record)
  check.check({ key: 'of-a-later-version/x', value: Buffer.from('?') })
  assert.throws(() => check.check({ key: 'kv/a', value: Buffer.from([0xc1]) }), { code: 'STATE_RECORD_CORRUPT' })
  const header = Buffer.from('{"schema":99,"indexBase":0}')
  assert.throws(() => check.check({ key: 'meta/state', value: header }), { code: 'STATE_SCHEMA_NEWER' })
  await state.close()
  await engine.close()
})
