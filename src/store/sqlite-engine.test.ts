/** The embedded engine, on disk and in memory, against the contract; and its limits. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf, Metrics } from '#base'
import type { EngineUnderTest } from './contract-fixture.ts'
import type { ChangeBatch } from './engine.ts'
import { engineContract } from './engine-contract.ts'
import { openMemory, openSqlite } from './sqlite-engine.ts'

async function onDisk(): Promise<EngineUnderTest> {
  const root = mkdtempSync(join(tmpdir(), 'hanse-store-'))
  const directory = join(root, 'data')
  let engine = await openSqlite({ directory })
  return {
    engine,
    reopen: async () => {
      await engine.close()
      engine = await openSqlite({ directory })
      return engine
    },
    dispose: async () => {
      await engine.close()
      rmSync(root, { recursive: true })
    },
  }
}

async function inMemory(): Promise<EngineUnderTest> {
  const engine = await openMemory()
  return { engine, dispose: () => engine.close() }
}

engineContract('sqlite', onDisk)
engineContract('memory', inMemory)

test('commit() refuses with STORE_FULL at maxBytes, and takes writes again when there is space', async () => {
  const metrics = new Metrics()
  const engine = await openMemory({ maxBytes: 400_000, metrics })
  const value = new Uint8Array(100_000)
  const written: string[] = []
  let refused: unknown
  for (let index = 0; index < 10 && !refused; index++) {
    await engine.commit({ writes: [{ key: `k${index}`, value }] }).then(
      () => written.push(`k${index}`),
      (error: unknown) => {
        refused = error
      },
    )
  }
  assert.equal(codeOf(refused), 'STORE_FULL')
  assert.equal(metrics.counters.get('hanse.store.failed')?.sum, 1)
  const before = await engine.barrier()
  const deleted = await engine.commit({ writes: [{ key: written[0] ?? '', value: null }] })
  assert.ok(deleted.ok && deleted.revision > before)
  assert.ok((await engine.commit({ writes: [{ key: 'small', value: new Uint8Array(10) }] })).ok)
  const keys: string[] = []
  await engine.load((batch) => keys.push(...batch.map((record) => record.key)))
  assert.deepEqual(keys, [...written.slice(1), 'small'])
  await engine.close()
})

test('commit() does not copy what lies beside a value in its buffer', async () => {
  const engine = await openMemory()
  const slab = new Uint8Array(64).fill(7)
  const value = slab.subarray(10, 13)
  const handed: (Uint8Array | null)[] = []
  const onBatch = ({ changes }: ChangeBatch) => {
    handed.push(...changes.map((change) => change.value))
  }
  engine.subscribe(await engine.barrier(), onBatch, () => {})
  await engine.commit({ writes: [{ key: 'a', value }] })
  assert.equal(handed[0], value, 'subscribers get the bytes that were handed in')
  await engine.load(([record]) => assert.deepEqual(Buffer.from(record?.value ?? []), Buffer.from([7, 7, 7])))
  assert.equal(slab.byteLength, 64, 'the caller keeps its buffer')
  await engine.close()
})

test('replaceAll() that finds no space changes nothing, and writes go on', async () => {
  const engine = await openMemory({ maxBytes: 400_000 })
  const value = new Uint8Array(100_000)
  await engine.commit({ writes: [{ key: 'old', value }] })
  async function* tooMuch() {
    for (let index = 0; index < 10; index++) yield [{ key: `new/${index}`, value }]
  }
  await assert.rejects(engine.replaceAll(tooMuch()), { code: 'STORE_FULL' })
  assert.ok((await engine.commit({ writes: [{ key: 'next', value: new Uint8Array(10) }] })).ok)
  const keys: string[] = []
  await engine.load((batch) => keys.push(...batch.map((record) => record.key)))
  assert.deepEqual(keys, ['next', 'old'])
  async function* asMuch() {
    for (let index = 0; index < 2; index++) yield [{ key: `new/${index}`, value }]
  }
  await engine.replaceAll(asMuch())
  await engine.close()
})
