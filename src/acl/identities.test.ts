/**
 * Identities, templates, builtin objects and hashes against the recorded ones; tokens and what they grant.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACLPolicy, ACLRole, ACLToken, type Kind } from '#codec'
import { blake2b256 } from './blake2b.ts'
import { anonymousToken, builtinPolicies, managementToken } from './builtin.ts'
import { MemoryObjects, recordedExchanges, vector } from './fixture.ts'
import { policyHash, roleHash, tokenHash } from './hashes.ts'
import { syntheticPolicy } from './identities.ts'
import { currentLinks, expandToken, isExpired, policiesInForce } from './resolve.ts'
import { parseRules } from './rules.ts'
import { checkTemplateVariables, templatedPolicies, templatedPolicy } from './templated-policies.ts'

interface Expansion {
  readonly name: string
  readonly expanded_response: { readonly ExpandedPolicies: unknown[]; readonly ExpandedRoles: unknown[] | null }
}
const recorded = vector<{
  acl: {
    token_expansion: Expansion[]
    templated_policy_previews: { request: { path: string; body: { Name?: string } }; response: unknown }[]
    templated_policies: unknown
    builtin_policies: unknown[]
    anonymous_token: { CreateTime: string }
  }
}>('identities.json').acl

function read<T>(kind: Kind<T>, json: unknown): T {
  return kind.fromJson(json, '', { unknownKeys: 'skip' })
}

test('expandToken() makes of every recorded token the recorded policies: IDs, names, rules, hashes, order', () => {
  for (const { name, expanded_response: response } of recorded.token_expansion) {
    const stored = new MemoryObjects()
    for (const policy of response.ExpandedPolicies.map((json) => read(ACLPolicy, json))) {
      if (!policy.Name.startsWith('synthetic-')) stored.policies.set(policy.ID, policy)
    }
    for (const role of (response.ExpandedRoles ?? []).map((json) => read(ACLRole, json)))
      stored.roles.set(role.ID, role)
    const token = read(ACLToken, response)
    const { policies, roles } = expandToken(token, stored)
    assert.deepEqual(policies.map(ACLPolicy.toJson), response.ExpandedPolicies, name)
    assert.deepEqual(roles.map(ACLRole.toJson), response.ExpandedRoles ?? [], name)
    for (const policy of policies) parseRules(policy.Rules)
  }
  assert.ok(recorded.token_expansion.length >= 9)
})

test('policiesInForce() leaves out policies of other datacenters', () => {
  const stored = new MemoryObjects().withPolicy('here', { Datacenters: ['dc1'] }).withPolicy('everywhere')
  const token = ACLToken.of({
    Policies: [
      { ID: 'here', Name: '' },
      { ID: 'everywhere', Name: '' },
      { ID: 'deleted', Name: '' },
    ],
    NodeIdentities: [{ NodeName: 'n1', Datacenter: 'dc2' }],
    ServiceIdentities: [{ ServiceName: 'web', Datacenters: ['dc2'] }],
  })
  const { policies } = expandToken(token, stored)
  const rulesIn = (datacenter: string) => policiesInForce(policies, datacenter).map(({ ID }) => ID.slice(0, 10))
  assert.deepEqual(rulesIn('dc1'), ['here', 'everywhere'])
  assert.deepEqual(rulesIn('dc2'), ['everywhere', '0a73657276', '0a6e6f6465'])
})

test('expandToken() grants an identity that token and role both have wherever one of them does', () => {
  const web = (Datacenters: string[] | null) => [{ ServiceName: 'web', Datacenters }]
  const stored = new MemoryObjects()
    .withRole('a', { ServiceIdentities: web(['dc2']) })
    .withRole('b', { ServiceIdentities: web(null) })
  const datacenters = (...roles: string[]) => {
    const Roles = roles.map((ID) => ({ ID, Name: '' }))
    const { policies } = expandToken(ACLToken.of({ ServiceIdentities: web(['dc1']), Roles }), stored)
    return policies.map((policy) => policy.Datacenters)
  }
  assert.deepEqual(datacenters(), [['dc1']])
  assert.deepEqual(datacenters('a'), [['dc1', 'dc2']])
  assert.deepEqual(datacenters('a', 'b'), [null])
})

test('templated policies and their previews are the recorded ones', () => {
  assert.deepEqual(templatedPolicies(), recorded.templated_policies)
  for (const { request, response } of recorded.templated_policy_previews) {
    const template = request.path.replace('/v1/acl/templated-policy/preview/', '')
    const name = request.body.Name ?? ''
    checkTemplateVariables(template, name)
    assert.deepEqual(ACLPolicy.toJson(syntheticPolicy(template, name, null)), response)
  }
})

test('templatedPolicy() and checkTemplateVariables() refuse as recorded', () => {
  let checked = 0
  for (const { request, response } of recordedExchanges) {
    const preview = /^\/v1\/acl\/templated-policy\/preview\/(.*)/.exec(request.path)?.[1]
    const named = /^\/v1\/acl\/templated-policy\/name\/(.*)/.exec(request.path)?.[1]
    if (response.status !== 400 || (preview !== undefined && request.body === undefined)) continue
    const refused = { message: response.body, status: 400 }
    if (named !== undefined) assert.throws(() => templatedPolicy(named), refused)
    else if (preview !== undefined) {
      const { Name } = JSON.parse(request.body ?? '{}') as { Name?: string }
      assert.throws(() => checkTemplateVariables(preview, Name ?? ''), refused)
    } else continue
    checked++
  }
  assert.equal(checked, 4)
})

test('builtin policies, the anonymous and the bootstrap token are the recorded ones', () => {
  const withoutIndexes = (json: unknown) => ({ ...(json as object), CreateIndex: 0, ModifyIndex: 0 })
  assert.deepEqual(builtinPolicies.map(ACLPolicy.toJson), recorded.builtin_policies.map(withoutIndexes))
  const anonymous = recorded.anonymous_token
  assert.deepEqual(ACLToken.toJson(anonymousToken(anonymous.CreateTime)), withoutIndexes(anonymous))
  const bootstrap = read(ACLToken, JSON.parse(recordedExchanges[1]?.response.body ?? ''))
  const made = managementToken({
    accessor: bootstrap.AccessorID,
    secret: bootstrap.SecretID,
    description: bootstrap.Description,
    createTime: bootstrap.CreateTime,
  })
  assert.deepEqual(ACLToken.toJson(made), withoutIndexes(ACLToken.toJson(bootstrap)))
})

test('the hash of every recorded policy, role and token is that of its content', () => {
  let checked = 0
  for (const { n, request, response } of recordedExchanges) {
    const kind = /^\/v1\/acl\/(policy|role|token)(\/|\?|$)/.exec(request.path)?.[1]
    if (response.status !== 200 || kind === undefined || !response.body.startsWith('{')) continue
    const json: unknown = JSON.parse(response.body)
    const [made, held] =
      kind === 'policy'
        ? [policyHash(read(ACLPolicy, json)), read(ACLPolicy, json).Hash]
        : kind === 'role'
          ? [roleHash(read(ACLRole, json)), read(ACLRole, json).Hash]
          : [tokenHash(read(ACLToken, json)), read(ACLToken, json).Hash]
    assert.equal(made.toString('base64'), held?.toString('base64'), `#${n}`)
    checked++
  }
  assert.ok(checked > 25)
  for (const { expanded_response } of recorded.token_expansion) {
    const token = read(ACLToken, expanded_response)
    assert.equal(tokenHash(token).toString('base64'), token.Hash?.toString('base64'))
  }
})

test('blake2b256() of texts around the block size', () => {
  // Reference values: b2sum -l 256.
  const hex = (text: string) => blake2b256(Buffer.from(text)).toString('hex')
  assert.equal(hex(''), '0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8')
  assert.equal(hex('abc'), 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319')
  assert.equal(hex('a'.repeat(128)), 'ae2aa48507885c4c950fb809b2076f959cde9f8ea6da260d9a3587df33dac450')
  assert.equal(hex('a'.repeat(129)), '2f64744a6de0d2c0b56e64cf6e29a5aaa255010d415d51c75ccc82f73dccd865')
})

test("currentLinks() shows today's names and drops links to what is gone", () => {
  const names = new Map([['a', { Name: 'new name' }]])
  const find = (id: string) => names.get(id)
  assert.deepEqual(
    currentLinks(
      [
        { ID: 'a', Name: 'old' },
        { ID: 'b', Name: 'gone' },
      ],
      find,
    ),
    [{ ID: 'a', Name: 'new name' }],
  )
  assert.equal(currentLinks([{ ID: 'b', Name: 'gone' }], find), null)
  assert.equal(currentLinks(null, find), null)
})

test('isExpired() at the very end of a token', () => {
  const token = { ExpirationTime: '2026-11-23T10:18:04.5Z' }
  const end = Date.UTC(2026, 10, 23, 10, 18, 4, 500)
  assert.deepEqual(
    [end - 1, end].map((now) => isExpired(token, now)),
    [false, true],
  )
  assert.equal(isExpired({ ExpirationTime: null }, end), false)
})
