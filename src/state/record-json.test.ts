/** Records as JSON: secrets hidden however their names are written, and random bytes refused by code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { ACLAuthMethod, ACLToken, Session } from '#codec'
import { aclAuthMethodsTable, aclTokensTable } from './acl-declarations.ts'
import { configEntriesTable } from './declarations.ts'
import { encodeHeader, HEADER_KEY } from './header.ts'
import { RecordJson } from './record-json.ts'
import { encodeRecord } from './records.ts'
import { sessionsTable } from './session-declarations.ts'

const json = new RecordJson()

test('RecordJson hides secrets at any depth and in any spelling, and shows what is none', () => {
  const Config = { private_key: 'one', PRIVATEKEY: 'two', Nested: [{ oidc_client_secret: 'three', Host: 'shown' }] }
  const method = ACLAuthMethod.of({ Name: 'm', Config })
  const shown = JSON.parse(json.textOf({ key: 'acl-auth-methods/m', value: encodeRecord(ACLAuthMethod, method, 0) }))
  assert.deepEqual(shown.Config, {
    private_key: '<hidden>',
    PRIVATEKEY: '<hidden>',
    Nested: [{ oidc_client_secret: '<hidden>', Host: 'shown' }],
  })
  const token = ACLToken.of({ AccessorID: 'a', SecretID: 's', Description: 'd' })
  const { AccessorID, SecretID } = JSON.parse(
    json.textOf({ key: 'acl-tokens/a', value: encodeRecord(ACLToken, token, 0) }),
  )
  assert.deepEqual([AccessorID, SecretID], ['a', '<hidden>'])
})

test('RecordJson shows facts of the store itself, and of unknown tables the key and size only', () => {
  assert.deepEqual(JSON.parse(json.textOf({ key: HEADER_KEY, value: encodeHeader(7) })), { schema: 1, indexBase: 7 })
  for (const key of ['meta/left/all', 'vaults/x']) {
    assert.deepEqual(JSON.parse(json.textOf({ key, value: Buffer.from('secret') })), { Key: key, Bytes: 6 })
  }
})

test('RecordJson fuzz: bytes of any sort give JSON or a coded error', () => {
  const random = seededRandom(11)
  const session = encodeRecord(Session, Session.of({ ID: 's', Node: 'n', Checks: ['c'] }), 0)
  for (const { name } of [aclTokensTable, aclAuthMethodsTable, configEntriesTable, sessionsTable]) {
    for (let turn = 0; turn < 500; turn++) {
      const value = turn % 2 === 0 ? Buffer.from(session) : Buffer.alloc(random.int(64))
      for (let flips = 0; flips < value.length / 8; flips++) value[random.int(value.length)] = random.int(256)
      try {
        JSON.parse(json.textOf({ key: `${name}/x`, value }))
      } catch (error) {
        assert.ok(error instanceof HanseError && error.code === 'STATE_RECORD_CORRUPT', String(error))
      }
    }
  }
})
