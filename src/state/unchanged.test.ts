/** A record that is put again as it is changes nothing; whatever differs in it, and be it deep within, does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirEntry, ServiceDefaults } from '#codec'
import { check, node, service, withState } from './test-state.ts'

const base = DirEntry.of({ Key: 'k', Value: Buffer.from('v'), Flags: 7 })
const BYTES: readonly DirEntry[] = [
  { ...base, Value: Buffer.from('w') },
  { ...base, Value: Buffer.from('vv') },
  { ...base, Value: null },
  { ...base, Flags: 2n ** 63n },
  { ...base, Flags: 0 },
]

test('an entry of the key/value store is written where its value or its flags are others', () =>
  withState(async (state) => {
    const put = async (entry: DirEntry) => (await state.write((tx) => tx.putKv(entry))).value
    for (const other of BYTES) {
      assert.deepEqual([await put(base), await put({ ...base, ModifyIndex: 99 })], [true, false])
      assert.deepEqual([await put(other), await put({ ...other })], [true, false])
    }
  }))

test('so is what differs only within a list, a map, or nothing of which there is any', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putNode(node('n')))
    const one = service('web', { Tags: ['a', 'b'], Meta: { owner: 'x' }, Port: 80 })
    const others = [
      { Tags: ['a', 'c'] },
      { Tags: ['b', 'a'] },
      { Tags: null },
      { Meta: { owner: 'y' } },
      { Meta: null },
    ]
    const put = async (more: object) => (await state.write((tx) => tx.putService('n', { ...one, ...more }))).value
    for (const other of others) {
      assert.deepEqual([await put({}), await put({})], [true, false])
      assert.deepEqual([await put(other), await put(other)], [true, false], JSON.stringify(other))
    }
  }))

test('records of other tables too', () =>
  withState(async (state) => {
    await state.write((tx) => [tx.putNode(node('n')), tx.putService('n', service('web'))])
    const puts = {
      node: await state.write((tx) => [tx.putNode(node('n')), tx.putNode(node('n', { Meta: { a: 'b' } }))]),
      check: await state.write((tx) => [
        ...[tx.putCheck(check('n', 'c')), tx.putCheck(check('n', 'c')), tx.putCheck(check('n', 'c', { Output: 'o' }))],
      ]),
      entry: await state.write((tx) => {
        const entry = ServiceDefaults.of({ Name: 'web', Meta: { a: '1' } })
        return [tx.putConfigEntry(entry), tx.putConfigEntry(entry), tx.putConfigEntry({ ...entry, Meta: { a: '2' } })]
      }),
    }
    assert.deepEqual(puts.node.value, [false, true])
    assert.deepEqual(puts.check.value, [true, false, true])
    assert.deepEqual(puts.entry.value, [true, false, true])
  }))
