/**
 * Keys, keyrings and their file.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, messageOf } from '#base'
import { formatKeyringFile, gossipKey, Keyring, MAX_KEYS, parseGossipKey, parseKeyringFile } from './keyring.ts'

const key = (fill: number, bytes = 16) => Buffer.alloc(bytes, fill)
const texts = (ring: Keyring) => ring.keys.map((held) => held.bytes[0])

test('install, use and remove change the ring as the texts of failures say', () => {
  const ring = new Keyring([gossipKey(key(1))])
  assert.deepEqual(ring.install(key(2, 32)), { ok: true, changed: true })
  assert.deepEqual(ring.install(key(2, 32)), { ok: true, changed: false })
  assert.deepEqual(ring.install(key(3, 15)), { ok: false, error: 'key size must be 16, 24 or 32 bytes' })
  assert.deepEqual(ring.use(key(9)), { ok: false, error: 'Requested key is not in the keyring' })
  assert.deepEqual(ring.remove(key(1)), { ok: false, error: 'Removing the primary key is not allowed' })
  assert.equal(ring.use(key(2, 32)).ok, true)
  assert.deepEqual(texts(ring), [2, 1])
  assert.deepEqual(ring.remove(key(1)), { ok: true, changed: true })
  assert.deepEqual(ring.remove(key(1)), { ok: true, changed: false })
  assert.deepEqual(texts(ring), [2])
})

test('a ring has a limit', () => {
  const ring = new Keyring([gossipKey(key(0))])
  for (let fill = 1; fill < MAX_KEYS; fill++) assert.equal(ring.install(key(fill)).ok, true)
  assert.equal(ring.install(key(200)).ok, false)
})

test('parseGossipKey() takes standard base64 of 16, 24 or 32 bytes and nothing else', () => {
  for (const size of [16, 24, 32]) assert.equal(parseGossipKey(key(7, size).toString('base64')).bytes.length, size)
  for (const bad of ['', 'c2hvcnQ=', 'pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s', 'not base64!']) {
    assert.throws(
      () => parseGossipKey(bad),
      (thrown) => codeOf(thrown) === 'GOSSIP_KEY',
      bad,
    )
  }
})

test('a keyring file is written and read again; a broken one is refused without showing a key', () => {
  const all = [key(1), key(2, 32)].map((bytes) => bytes.toString('base64'))
  assert.equal(formatKeyringFile(all), `[\n  "${all[0]}",\n  "${all[1]}"\n]`)
  assert.deepEqual(
    parseKeyringFile(formatKeyringFile(all), '/f').map((held) => held.base64),
    all,
  )
  const secret = key(5, 20).toString('base64')
  for (const bad of ['', '{}', '[]', '[1]', `["${secret}"]`, '["', JSON.stringify(Array(65).fill(all[0]))]) {
    assert.throws(
      () => parseKeyringFile(bad, '/data/serf/local.keyring'),
      (thrown) =>
        codeOf(thrown) === 'GOSSIP_KEYRING_FILE' &&
        messageOf(thrown).includes('/data/serf/local.keyring') &&
        !messageOf(thrown).includes(secret),
      bad,
    )
  }
})
