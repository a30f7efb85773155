/**
 * Config entries of a secondary: what is copied, what is left alone, in as many commits as it takes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics, silentLogger, systemClock } from '#base'
import { type ConfigEntry, ExportedServices, Mesh, ServiceDefaults } from '#codec'
import { State } from '#state'
import { openMemory } from '#store'
import { compareConfigEntries, ENTRIES_PER_COMMIT, replicatedConfigEntries } from './config-entries.ts'

const defaults = (Name: string, Hash: number | bigint, ModifyIndex: number): ConfigEntry =>
  ServiceDefaults.of({ Name, Protocol: 'http', Hash, ModifyIndex })
const names = (entries: readonly ConfigEntry[]) =>
  entries.map((entry) => (entry.Kind === 'mesh' ? 'mesh' : `${entry.Kind}/${entry.Name}`))

test('compareConfigEntries() copies what is new or newer with another hash, and deletes what the primary has not', () => {
  const local = [defaults('same', 7, 1), defaults('changed', 8, 1), defaults('gone', 9, 1), Mesh.of({ Hash: 1 })]
  const remote = [defaults('same', 7n, 90), defaults('changed', 11, 91), defaults('new', 12, 92), Mesh.of({ Hash: 1 })]
  const { deletions, upserts } = compareConfigEntries(local, remote, 50)
  assert.deepEqual(names(deletions), ['service-defaults/gone'])
  assert.deepEqual(names(upserts), ['service-defaults/changed', 'service-defaults/new'])
})

test('compareConfigEntries() takes an entry that is no newer than the last round as copied', () => {
  const { upserts } = compareConfigEntries([defaults('web', 1, 1)], [defaults('web', 2, 50)], 50)
  assert.deepEqual(upserts, [])
})

test('compareConfigEntries() copies a newer entry whose hash is not known', () => {
  const { upserts } = compareConfigEntries([defaults('web', 0, 1)], [defaults('web', 0, 51)], 50)
  assert.deepEqual(names(upserts), ['service-defaults/web'])
})

test('compareConfigEntries() tells hashes apart that differ only beyond 53 bits', () => {
  const [ours, theirs] = [2n ** 63n + 1n, 2n ** 63n + 2n]
  const { upserts } = compareConfigEntries([defaults('web', ours, 1)], [defaults('web', theirs, 9)], 0)
  assert.deepEqual(names(upserts), ['service-defaults/web'])
})

test('compareConfigEntries() leaves what is exported to peers to each datacenter', () => {
  const entry = ExportedServices.of({ Name: 'default' })
  assert.deepEqual(compareConfigEntries([entry], [], 0), { deletions: [], upserts: [] })
  assert.deepEqual(compareConfigEntries([], [entry], 0), { deletions: [], upserts: [] })
})

test('replicatedConfigEntries() writes and deletes more entries than one transaction holds', async () => {
  const engine = await openMemory()
  const base = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
  const state = await State.open({ ...base, engine, datacenter: 'dc2' })
  const type = replicatedConfigEntries(state, async () => ({ index: 1, items: [] }))
  const many = Array.from({ length: 5 * ENTRIES_PER_COMMIT + 1 }, (_, at) => defaults(`s${at}`, at + 1, at + 1000))
  await type.apply({ deletions: [], upserts: many })
  assert.equal(type.local().length, many.length)
  assert.deepEqual(compareConfigEntries(type.local(), many, 0), { deletions: [], upserts: [] })
  assert.ok(
    type.local().every(({ ModifyIndex }) => ModifyIndex < 1000),
    'indexes are our own',
  )
  await type.apply({ deletions: type.local(), upserts: [] })
  assert.deepEqual(type.local(), [])
  await state.close()
  await engine.close()
})
