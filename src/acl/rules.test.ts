/**
 * Rules of policies: every resource in HCL and JSON, recorded refusals, damaged texts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { globalManagementPolicy } from './builtin.ts'
import { recordedExchanges } from './fixture.ts'
import { MAX_RULES_CHARACTERS, NAMED_RESOURCES, parseRules, SCALAR_RESOURCES } from './rules.ts'

test('parseRules() reads every resource, exact and by prefix', () => {
  for (const resource of NAMED_RESOURCES) {
    const { named } = parseRules(`${resource} "x" { policy = "read" } ${resource}_prefix "y" { policy = "write" }`)
    assert.deepEqual(named, [
      { resource, name: 'x', prefix: false, policy: 'read' },
      { resource, name: 'y', prefix: true, policy: 'write' },
    ])
  }
  for (const resource of SCALAR_RESOURCES) {
    assert.deepEqual([...parseRules(`${resource} = "deny"`).scalars], [[resource, 'deny']])
  }
})

test('parseRules() reads JSON, blocks in lists and words in capitals', () => {
  const one = [{ resource: 'key', name: 'x', prefix: false, policy: 'list' }]
  assert.deepEqual(parseRules('{"key":{"x":{"policy":"list"}}}').named, one)
  assert.deepEqual(parseRules('{"key":[{"x":[{"policy":"list"}]}]}').named, one)
  assert.deepEqual(parseRules('KEY "x" { Policy = "list" }').named, one)
  assert.equal(
    parseRules('key "x" { policy = "read" } key "y" { policy = "read" } key "x" { policy = "deny" }').named.length,
    3,
  )
  assert.deepEqual(parseRules(''), { scalars: new Map(), named: [] })
})

test('parseRules() reads the intentions of services and identities, and skips sentinel', () => {
  const text = 'service "w" { policy = "read" intentions = "write" sentinel { code = "x" } }'
  assert.deepEqual(parseRules(text).named, [
    { resource: 'service', name: 'w', prefix: false, policy: 'read', intentions: 'write' },
  ])
  assert.throws(() => parseRules('service "w" { policy = "read" intentions = "list" }'), { code: 'RULES_INVALID' })
})

test('parseRules() refuses and accepts what the recorded server refused and accepted, word for word', () => {
  let checked = 0
  for (const { request, response } of recordedExchanges) {
    if (!/^\/v1\/acl\/policy/.test(request.path) || request.method !== 'PUT') continue
    if (!request.body?.startsWith('{"')) continue
    const { Rules } = JSON.parse(request.body) as { Rules?: string }
    if (Rules === undefined) continue
    const refused = /^(Invalid key policy|Failed to parse ACL rules)/.test(response.body)
    if (refused) assert.throws(() => parseRules(Rules), { message: response.body, status: response.status })
    else parseRules(Rules)
    checked++
  }
  assert.ok(checked >= 8)
})

test('parseRules() refuses what is no level, no block, or too long', () => {
  for (const text of [
    'acl = "list"',
    'acl = true',
    'acl { policy = "read" }',
    'node "x" { policy = "list" }',
    'node "x" { }',
    'node "x" { policy = 5 }',
    'node = "read"',
    'node { policy = "read" }',
    '{"node":{"x":"read"}}',
  ]) {
    assert.throws(() => parseRules(text), { code: 'RULES_INVALID', status: 500 }, text)
  }
  assert.throws(() => parseRules('#'.repeat(MAX_RULES_CHARACTERS + 1)), { code: 'RULES_TOO_LARGE' })
  assert.throws(() => parseRules('{"acl": '), { code: 'RULES_SYNTAX' })
})

test('parseRules() of damaged texts throws its own errors only', () => {
  const random = seededRandom(11)
  const pieces = [
    '{',
    '}',
    '"',
    '=',
    '[',
    ']',
    ',',
    '\n',
    '<<E',
    '__proto__',
    'key',
    'policy',
    '"write"',
    '\u0000',
    '\\',
    'é',
  ]
  for (let round = 0; round < 3000; round++) {
    let text = round % 2 === 0 ? globalManagementPolicy.Rules : '{"key":{"x":{"policy":"read"}},"acl":"write"}'
    for (let hits = 1 + random.int(4); hits > 0; hits--) {
      const at = random.int(text.length)
      text = text.slice(0, at) + (pieces[random.int(pieces.length)] ?? '') + text.slice(at + random.int(6))
    }
    try {
      parseRules(text)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && /^RULES_/.test(thrown.code), String(thrown))
      assert.doesNotMatch(thrown.message, /NaN|undefined/)
    }
  }
})
