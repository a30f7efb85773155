/**
 * Binding rules: what may be written, what a login is worth, names with variables.
 */

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: names of binding rules are such templates
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { ACLAuthMethod, ACLBindingRule, decode } from '#codec'
import { identityShape } from './auth-methods.ts'
import { fillTemplate, MAX_TEMPLATE_CHARACTERS, TemplateProblem } from './bind-template.ts'
import { bindIdentity, type IdentityShape, type LoginIdentity, prepareBindingRule } from './bindings.ts'
import { MemoryObjects, vector } from './fixture.ts'
import { jwtShape } from './jwt-config.ts'
import { KUBERNETES_SHAPE } from './kubernetes-login.ts'
import { loginDescription, loginToken } from './login-token.ts'

const random = seededRandom(2)
const stored = new MemoryObjects().withRole('r1', { Name: 'web-role' }).withPolicy('p1', { Name: 'web-policy' })

function prepared(given: Partial<ACLBindingRule>, shape: IdentityShape | null = KUBERNETES_SHAPE): ACLBindingRule {
  return prepareBindingRule(ACLBindingRule.of({ AuthMethod: 'm', ...given }), () => shape ?? undefined, stored, random)
}

function account(name: string, namespace = 'default'): LoginIdentity {
  return {
    selectable: { serviceaccount: { name, namespace, uid: 'u' } },
    variables: new Map([
      ['serviceaccount.name', name],
      ['serviceaccount.namespace', namespace],
      ['serviceaccount.uid', 'u'],
    ]),
  }
}

function bound(identity: LoginIdentity, ...rules: Partial<ACLBindingRule>[]) {
  const all = rules.map((rule) => ACLBindingRule.of(rule))
  return bindIdentity(all, identity, KUBERNETES_SHAPE, stored, 'dc1')
}

test('prepareBindingRule() refuses an unknown variable in the recorded words', () => {
  const method = ACLAuthMethod.of({ Type: 'jwt', Config: { JWKSURL: 'https://x/jwks' } })
  assert.throws(() => prepared({ BindType: 'service', BindName: 'x-${value.foo}' }, identityShape(method)), {
    message:
      'Invalid Binding Rule: invalid BindName or BindVars: failed to validate bindType "service": error interpreting template: 1:5: unknown variable accessed: value.foo',
    status: 500,
  })
})

test('prepareBindingRule() refuses what could never bind', () => {
  const good = { BindType: 'service', BindName: '${serviceaccount.name}' }
  assert.equal(prepared(good).ID.length, 36)
  assert.throws(() => prepared(good, null), { message: 'cannot find auth method with name "m"', status: 500 })
  for (const given of [
    { ...good, BindType: 'nope' },
    { ...good, BindType: '' },
    { ...good, BindName: '' },
    { ...good, BindName: 'Bad Name' },
    { ...good, BindName: '${serviceaccount.name' },
    { ...good, BindName: '${}' },
    { ...good, Selector: 'serviceaccount.nope == "x"' },
    { ...good, Selector: 'serviceaccount.name' },
    { ...good, AuthMethod: '' },
    { ...good, BindVars: { Name: 'x' } },
    { BindType: 'templated-policy', BindName: 'builtin/nope' },
    { BindType: 'templated-policy', BindName: 'builtin/service' },
    { BindType: 'templated-policy', BindName: 'builtin/service', BindVars: { Name: '${nope}' } },
  ]) {
    assert.throws(() => prepared(given), { code: 'BINDING_RULE_INVALID', status: 500 }, JSON.stringify(given))
  }
  assert.throws(() => prepared({ ...good, ID: 'unknown' }), { code: 'ACL_UPDATE_NOT_FOUND' })
})

test('prepareBindingRule() keeps the auth method of a rule that is changed', () => {
  const objects = new MemoryObjects()
  objects.bindingRules.set('i', ACLBindingRule.of({ ID: 'i', AuthMethod: 'm' }))
  const change = (AuthMethod: string) =>
    prepareBindingRule(
      ACLBindingRule.of({ ID: 'i', AuthMethod, BindType: 'role', BindName: 'x' }),
      () => KUBERNETES_SHAPE,
      objects,
      random,
    )
  assert.deepEqual([change('').AuthMethod, change('').ID], ['m', 'i'])
  assert.throws(() => change('other'), { code: 'BINDING_RULE_INVALID' })
})

test('bindIdentity() links by every bind type what matches the selector', () => {
  const links = bound(
    account('web'),
    { BindType: 'service', BindName: 'k8s-${serviceaccount.name}', Selector: 'serviceaccount.name != default' },
    { BindType: 'service', BindName: 'k8s-web' },
    { BindType: 'service', BindName: 'never', Selector: 'serviceaccount.namespace == "other"' },
    { BindType: 'node', BindName: 'n-${serviceaccount.namespace}' },
    { BindType: 'role', BindName: '${serviceaccount.name}-role' },
    { BindType: 'role', BindName: 'unknown-role' },
    { BindType: 'policy', BindName: '${serviceaccount.name}-policy' },
    { BindType: 'templated-policy', BindName: 'builtin/service', BindVars: { Name: '${serviceaccount.name}' } },
  )
  assert.deepEqual(links, {
    Policies: [{ ID: 'p1', Name: 'web-policy' }],
    Roles: [{ ID: 'r1', Name: 'web-role' }],
    ServiceIdentities: [{ ServiceName: 'k8s-web', Datacenters: null }],
    NodeIdentities: [{ NodeName: 'n-default', Datacenter: 'dc1' }],
    TemplatedPolicies: [
      {
        TemplateID: '00000000-0000-0000-0000-000000000003',
        TemplateName: 'builtin/service',
        TemplateVariables: { Name: 'web' },
        Datacenters: null,
      },
    ],
  })
})

test('bindIdentity() gives nothing when nothing matches or only unknown roles do', () => {
  assert.equal(bound(account('web')), undefined)
  assert.equal(
    bound(account('default'), { BindType: 'service', BindName: 'x', Selector: 'serviceaccount.name!=default' }),
    undefined,
  )
  assert.equal(bound(account('web'), { BindType: 'role', BindName: 'unknown' }), undefined)
})

test('bindIdentity() refuses a name that cannot be one, and a variable without a value', () => {
  assert.throws(() => bound(account('Not A Name'), { BindType: 'service', BindName: '${serviceaccount.name}' }), {
    message: 'computed "service" bind name for bind target is invalid: "Not A Name"',
  })
  const identity = { selectable: { serviceaccount: { name: 'x' } }, variables: new Map() }
  assert.throws(() => bound(identity, { BindType: 'service', BindName: 'web${serviceaccount.name}' }), {
    code: 'BIND_NAME_INVALID',
  })
})

test('jwtShape() offers the mapped claims to selectors and names', () => {
  const shape = jwtShape({ claims: new Map([['sub', 'user']]), listClaims: new Map([['groups', 'teams']]) })
  const identity = {
    selectable: { value: { user: 'alice' }, list: { teams: ['a', 'b'] } },
    variables: new Map([['value.user', 'alice']]),
  }
  const rule = (Selector: string) => prepared({ Selector, BindType: 'service', BindName: 'svc-${value.user}' }, shape)
  const worth = (Selector: string) => bindIdentity([rule(Selector)], identity, shape, stored, 'dc1')?.ServiceIdentities
  assert.deepEqual(worth('value.user == alice and "b" in list.teams'), [
    { ServiceName: 'svc-alice', Datacenters: null },
  ])
  assert.equal(worth('"c" in list.teams'), undefined)
})

test('loginToken() makes the recorded token', () => {
  const { calls } = vector<{ calls: { method: string; response_body_hex: string }[] }>('rpc-cross-dc.json')
  const methods = calls.filter(({ method }) => method === 'ACL.AuthMethodSet')
  const method = decode(ACLAuthMethod, Buffer.from(methods[0]?.response_body_hex ?? '', 'hex'))
  const wallMs = Date.UTC(2026, 10, 23, 8, 50, 52)
  const links = {
    Policies: null,
    Roles: null,
    ServiceIdentities: [{ ServiceName: 'svc-alice', Datacenters: null }],
    NodeIdentities: null,
    TemplatedPolicies: null,
  }
  const modules = { stored, random, wallMs }
  const token = loginToken(method, links, { pod: 'default/x' }, modules)
  assert.equal(token.Hash?.toString('hex'), '9d925e08df80e143a2e5f0472eb0007ac4c4a73086f5d8d1dcc27d6abc7ec69c')
  assert.equal(token.Description, 'token created via login: {"pod":"default/x"}')
  assert.deepEqual(
    [token.Local, token.AuthMethod, token.CreateTime, token.ExpirationTime],
    [false, 'jwt-global', '2026-11-23T08:50:52Z', '2026-11-23T09:50:52Z'],
  )
  assert.equal(loginToken({ ...method, TokenLocality: '' }, links, null, modules).Local, true)
  assert.equal(loginDescription(null), 'token created via login')
  assert.throws(() => loginToken(method, links, { x: 'y'.repeat(600) }, modules), { code: 'LOGIN_INVALID' })
})

test('fillTemplate() fills variables, keeps what is escaped, and places what is wrong', () => {
  const variables = new Map([['a.b', 'X']])
  const cases: [template: string, filled: string][] = [
    ['', ''],
    ['plain $ } {', 'plain $ } {'],
    ['${a.b}-${ a.b }', 'X-X'],
    ['$${a.b}', '${a.b}'],
    ['x$${a.b}${a.b}', 'x${a.b}X'],
  ]
  for (const [template, filled] of cases) assert.equal(fillTemplate(template, variables), filled, template)
  const problems: [template: string, problem: string][] = [
    ['x-${value.foo}', '1:5: unknown variable accessed: value.foo'],
    ['x\n${ b }', '2:4: unknown variable accessed: b'],
    ['${a.b', '1:1: expected "}" before the end of the template'],
    ['${a b}', '1:3: expected a variable, found "a b"'],
    ['${lower(a.b)}', '1:3: expected a variable, found "lower(a.b)"'],
  ]
  for (const [template, problem] of problems) {
    assert.throws(() => fillTemplate(template, variables), { message: problem }, template)
  }
  assert.throws(() => fillTemplate('x'.repeat(MAX_TEMPLATE_CHARACTERS + 1), variables), TemplateProblem)
})

test('fillTemplate() of random texts throws its own problem only', () => {
  for (let round = 0; round < 3000; round++) {
    const text = Array.from(
      { length: random.int(12) },
      () => ['$', '{', '}', 'a', '.', 'b', ' ', '\n', '$${'][random.int(9)],
    ).join('')
    try {
      fillTemplate(text, new Map([['a', '${b}']]))
    } catch (thrown) {
      assert.ok(thrown instanceof TemplateProblem, String(thrown))
    }
  }
})
