/**
 * The recorded writes of policies, roles and tokens, made again one after the other on objects in memory: the same
 * refusals, word for word, and the same objects but for what chance and time made.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { ACLPolicy, ACLRole, ACLToken, type Kind, parseGoJson } from '#codec'
import { builtinPolicies } from './builtin.ts'
import { type Exchange, MemoryObjects, recordedExchanges } from './fixture.ts'
import { checkPolicyDelete, preparePolicy, prepareRole } from './prepare-policy.ts'
import {
  checkTokenDelete,
  EXPIRATION_BOUNDS,
  prepareChangedToken,
  prepareClone,
  prepareNewToken,
} from './prepare-token.ts'
import { checkLookupId } from './stored-objects.ts'

const stored = new MemoryObjects()
const random = seededRandom(1)
const wallMs = Date.UTC(2026, 10, 23, 10, 17, 4)

function read<T>(kind: Kind<T>, text: string): T {
  return kind.fromJson(parseGoJson(text), '', { unknownKeys: 'refuse' })
}

/** Stores what was made under the recorded identifiers, so that later requests find it. */
const replayed: Record<string, (exchange: Exchange, id: string) => unknown> = {
  'PUT policy': ({ request }, id) => {
    const made = preparePolicy({ ...read(ACLPolicy, request.body ?? ''), ID: id }, stored, random)
    return { kind: ACLPolicy, made, keep: (value: ACLPolicy) => stored.policies.set(value.ID, value) }
  },
  'DELETE policy': (_, id) => {
    checkLookupId('policy', id)
    checkPolicyDelete(id)
    stored.policies.delete(id)
  },
  'PUT role': ({ request }, id) => {
    const made = prepareRole({ ...read(ACLRole, request.body ?? ''), ID: id }, stored, random)
    return { kind: ACLRole, made, keep: (value: ACLRole) => stored.roles.set(value.ID, value) }
  },
  'PUT token': ({ request }, id) => {
    const given = read(ACLToken, request.body ?? '{}')
    const modules = { stored, random, wallMs, bounds: EXPIRATION_BOUNDS, localTokens: true }
    const clone = request.path.endsWith('/clone')
    const source = stored.tokens.get(id)
    const made =
      clone && source !== undefined
        ? prepareClone(source, given.Description, modules)
        : id === ''
          ? prepareNewToken(given, modules)
          : prepareChangedToken({ ...given, AccessorID: id }, modules)
    return { kind: ACLToken, made, keep: (value: ACLToken) => stored.tokens.set(value.AccessorID, value) }
  },
  'DELETE token': ({ request }, id) => {
    const secret = request.headers?.['X-Consul-Token'] ?? ''
    checkTokenDelete(id, stored.tokenBySecret(secret)?.AccessorID ?? '')
    stored.tokens.delete(id)
  },
}

/** What chance, time and the tables make. */
const MADE = ['ID', 'AccessorID', 'SecretID', 'CreateTime', 'ExpirationTime', 'CreateIndex', 'ModifyIndex']

function comparable(json: unknown, given: string): unknown {
  const kept = Object.entries(json as Record<string, unknown>).filter(
    ([key]) => !MADE.includes(key) || given.includes(key),
  )
  return Object.fromEntries(kept.filter(([key]) => !/Index$|Time$/.test(key)))
}

/** Refusals that other layers make: rights, routes, bodies, IDs in addresses; reads and deletes of what is gone. */
const ELSEWHERE =
  /^(Permission denied|Policy decoding failed|Token decoding failed|Policy ID in URL|Cannot specify the ID|Cannot find|rpc error)/

test('recorded writes of policies, roles and tokens have the recorded outcomes', () => {
  for (const policy of builtinPolicies) stored.policies.set(policy.ID, policy)
  let refused = 0
  let accepted = 0
  for (const exchange of recordedExchanges) {
    const { n, request, response } = exchange
    if (request.path === '/v1/acl/bootstrap' && response.status === 200) {
      const token = read(ACLToken, response.body.replace(/"ID":"[^"]*",/, ''))
      stored.tokens.set(token.AccessorID, token)
    }
    const [, kind, id = ''] =
      /^\/v1\/acl\/(policy|role|token)(?:\/([^/?]+))?(?:\/clone)?(?:\?.*)?$/.exec(request.path) ?? []
    const replay = replayed[`${request.method} ${kind}`]
    if (replay === undefined || ELSEWHERE.test(response.body)) continue
    if (response.status !== 200) {
      assert.throws(() => replay(exchange, id), { message: response.body, status: response.status }, `#${n}`)
      refused++
      continue
    }
    const outcome = replay(exchange, id) as
      | { kind: Kind<unknown>; made: unknown; keep(value: unknown): void }
      | undefined
    if (outcome !== undefined) {
      const given = request.body ?? ''
      assert.deepEqual(
        comparable(outcome.kind.toJson(outcome.made), given),
        comparable(JSON.parse(response.body), given),
        `#${n}`,
      )
      outcome.keep(read(outcome.kind, response.body))
    }
    accepted++
  }
  assert.ok(refused >= 30 && accepted >= 15, `${refused} refused, ${accepted} accepted`)
})

test('prepareNewToken() sets the recorded end of a token and refuses what contradicts', () => {
  const modules = { stored, random, wallMs, bounds: EXPIRATION_BOUNDS, localTokens: true }
  const ends = (given: Partial<ACLToken>) => prepareNewToken(ACLToken.of(given), modules).ExpirationTime
  assert.equal(ends({ ExpirationTTL: 100_000 * 3600e9 }), '2038-04-21T02:17:04Z')
  assert.equal(ends({ ExpirationTTL: 60e9 }), '2026-11-23T10:18:04Z')
  assert.equal(ends({}), null)
  for (const given of [
    { ExpirationTTL: -1 },
    { ExpirationTTL: 1e19 },
    { ExpirationTTL: 3600e9, ExpirationTime: '2027-01-01T00:00:00Z' },
  ]) {
    assert.throws(() => ends(given), { code: 'TOKEN_EXPIRATION_INVALID' }, JSON.stringify(given))
  }
  const narrow = { ...modules, bounds: { minTtlNs: 60e9, maxTtlNs: 3600e9 } }
  assert.throws(() => prepareNewToken(ACLToken.of({ ExpirationTTL: 7200e9 }), narrow), {
    message: 'ExpirationTime cannot be more than 1h0m0s in the future (was 2h0m0s)',
  })
})

test('prepareNewToken() gives no reserved identifier, and no local token without token replication', () => {
  const modules = { stored, random, wallMs, bounds: EXPIRATION_BOUNDS, localTokens: false }
  const reserved = '00000000-0000-0000-0000-0000000000ff'
  for (const field of ['AccessorID', 'SecretID']) {
    assert.throws(() => prepareNewToken(ACLToken.of({ [field]: reserved }), modules), { code: 'TOKEN_INVALID' })
  }
  assert.throws(() => prepareNewToken(ACLToken.of({ Local: true }), modules), { message: 'Local tokens are disabled' })
})

test('prepareChangedToken() keeps what never changes', () => {
  const objects = new MemoryObjects()
  const before = ACLToken.of({
    AccessorID: 'a',
    SecretID: 's',
    AuthMethod: 'm',
    ExpirationTime: '2027-01-01T00:00:00Z',
    CreateTime: '2026-01-01T00:00:00Z',
  })
  objects.tokens.set('a', before)
  const change = (given: Partial<ACLToken>) =>
    prepareChangedToken(ACLToken.of({ AccessorID: 'a', ...given }), { stored: objects, wallMs })
  const { SecretID, AuthMethod, ExpirationTime, CreateTime } = change({ Description: 'x' })
  assert.deepEqual(
    [SecretID, AuthMethod, ExpirationTime, CreateTime],
    ['s', 'm', before.ExpirationTime, before.CreateTime],
  )
  for (const given of [{ AuthMethod: 'other' }, { ExpirationTTL: 60e9 }, { ExpirationTime: '2028-01-01T00:00:00Z' }]) {
    assert.throws(() => change(given), { code: 'TOKEN_CHANGE_REFUSED' }, JSON.stringify(given))
  }
  assert.throws(() => change({ AccessorID: 'b' }), { code: 'ACL_UPDATE_NOT_FOUND' })
  const late = { stored: objects, wallMs: Date.UTC(2027, 1) }
  assert.throws(() => prepareChangedToken(ACLToken.of({ AccessorID: 'a' }), late), { code: 'ACL_UPDATE_NOT_FOUND' })
})

test('no refusal shows a secret', () => {
  const secret = 'abcdefab-0000-4000-8000-00000000beef'
  const objects = new MemoryObjects()
  objects.tokens.set('a', ACLToken.of({ AccessorID: 'a', SecretID: secret }))
  const modules = { stored: objects, random, wallMs, bounds: EXPIRATION_BOUNDS, localTokens: true }
  try {
    prepareNewToken(ACLToken.of({ SecretID: secret }), modules)
    assert.fail('accepted')
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError)
    assert.ok(!JSON.stringify([thrown.message, thrown.facts, thrown.hint]).includes(secret))
  }
})
