/**
 * The authorizer: what counts, beside a naive model; what is not granted by default.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { ACLPolicy } from '#codec'
import type { Authorizer } from './authorizer.ts'
import { AuthorizerCache } from './authorizer-cache.ts'
import { globalManagementPolicy, globalReadOnlyPolicy } from './builtin.ts'
import { agentRecoveryAuthorizer, compileAuthorizer, manageAll } from './compile-authorizer.ts'
import { type Level, parseRules } from './rules.ts'

function authorizer(...rules: readonly string[]): Authorizer {
  return compileAuthorizer(rules.map(parseRules), { defaultPolicy: 'deny' })
}

/** Every permission that takes no name. */
const SCALARS = [
  'aclRead',
  'aclWrite',
  'keyringRead',
  'keyringWrite',
  'meshRead',
  'meshWrite',
  'nodeReadAll',
  'operatorRead',
  'operatorWrite',
  'peeringRead',
  'peeringWrite',
  'serviceReadAll',
  'serviceWriteAny',
  'snapshot',
] as const
/** Every permission on a name. */
const NAMED = [
  'agentRead',
  'agentWrite',
  'eventRead',
  'eventWrite',
  'identityRead',
  'identityWrite',
  'intentionRead',
  'intentionWrite',
  'keyList',
  'keyRead',
  'keyWrite',
  'keyWritePrefix',
  'nodeRead',
  'nodeWrite',
  'queryRead',
  'queryWrite',
  'serviceRead',
  'serviceReadPrefix',
  'serviceWrite',
  'sessionRead',
  'sessionWrite',
] as const

function granted(one: Authorizer): string[] {
  return [...SCALARS.filter((name) => one[name]()), ...NAMED.filter((name) => one[name]('x'))].sort()
}

test('compileAuthorizer() of no rules follows the default policy, except for ACLs and snapshots', () => {
  assert.deepEqual(granted(authorizer()), [])
  const open = granted(compileAuthorizer([], { defaultPolicy: 'allow' }))
  const kept = ['aclRead', 'aclWrite', 'snapshot']
  assert.deepEqual(open, [...SCALARS, ...NAMED].filter((name) => !kept.includes(name)).sort())
  assert.deepEqual(granted(manageAll), [...SCALARS, ...NAMED].sort())
})

test('the builtin policies grant everything, and reading everything', () => {
  const identity = /^identity/
  const all = [...SCALARS, ...NAMED].filter((name) => !identity.test(name)).sort()
  assert.deepEqual(granted(authorizer(globalManagementPolicy.Rules)), all)
  const reads = all.filter((name) => !/Write|snapshot|keyList/.test(name))
  assert.deepEqual(granted(authorizer(globalReadOnlyPolicy.Rules)), reads)
})

test('an exact name beats prefixes, and the longest prefix wins', () => {
  const one = authorizer(
    'key_prefix "" { policy = "read" } key_prefix "a/" { policy = "write" } key_prefix "a/b/" { policy = "deny" } key "a/b/c" { policy = "write" } key "a" { policy = "deny" }',
  )
  assert.deepEqual(
    ['z', 'a', 'a/', 'a/x', 'a/b/', 'a/b/x', 'a/b/c', 'a/b/cc'].map((key) => [
      key,
      one.keyRead(key),
      one.keyWrite(key),
    ]),
    [
      ['z', true, false],
      ['a', false, false],
      ['a/', true, true],
      ['a/x', true, true],
      ['a/b/', false, false],
      ['a/b/x', false, false],
      ['a/b/c', true, true],
      ['a/b/cc', false, false],
    ],
  )
})

test('policies of one token are merged per name: deny before write before list before read', () => {
  const levels: readonly Level[] = ['read', 'list', 'write', 'deny']
  for (const [weak, left] of levels.entries()) {
    for (const [strong, right] of levels.entries()) {
      const rule = (level: Level) => `key_prefix "x" { policy = "${level}" }`
      const one = authorizer(rule(left), rule(right))
      const counts = levels[Math.max(weak, strong)]
      assert.deepEqual(
        [one.keyRead('x1'), one.keyList('x1'), one.keyWrite('x1')],
        [counts !== 'deny', counts === 'list' || counts === 'write', counts === 'write'],
      )
    }
  }
  assert.equal(authorizer('acl = "write"', 'acl = "deny"').aclRead(), false)
  // A wider deny does not reach into a narrower grant.
  assert.equal(authorizer('node_prefix "" { policy = "deny" }', 'node "n1" { policy = "read" }').nodeRead('n1'), true)
})

test('keyWritePrefix() needs every rule below the prefix to grant writing', () => {
  const wide = 'key_prefix "" { policy = "write" }'
  assert.equal(authorizer(wide).keyWritePrefix(''), true)
  assert.equal(authorizer(wide, 'key "a/b" { policy = "read" }').keyWritePrefix('a/'), false)
  assert.equal(authorizer(wide, 'key_prefix "a/b" { policy = "deny" }').keyWritePrefix('a/'), false)
  assert.equal(authorizer(wide, 'key "b" { policy = "deny" }').keyWritePrefix('a/'), true)
  assert.equal(authorizer('key_prefix "a/b/" { policy = "write" }').keyWritePrefix('a/'), false)
  assert.equal(authorizer('key "a/" { policy = "write" }').keyWritePrefix('a/'), false)
})

test('reading intentions follows from any right on the service; writing them is said', () => {
  const one = authorizer(
    'service "r" { policy = "read" } service "w" { policy = "write" } service "d" { policy = "deny" } service "i" { policy = "deny" intentions = "write" } service "n" { policy = "write" intentions = "deny" }',
  )
  const asked = ['r', 'w', 'd', 'i', 'n', 'other']
  assert.deepEqual(
    asked.map((name) => one.intentionRead(name)),
    [true, true, false, true, false, false],
  )
  assert.deepEqual(
    asked.map((name) => one.intentionWrite(name)),
    [false, false, false, true, false, false],
  )
  assert.equal(one.intentionRead('*'), true)
  assert.equal(one.intentionWrite('*'), false)
  const all = 'service_prefix "" { policy = "read" intentions = "write" }'
  assert.equal(authorizer(all).intentionWrite('*'), true)
  assert.equal(authorizer(all, 'service "x" { policy = "read" intentions = "read" }').intentionWrite('*'), false)
  // One policy may say the service, another its intentions.
  assert.equal(
    authorizer(
      'service "x" { policy = "read" }',
      'service "x" { policy = "read" intentions = "write" }',
    ).intentionWrite('x'),
    true,
  )
})

test('mesh and peering follow operator until a rule names them', () => {
  assert.equal(authorizer('operator = "write"').meshWrite(), true)
  assert.equal(authorizer('operator = "write" mesh = "read"').meshWrite(), false)
  assert.equal(authorizer('operator = "deny" peering = "write"').peeringWrite(), true)
  assert.equal(authorizer('mesh = "write"').operatorRead(), false)
})

test('agentRecoveryAuthorizer() grants one agent and seeing nodes', () => {
  const one = agentRecoveryAuthorizer('x')
  assert.deepEqual(granted(one), ['agentRead', 'agentWrite', 'nodeRead', 'nodeReadAll'])
  assert.equal(one.agentRead('y'), false)
})

test('allows() answers by name and refuses what does not exist, as recorded', () => {
  const one = authorizer('key_prefix "a/" { policy = "write" }')
  assert.equal(one.allows('key', 'write', 'a/x'), true)
  assert.equal(one.allows('operator', 'read', ''), false)
  assert.equal(one.allows('key', 'list', 'a/'), true)
  assert.equal(one.allows('intention', 'read', 'x'), false)
  assert.throws(() => one.allows('zzz', 'read', ''), { message: 'Invalid ACL resource requested: "zzz"', status: 400 })
  assert.throws(() => one.allows('__proto__', 'read', ''), { code: 'RESOURCE_UNKNOWN' })
  assert.throws(() => one.allows('key', 'zzz', ''), { code: 'ACCESS_UNKNOWN' })
  assert.throws(() => one.allows('acl', 'list', ''), { code: 'ACCESS_UNKNOWN' })
  assert.throws(() => one.allows('node', 'list', 'n'), { code: 'ACCESS_UNKNOWN' })
})

interface ModelRule {
  readonly name: string
  readonly prefix: boolean
  readonly level: Level
}

/** The same questions, by looking at every rule. */
class Model {
  readonly #rules: readonly ModelRule[]
  readonly #byDefault: boolean

  constructor(rules: readonly ModelRule[], byDefault: boolean) {
    this.#rules = rules
    this.#byDefault = byDefault
  }

  #merged(prefix: boolean, name: string): Level | undefined {
    const said = this.#rules.filter((rule) => rule.prefix === prefix && rule.name === name).map(({ level }) => level)
    return (['deny', 'write', 'list', 'read'] as const).find((level) => said.includes(level))
  }

  #prefix(name: string): Level | undefined {
    for (let length = name.length; length >= 0; length--) {
      const level = this.#merged(true, name.slice(0, length))
      if (level !== undefined) return level
    }
    return undefined
  }

  can(name: string, grants: (level: Level) => boolean): boolean {
    const level = this.#merged(false, name) ?? this.#prefix(name)
    return level === undefined ? this.#byDefault : grants(level)
  }

  canAll(prefix: string, grants: (level: Level) => boolean): boolean {
    const base = this.#prefix(prefix)
    const below = this.#rules.filter(({ name }) => name.startsWith(prefix))
    return (
      (base === undefined ? this.#byDefault : grants(base)) &&
      below.every((rule) => grants(this.#merged(rule.prefix, rule.name) ?? 'deny'))
    )
  }
}

test('a compiled authorizer answers as a model that looks at every rule', () => {
  const random = seededRandom(5)
  const levels: readonly Level[] = ['read', 'list', 'write', 'deny']
  const name = () => Array.from({ length: random.int(5) }, () => 'ab/'[random.int(3)]).join('')
  for (let round = 0; round < 600; round++) {
    const rules: ModelRule[] = Array.from({ length: random.int(12) }, () => ({
      name: name(),
      prefix: random.int(2) === 0,
      level: levels[random.int(levels.length)] ?? 'read',
    }))
    const byDefault = random.int(2) === 0
    const policies = rules.map((rule) =>
      parseRules(`key${rule.prefix ? '_prefix' : ''} "${rule.name}" { policy = "${rule.level}" }`),
    )
    const one = compileAuthorizer(policies, { defaultPolicy: byDefault ? 'allow' : 'deny' })
    const model = new Model(rules, byDefault)
    for (let asked = 0; asked < 30; asked++) {
      const key = name()
      const what = `${JSON.stringify(rules)} ${key} ${byDefault}`
      assert.equal(
        one.keyRead(key),
        model.can(key, (level) => level !== 'deny'),
        `read ${what}`,
      )
      assert.equal(
        one.keyWrite(key),
        model.can(key, (level) => level === 'write'),
        `write ${what}`,
      )
      assert.equal(
        one.keyList(key),
        model.can(key, (level) => level === 'list' || level === 'write'),
        `list ${what}`,
      )
      assert.equal(
        one.keyWritePrefix(key),
        model.canAll(key, (level) => level === 'write'),
        `prefix ${what}`,
      )
    }
  }
})

test('AuthorizerCache gives one authorizer to equal sets of policies, whatever their order', () => {
  const policy = (ID: string, Rules: string) => ACLPolicy.of({ ID, Rules, ModifyIndex: 3 })
  const cache = new AuthorizerCache({ defaultPolicy: 'deny' })
  const [a, b] = [policy('a', 'acl = "read"'), policy('b', 'operator = "read"')]
  const both = cache.of([a, b])
  assert.equal(cache.of([b, a, b]), both)
  assert.notEqual(cache.of([a]), both)
  assert.notEqual(cache.of([a, { ...b, ModifyIndex: 4 }]), both)
  assert.deepEqual([both.aclRead(), both.operatorRead(), cache.of([a]).operatorRead()], [true, true, false])
  assert.throws(() => cache.of([policy('c', 'key {')]), { code: 'RULES_SYNTAX' })
})
