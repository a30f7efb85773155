/**
 * Join addresses as users write them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJoinAddress, resolveJoinAddress } from './join-address.ts'

test('parseJoinAddress() reads host, port and name', () => {
  assert.deepEqual(parseJoinAddress('10.0.0.1', 8301), { name: '', address: '10.0.0.1', port: 8301 })
  assert.deepEqual(parseJoinAddress('10.0.0.1:9', 8301), { name: '', address: '10.0.0.1', port: 9 })
  assert.deepEqual(parseJoinAddress('[::1]:9', 8301), { name: '', address: '::1', port: 9 })
  assert.deepEqual(parseJoinAddress('*.dc1/192.0.2.2:8302', 8301), { name: '*.dc1', address: '192.0.2.2', port: 8302 })
  assert.equal(parseJoinAddress('', 8301), undefined)
  assert.equal(parseJoinAddress('a:99999', 8301), undefined)
})

test('resolveJoinAddress() resolves names and leaves addresses alone', async () => {
  assert.deepEqual(await resolveJoinAddress('n/10.0.0.1:7', 1), [{ name: 'n', address: '10.0.0.1', port: 7 }])
  const found = await resolveJoinAddress('localhost:7', 1)
  assert.ok(found.some(({ address }) => address === '127.0.0.1' || address === '::1'))
})
