/**
 * What is on disk and what the stream brings: restarts, restores, broken streams, and records that cannot be read.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { encode, NodeService } from '#codec'
import { type Engine, openMemory, openSqlite, storeError } from '#store'
import { check, entry, node, service, stateOver, withState } from './test-state.ts'
import type { ReadTx } from './transactions.ts'

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hanse-state-'))
  try {
    await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** An engine whose stream can be broken and whose loads can be watched. */
function breakable(engine: Engine): Engine & { lose(error: unknown): void; loads: number } {
  let onLost: (error: unknown) => void = () => {}
  let unsubscribe = () => {}
  const self = {
    kind: engine.kind,
    loads: 0,
    load: (onRecords: Parameters<Engine['load']>[0]) => {
      self.loads++
      return engine.load(onRecords)
    },
    subscribe: (...[after, onBatch, lost]: Parameters<Engine['subscribe']>) => {
      onLost = lost
      unsubscribe = engine.subscribe(after, onBatch, lost)
      return unsubscribe
    },
    commit: (transaction: Parameters<Engine['commit']>[0]) => engine.commit(transaction),
    replaceAll: (records: Parameters<Engine['replaceAll']>[0]) => engine.replaceAll(records),
    staleMs: () => 0,
    barrier: () => engine.barrier(),
    lease: (...args: Parameters<Engine['lease']>) => engine.lease(...args),
    close: () => engine.close(),
    lose: (error: unknown) => {
      unsubscribe()
      onLost(error)
    },
  }
  return self
}

const QUERIES: readonly ((tx: ReadTx) => unknown)[] = [
  (tx) => tx.nodes.all(),
  (tx) => tx.instances('web'),
  (tx) => tx.instances('gone'),
  (tx) => tx.checks.inState('passing'),
  (tx) => tx.checks.inState('critical'),
  (tx) => tx.kv.list('a/'),
  (tx) => tx.kv.get('a/gone'),
  (tx) => tx.kv.get('never'),
]

test('a restart keeps every record and every index, of what was deleted too', () =>
  withDirectory(async (directory) => {
    const ask = (state: Awaited<ReturnType<typeof stateOver>>) =>
      QUERIES.map((query) => {
        const { value, index } = state.read(query)
        return { value, index }
      })
    const engine = await openSqlite({ directory })
    const state = await stateOver(engine)
    await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('web'))])
    await state.write((tx) => [tx.putService('n1', service('gone')), tx.putKv(entry('a/gone')), tx.putKv(entry('a/b'))])
    await state.write((tx) => tx.putCheck(check('n1', 'c', { ServiceID: 'web' })))
    await state.write((tx) => tx.putCheck(check('n1', 'c', { ServiceID: 'web', Status: 'critical' })))
    await state.write((tx) => tx.putCheck(check('n1', 'serfHealth')))
    await state.write((tx) => tx.deleteCheck('n1', 'serfHealth'))
    await state.write((tx) => tx.deleteService('n1', 'gone'))
    await state.write((tx) => tx.deleteKv('a/gone'))
    await state.write((tx) => tx.putKv(entry('last')))
    const before = { index: state.index, answers: ask(state) }
    await state.close()
    await engine.close()
    const again = await openSqlite({ directory })
    const restarted = await stateOver(again)
    assert.deepEqual({ index: restarted.index, answers: ask(restarted) }, before)
    await restarted.close()
    await again.close()
  }))

test('after a restore or a change of engine indexes go on above the highest that was shown', async () => {
  const engine = await openMemory()
  const first = await stateOver(engine, 5000)
  assert.ok(first.index >= 5000)
  const { index } = await first.write((tx) => tx.putKv(entry('a')))
  assert.equal(first.read((tx) => tx.kv.get('a')).index, index)
  assert.ok(index > 5000)
  const second = await stateOver(engine)
  assert.equal(second.read((tx) => tx.kv.get('a')?.ModifyIndex).value, index)
  // The floor is raised while others follow: they load anew.
  const third = await stateOver(engine, 9000)
  await third.write((tx) => tx.putKv(entry('b')))
  while (first.index <= 9000) await new Promise((resolve) => setImmediate(resolve))
  await first.consistent()
  assert.equal(first.index, third.index)
  await Promise.all([first.close(), second.close(), third.close()])
  await engine.close()
})

test('a stream that ended is loaded again: watchers are woken, indexes stay', async () => {
  const inner = await openMemory()
  const engine = breakable(inner)
  const state = await stateOver(engine)
  const other = await stateOver(inner)
  await state.write((tx) => tx.putKv(entry('a', '1')))
  const { watch, index } = state.read((tx) => tx.kv.get('a'))
  const fired = new Promise<void>((resolve) => watch.onFire(resolve))
  engine.lose(storeError('STORE_HISTORY_GONE', { after: 1, from: 2, to: 3 }))
  await other.write((tx) => tx.putKv(entry('a', '2')))
  await fired
  const now = state.read((tx) => tx.kv.get('a'))
  assert.equal(now.value?.Value?.toString(), '2')
  assert.ok(now.index > index)
  await state.write((tx) => tx.putKv(entry('a', '3')))
  await Promise.all([state.close(), other.close()])
  await inner.close()
})

test('a write whose batch was lost in a gap is answered once all is loaded again', async () => {
  const inner = await openMemory()
  const engine = breakable(inner)
  let deaf = false
  const state = await stateOver({
    ...engine,
    subscribe: (after, onBatch, onLost) => engine.subscribe(after, (batch) => void (deaf || onBatch(batch)), onLost),
    commit: async (transaction) => {
      const result = await inner.commit(transaction)
      if (deaf) engine.lose(storeError('STORE_HISTORY_GONE', { after: 1, from: 2, to: 3 }))
      deaf = false
      return result
    },
  })
  await state.write((tx) => tx.putKv(entry('a', '1')))
  deaf = true
  const { index } = await state.write((tx) => tx.putKv(entry('a', '2')))
  assert.equal(state.read((tx) => tx.kv.get('a')?.Value?.toString()).value, '2')
  assert.equal(state.read((tx) => tx.kv.get('a')).index, index)
  await state.close()
  await inner.close()
})

test('who waits for a revision hears that the stream ended', async () => {
  const inner = await openMemory()
  const engine = breakable(inner)
  const state = await stateOver({ ...engine, barrier: async () => 1_000_000 })
  const waiting = state.consistent()
  await new Promise((resolve) => setImmediate(resolve))
  engine.lose(storeError('STORE_FAILED', { path: 'x', reason: 'no disk' }))
  await state.close()
  await assert.rejects(waiting, (error: HanseError) => ['STATE_STREAM_LOST', 'STATE_CLOSED'].includes(error.code))
  await inner.close()
})

test('a store of a newer schema, or with a header that is none, is refused', async () => {
  const cases = [
    ['{"schema":2,"indexBase":0}', 'STATE_SCHEMA_NEWER'],
    ['{"schema":1}', 'STATE_RECORD_CORRUPT'],
    ['[', 'STATE_RECORD_CORRUPT'],
    ['{"schema":1,"indexBase":-1}', 'STATE_RECORD_CORRUPT'],
  ] as const
  for (const [header, code] of cases) {
    const engine = await openMemory()
    await engine.commit({ writes: [{ key: 'meta/state', value: Buffer.from(header) }] })
    await assert.rejects(stateOver(engine), { code }, header)
    await engine.close()
  }
})

test('records of tables that this version does not know are left alone', async () => {
  const engine = await openMemory()
  await engine.commit({ writes: [{ key: 'of-tomorrow/x', value: Buffer.from('?') }] })
  const state = await stateOver(engine)
  await engine.commit({ writes: [{ key: 'of-tomorrow/y', value: Buffer.from('?') }] })
  await state.write((tx) => tx.putKv(entry('a')))
  assert.equal(state.read((tx) => tx.kv.keys('')).value.length, 1)
  await state.close()
  await engine.close()
})

test('a batch with a record that cannot be read is not applied by half, and names the record', async () => {
  const engine = await openMemory()
  const logged: string[] = []
  const log = {
    ...(await import('#base')).silentLogger,
    warn: (_: string, fields?: object) => logged.push(JSON.stringify(fields)),
  }
  const state = await stateOver(engine, 0, log)
  await engine.commit({
    writes: [
      { key: 'kv/good', value: encode(NodeService, service('x')) },
      { key: 'nodes/bad', value: Buffer.from([0xc1]) },
    ],
  })
  assert.equal(state.read((tx) => tx.kv.get('good')).value, undefined)
  assert.match(logged[0] ?? '', /table \\"kv\\"|table \\"nodes\\"/)
  await state.close()
  await engine.close()
})

test('stored bytes that are damaged give an error with table and key, or a record of its shape (fuzz)', () =>
  withState(async (state, engine) => {
    await state.write((tx) => [
      tx.putNode(node('n1', { ID: 'x', Meta: { a: 'b' }, TaggedAddresses: { lan: '10.0.0.1' } })),
      tx.putService('n1', service('web', { Tags: ['a'], Meta: { k: 'v' } })),
      tx.putCheck(check('n1', 'c', { ServiceID: 'web', Output: 'fine' })),
      tx.putKv(entry('k', 'value')),
      tx.putCoordinate({
        Node: 'n1',
        Segment: '',
        Partition: '',
        Coord: { Vec: [1, 2], Error: 1, Adjustment: 0, Height: 0 },
      }),
    ])
    const records: { key: string; value: Buffer }[] = []
    await engine.load((batch) => {
      for (const { key, value } of batch) records.push({ key, value: Buffer.from(value) })
    })
    const random = seededRandom(7)
    const { Tables } = await import('./tables.ts')
    let refused = 0
    for (let round = 0; round < 3000; round++) {
      const { key, value } = records[random.int(records.length)] ?? { key: '', value: Buffer.alloc(0) }
      const bytes = round % 5 === 0 ? random.bytes(random.int(64)) : Buffer.from(value)
      for (let flips = random.int(4); flips >= 0 && bytes.length > 0; flips--)
        bytes[random.int(bytes.length)] = random.int(256)
      const damaged = random.int(3) === 0 ? bytes.subarray(0, random.int(bytes.length + 1)) : bytes
      const tables = new Tables(0)
      try {
        tables.load({ key, value: damaged, createRevision: 1, modRevision: 1 })
        tables.settle()
      } catch (error) {
        assert.ok(error instanceof HanseError, String(error))
        assert.equal(error.code, 'STATE_RECORD_CORRUPT')
        assert.equal(`${error.facts.table}/${error.facts.key}`, key)
        refused++
      }
    }
    assert.ok(refused > 500)
  }))
