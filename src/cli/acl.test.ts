/**
 * The ACL commands against outputs recorded from the real program: the same answers of the API, the same bytes and
 * status. Then what a login leaves behind.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CannedAnswers, runCommand } from './test-run.ts'

const text = readFileSync(new URL('../../test/vectors/cli-acl.txt', import.meta.url), 'utf8')
const recordings = [...text.matchAll(/^\$ consul (.*)\n([\s\S]*?)^\[rc (\d+)\]$/gm)].map(
  ([, line = '', output = '', status]) => ({ line, output, status: Number(status) }),
)

const folder = mkdtempSync(join(tmpdir(), 'hanse-acl-'))
const home = process.cwd()
process.chdir(folder)
after(() => {
  process.chdir(home)
  rmSync(folder, { recursive: true })
})

const P1 = '833d4cd4-de4a-0415-efc3-779d2be1dd4d'
const R1 = 'b56956cc-53d3-9c9a-7153-005b41862ca0'
const MANAGEMENT_ID = '00000000-0000-0000-0000-000000000001'
const ANONYMOUS_ID = '00000000-0000-0000-0000-000000000002'
const JWT_KEY =
  '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElxrqXsl1mVSGhPDlYJCOdVQbiqBz\nYSTI3C1DH7QWUVPVEylxA+G6jMhppTEil5K3n+Pf7BnUgqR3/2xLD2dqgA==\n-----END PUBLIC KEY-----\n'
const indexes = (index: number) => ({ CreateIndex: index, ModifyIndex: index })
const p1Stub = {
  ...{ ID: P1, Name: 'p1', Description: 'd one', Datacenters: null },
  ...{ Hash: 'UCkC/W+62E9p2zJXEhKE7XpsuTx9x2TW2rfxfuoD+KY=', ...indexes(36) },
}
const { Datacenters: _none, ...named } = p1Stub
const p1 = { ...named, Rules: 'service "" { policy = "read" }' }
const builtins = [
  {
    ...{ ID: ANONYMOUS_ID, Name: 'builtin/global-read-only' },
    Description: 'A built-in policy that grants read-only access to all Consul features',
    ...{ Datacenters: null, Hash: '4jtyawyzzig+Ys5HfPI91O3UHLHiXtPlNG7aHEmlesk=', ...indexes(5) },
  },
  {
    ...{ ID: MANAGEMENT_ID, Name: 'global-management' },
    Description: 'A built-in policy that grants read and write access to all Consul features',
    ...{ Datacenters: null, Hash: '+TzVGrd3uSVx3Bl8FV5O0BsKc1idAee6ZpEw9WDfaW8=', ...indexes(4) },
  },
]
const r1 = {
  ...{ ID: R1, Name: 'r1', Description: 'rd', Policies: [{ ID: P1, Name: 'p1' }] },
  ServiceIdentities: [{ ServiceName: 'web', Datacenters: ['dc1'] }],
  NodeIdentities: [{ NodeName: 'n1', Datacenter: 'dc1' }],
  ...{ Hash: 'UCkC/W+62E9p2zJXEhKE7XpsuTx9x2TW2rfxfuoD+KY=', ...indexes(37) },
}
const tok = {
  ...{ AccessorID: 'df58883d-ff16-7529-1e81-cdafe3e10a0a', SecretID: 'b47d9296-15ad-4c77-013c-9c1144136779' },
  ...{ Description: 'tok', Policies: [{ ID: P1, Name: 'p1' }], Roles: [{ ID: R1, Name: 'r1' }], Local: true },
  ...{ ServiceIdentities: [{ ServiceName: 'web' }], CreateTime: '2026-11-23T08:38:38.076934832Z' },
  ...{ ExpirationTime: '2026-11-23T09:38:38.076934832Z', Hash: 'AA==', ...indexes(38) },
}
const initial = {
  ...{ AccessorID: '1acb20d8-3441-dd6f-2165-e0c9232cd4a7', SecretID: '11111111-1111-1111-1111-111111111111' },
  ...{ Description: 'Initial Management Token', Policies: [{ ID: MANAGEMENT_ID, Name: 'global-management' }] },
  ...{ Local: false, CreateTime: '2026-11-23T08:37:43.732109414Z', Hash: 'AA==', ...indexes(6) },
}
const anonymous = {
  ...{ AccessorID: ANONYMOUS_ID, SecretID: 'anonymous', Description: 'Anonymous Token', Local: false },
  ...{ CreateTime: '2026-11-23T08:37:43.733900669Z', Hash: 'AA==', ...indexes(7) },
}
const am1 = (Description: string) => ({
  ...{ Name: 'am1', Type: 'jwt', Description, MaxTokenTTL: '5m0s', TokenLocality: 'global' },
  ...{ Config: { JWTValidationPubKeys: [JWT_KEY], BoundIssuer: 'x' }, ...indexes(40) },
})
const { Config: _config, ...am1Stub } = am1('desc')
const templates = ['api-gateway', 'dns', 'node', 'nomad-client', 'nomad-server', 'service']
const serviceTemplate = {
  ...{ TemplateName: 'builtin/service', Schema: '', Template: '' },
  Description:
    "Gives the token or role permissions to register a service and discover services in the Consul catalog. It also gives the specified service's sidecar proxy the permission to discover and route traffic to other services.",
}
const block = (name: string, level: string) => `${name} {\n\tpolicy = "${level}"\n}`
const previewRules = [
  '',
  block('service "api"', 'write'),
  block('service "api-sidecar-proxy"', 'write'),
  block('service_prefix ""', 'read'),
  block('node_prefix ""', 'read'),
].join('\n')
const previewId = `${Buffer.from(previewRules).toString('hex')}6c62272e07bb014262b821756295c58d`
const preview = {
  ...{ ID: previewId, Name: `synthetic-policy-${previewId}`, Rules: previewRules, Hash: 'AA==', ...indexes(0) },
  Description: 'synthetic policy generated from templated policy: builtin/service',
}
const refused = (status: number, body: string) => ({ status, body })

const ANSWERS: CannedAnswers = {
  'PUT /v1/acl/policy': { body: p1 },
  'GET /v1/acl/policies': { body: [...builtins, p1Stub] },
  'GET /v1/acl/policy/name/p1': { body: p1 },
  [`DELETE /v1/acl/policy/${P1}`]: { body: 'true' },
  'GET /v1/acl/policy/name/global-management': { body: builtins[1] },
  [`PUT /v1/acl/policy/${MANAGEMENT_ID}`]: refused(
    500,
    'Changing the Rules for the builtin global-management policy is not permitted',
  ),
  'PUT /v1/acl/role': { body: r1 },
  'GET /v1/acl/roles': { body: [r1] },
  'GET /v1/acl/role/name/r1': { body: r1 },
  [`DELETE /v1/acl/role/${R1}`]: { body: 'true' },
  'PUT /v1/acl/token': { body: tok },
  'GET /v1/acl/tokens': { body: [initial, anonymous, tok] },
  'GET /v1/acl/token/self': { body: initial },
  [`DELETE /v1/acl/token/${ANONYMOUS_ID}`]: refused(500, 'Delete operation not permitted on the anonymous token'),
  'GET /v1/acl/binding-rules': { body: [] },
  'PUT /v1/acl/binding-rule': refused(
    500,
    'Invalid Binding Rule: invalid BindName or BindVars: failed to validate bindType "service": error interpreting template: 1:5: unknown variable accessed: value.foo',
  ),
  'PUT /v1/acl/auth-method': { body: am1('desc') },
  'PUT /v1/acl/auth-method/am1': { body: am1('n2') },
  'GET /v1/acl/auth-method/am1': { body: am1('desc') },
  'DELETE /v1/acl/auth-method/am1': { body: 'true' },
  'PUT /v1/acl/bootstrap': refused(403, 'Permission denied: ACL bootstrap no longer allowed (reset index: 6)'),
  'GET /v1/acl/templated-policies': { body: Object.fromEntries(templates.map((name) => [`builtin/${name}`, {}])) },
  'GET /v1/acl/templated-policy/name/builtin/service': { body: serviceTemplate },
  'POST /v1/acl/templated-policy/preview/builtin/service': { body: preview },
  'PUT /v1/agent/token/default': {},
  'POST /v1/acl/login': refused(403, 'ACL not found: auth method "nope" not found'),
  'POST /v1/acl/logout': refused(403, "Permission denied: token wasn't created via login"),
}

/** Words with spaces in them, which the recordings do not mark. */
const SPACED = ['d one', 'service "" { policy = "read" }', 'key "" { policy="read"}', '']

function wordsOf(line: string): string[] {
  const marked = SPACED.filter((word) => word !== '').reduce(
    (rest, word) => rest.replace(word, word.replaceAll(' ', '\0')),
    line,
  )
  return marked.split(' ').map((word) => word.replaceAll('\0', ' '))
}

writeFileSync('jwt.json', JSON.stringify(am1('').Config))
writeFileSync('pub.pem', 'x')

/** The first recording has no auth methods yet. */
const methodsSeen: unknown[] = [[], [am1Stub]]

for (const { line, output, status } of recordings) {
  test(`hanse ${line}: the recorded bytes and status ${status}`, async () => {
    const methods = line === 'acl auth-method list' ? methodsSeen.shift() : []
    const answers = { ...ANSWERS, 'GET /v1/acl/auth-methods': { body: methods } }
    const ran = await runCommand(wordsOf(line), { answers })
    assert.equal(ran.both, output)
    assert.equal(ran.status, status)
  })
}

test('there are recordings of every kind', () => {
  assert.equal(recordings.length, 30)
})

test('hanse login writes the token for its owner alone and shows nothing', async () => {
  writeFileSync('bearer', ' jwt \n')
  const words = ['login', '-method', 'm', '-bearer-token-file', 'bearer', '-token-sink-file', 'sink', '-meta', 'a=b']
  const ran = await runCommand(words, { answers: { 'POST /v1/acl/login': { body: tok } } })
  assert.deepEqual([ran.status, ran.both], [0, ''])
  assert.equal(readFileSync('sink', 'utf8'), tok.SecretID)
  assert.equal(statSync('sink').mode & 0o777, 0o600)
  assert.deepEqual(JSON.parse(ran.asked[0]?.body ?? ''), { AuthMethod: 'm', BearerToken: 'jwt', Meta: { a: 'b' } })
})

test('hanse acl token update -append-policy-name adds to what is there; -policy-name replaces it', async () => {
  const path = `/v1/acl/token/${tok.AccessorID}`
  const answers = { [`GET ${path}`]: { body: tok }, [`PUT ${path}`]: { body: tok } }
  const update = async (flag: string) => {
    const ran = await runCommand(['acl', 'token', 'update', '-accessor-id', tok.AccessorID, flag, 'p2'], { answers })
    assert.equal(ran.status, 0, ran.both)
    return JSON.parse(ran.asked[1]?.body ?? '')
  }
  assert.deepEqual((await update('-append-policy-name')).Policies, [{ ID: P1, Name: 'p1' }, { Name: 'p2' }])
  const replaced = await update('-policy-name')
  assert.deepEqual(replaced.Policies, [{ Name: 'p2' }])
  assert.deepEqual(replaced.Roles, tok.Roles)
})
