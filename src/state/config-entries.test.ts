/**
 * Config entries in the tables: by kind and name, with indexes and watches as fine as what was read, stored as their
 * kind says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Mesh, ProxyDefaults, ServiceDefaults, ServiceIntentions, SourceIntention } from '#codec'
import { openMemory } from '#store'
import { stateOver, withState } from './test-state.ts'

const defaults = (Name: string, Protocol = 'http') => ServiceDefaults.of({ Name, Protocol, Meta: { owner: 'a' } })
const proxy = ProxyDefaults.of({ Name: 'global', Config: { protocol: 'http', nested: { a: [1, 'two', true] } } })
const intentions = (Name: string) =>
  ServiceIntentions.of({ Name, Sources: [SourceIntention.of({ Name: 'front', Action: 'allow' })] })

test('putConfigEntry() keeps entries of all kinds apart, sorted by kind and name, mesh under its one name', () =>
  withState(async (state) => {
    await state.write((tx) => {
      for (const entry of [intentions('web'), defaults('web'), defaults('api'), proxy, Mesh.of({})])
        tx.putConfigEntry(entry)
    })
    const { value } = state.read((tx) => ({
      names: tx.configEntries.all().map((entry) => `${entry.Kind}/${entry.Kind === 'mesh' ? '' : entry.Name}`),
      kind: tx.configEntries.ofKind('service-defaults').map(({ Name }) => Name),
      mesh: tx.configEntries.get('mesh', 'mesh')?.Kind,
      config: tx.configEntries.get('proxy-defaults', 'global')?.Config,
      sources: tx.configEntries.get('service-intentions', 'WEB')?.Sources?.map((source) => source?.Name),
      other: tx.configEntries.get('service-resolver', 'web'),
    }))
    assert.deepEqual(value, {
      names: [
        'mesh/',
        'proxy-defaults/global',
        'service-defaults/api',
        'service-defaults/web',
        'service-intentions/web',
      ],
      kind: ['api', 'web'],
      mesh: 'mesh',
      config: proxy.Config,
      sources: ['front'],
      other: undefined,
    })
  }))

test('putConfigEntry() sets the indexes, and moves none where nothing changes', () =>
  withState(async (state) => {
    const first = await state.write((tx) => tx.putConfigEntry(defaults('web')))
    const again = await state.write((tx) => tx.putConfigEntry({ ...defaults('web'), CreateIndex: 77, ModifyIndex: 78 }))
    assert.deepEqual([first.value, again.value], [true, false])
    await state.write((tx) => tx.putConfigEntry(defaults('web', 'tcp')))
    const { value, index } = state.read((tx) => tx.configEntries.get('service-defaults', 'web'))
    assert.equal(value?.CreateIndex, first.index)
    assert.equal(value?.ModifyIndex, index)
    assert.ok(index > first.index)
  }))

test('deleteConfigEntry() says whether it was there, and what is gone keeps an index', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putConfigEntry(defaults('web')))
    const gone = await state.write((tx) => tx.deleteConfigEntry('service-defaults', 'web'))
    const again = await state.write((tx) => tx.deleteConfigEntry('service-defaults', 'web'))
    assert.deepEqual([gone.value, again.value], [true, false])
    for (const index of [
      state.read((tx) => tx.configEntries.get('service-defaults', 'web')).index,
      state.read((tx) => tx.configEntries.ofKind('service-defaults')).index,
      state.read((tx) => tx.configEntries.all()).index,
    ]) {
      assert.equal(index, gone.index)
    }
  }))

test('a watch of one entry, or of one kind, hears of nothing else', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putConfigEntry(defaults('web')))
    const one = state.read((tx) => tx.configEntries.get('service-defaults', 'web')).watch
    const kind = state.read((tx) => tx.configEntries.ofKind('service-intentions')).watch
    const all = state.read((tx) => tx.configEntries.all()).watch
    await state.write((tx) => tx.putConfigEntry(defaults('api')))
    assert.deepEqual([one.fired, kind.fired, all.fired], [false, false, true])
    await state.write((tx) => tx.putConfigEntry(intentions('web')))
    assert.deepEqual([one.fired, kind.fired], [false, true])
    await state.write((tx) => tx.deleteConfigEntry('service-defaults', 'web'))
    assert.equal(one.fired, true)
  }))

test('a state loaded from the store has the same entries at the same indexes', async () => {
  const engine = await openMemory()
  const state = await stateOver(engine)
  await state.write((tx) => {
    for (const entry of [proxy, Mesh.of({}), intentions('web')]) tx.putConfigEntry(entry)
  })
  await state.write((tx) => tx.putConfigEntry(defaults('web')))
  const before = state.read((tx) => tx.configEntries.all())
  await state.close()
  const loaded = await stateOver(engine)
  const after = loaded.read((tx) => tx.configEntries.all())
  assert.deepEqual(after.value, before.value)
  assert.equal(after.index, before.index)
  await loaded.close()
  await engine.close()
})

test('an entry of a kind that is not known names itself as unreadable', async () => {
  const engine = await openMemory()
  const state = await stateOver(engine)
  await state.write((tx) => tx.putConfigEntry(defaults('web')))
  await state.close()
  const future = Buffer.concat([Buffer.from([0xa6]), Buffer.from('future'), Buffer.from([0xa1, 0x80])])
  await engine.commit({ writes: [{ key: 'config-entries/future\0x', value: future }], conditions: [] })
  await assert.rejects(stateOver(engine), /config-entries.*"future" is not known/)
  await engine.close()
})

test('of two servers that each write an entry if there is none, one does', async () => {
  const engine = await openMemory()
  const [one, other] = [await stateOver(engine), await stateOver(engine)]
  const write = (state: typeof one, name: string) =>
    state.write((tx) => tx.configEntries.all().length === 0 && tx.putConfigEntry(defaults(name)))
  const results = await Promise.all([write(one, 'a'), write(other, 'b')])
  assert.deepEqual(results.map(({ value }) => value).sort(), [false, true])
  assert.equal(one.read((tx) => tx.configEntries.all()).value.length, 1)
  await one.close()
  await other.close()
  await engine.close()
})
