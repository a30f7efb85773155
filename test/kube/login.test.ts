/**
 * Logins with service accounts of a real Kubernetes cluster: its API server says who bears a token, binding rules say what
 * that one may do, and what it refuses is refused with a reason.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SignJWT } from 'jose'
import { createCertificateAuthority } from '#codec'
import type { Datacenter } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'
import { account, namespace, READS_ACCOUNTS, REVIEWS, SERVICE_NAME, tokenSecret, trusted } from './accounts.ts'
import { Cluster } from './cluster.ts'

const MANAGEMENT = 'aaaaaaaa-1111-4000-8000-00000000000a'

const bed = new TestBed()
let cluster: Cluster
let dc1: Datacenter
/** Of the auth method, from a secret as an installation makes it: good until its account is gone. */
let reviewer = ''
/** Every JWT that was handed out, none of which may be in a log. */
const secrets: string[] = []

before(async () => {
  cluster = Cluster.up()
  cluster.apply(namespace('hanse'), namespace('shop'), namespace('office'))
  cluster.apply(
    ...trusted('reviewer', REVIEWS, READS_ACCOUNTS),
    ...trusted('half', REVIEWS),
    ...trusted('nobody'),
    account('shop', 'web'),
    account('shop', 'api-v2', { [SERVICE_NAME]: 'api' }),
    account('shop', 'gone'),
    account('office', 'web'),
    tokenSecret('hanse', 'reviewer'),
  )
  await eventually('the secret of the reviewer has its token', () => {
    const args = ['get', 'secret', 'reviewer', '-n', 'hanse', '-o', 'jsonpath={.data.token}']
    reviewer = Buffer.from(cluster.kubectl(args), 'base64').toString('utf8')
    assert.notEqual(reviewer, '')
  })
  secrets.push(reviewer)

  const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT } }
  dc1 = await bed.make({ name: 'dc1', token: MANAGEMENT, settings: { acl, log_level: 'trace' } })
  dc1.startServer()
  await dc1.ready()
  const files = { ca: write('cluster-ca.pem', cluster.caPem), jwt: write('reviewer.jwt', reviewer) }
  const made = await hanse([
    ...['acl', 'auth-method', 'create', '-type', 'kubernetes', '-name', 'cluster', '-max-token-ttl', '30m'],
    ...['-kubernetes-host', cluster.server, '-kubernetes-ca-cert', `@${files.ca}`],
    ...['-kubernetes-service-account-jwt', `@${files.jwt}`],
  ])
  assert.equal(made.code, 0, made.output)
  await rules('cluster')
})
after(async () => {
  await bed.stop().finally(() => cluster?.down())
})

function write(name: string, text: string): string {
  const path = join(bed.root, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

const hanse = (words: readonly string[], token = MANAGEMENT) =>
  bed.programs.hanse([...words, '-http-addr', `${dc1.host}:${dc1.ports.http}`], { CONSUL_HTTP_TOKEN: token })

async function put(path: string, body: object): Promise<void> {
  await dc1.client.expect('PUT', path, { body })
}

/** Everyone of the shop is a service of that name; web there may also write its keys. */
async function rules(AuthMethod: string): Promise<void> {
  await put('/v1/acl/policy', { Name: `keys-${AuthMethod}`, Rules: 'key_prefix "web/" { policy = "write" }' })
  for (const [Selector, BindType, BindName] of [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of binding rules
    ['serviceaccount.namespace == "shop"', 'service', '${serviceaccount.name}'],
    ['serviceaccount.namespace == shop and serviceaccount.name == web', 'policy', `keys-${AuthMethod}`],
    ['serviceaccount.name == "api-v2"', 'policy', 'global-management'],
  ]) {
    await put('/v1/acl/binding-rule', { AuthMethod, Selector, BindType, BindName })
  }
}

/** Another auth method at the same cluster, with something of its own. */
async function method(Name: string, more: object): Promise<void> {
  const Config = { Host: cluster.server, CACert: cluster.caPem, ServiceAccountJWT: reviewer, ...more }
  await put('/v1/acl/auth-method', { Name, Type: 'kubernetes', Config })
  await rules(Name)
}

interface Token {
  readonly AccessorID: string
  readonly SecretID: string
  readonly AuthMethod: string
  readonly Description: string
  readonly Local: boolean
  readonly ExpirationTime?: string
  readonly ServiceIdentities?: readonly { readonly ServiceName: string }[]
  readonly Policies?: readonly { readonly Name: string }[]
}

const given = (jwt: string) => {
  secrets.push(jwt)
  return jwt
}
const jwtOf = (where: string, name: string, ...more: readonly string[]) => given(cluster.token(where, name, ...more))

async function login(BearerToken: string, AuthMethod = 'cluster'): Promise<{ status: number; text: string }> {
  const nobody = dc1.as('')
  const { status, body } = await nobody.request('POST', '/v1/acl/login', { body: { AuthMethod, BearerToken } })
  nobody.close()
  return { status, text: body.toString('utf8') }
}

async function loggedIn(bearer: string): Promise<Token> {
  const { status, text } = await login(bearer)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

async function status(token: string, verb: string, path: string): Promise<number> {
  const client = dc1.as(token)
  try {
    return (await client.request(verb, path, verb === 'PUT' ? { body: 'x' } : {})).status
  } finally {
    client.close()
  }
}

test('hanse login gets a token for a service account, with the policies of its rules, and hanse logout ends it', async () => {
  const [bearer, sink] = [write('web.jwt', jwtOf('shop', 'web')), join(bed.root, 'web.token')]
  const words = ['-method', 'cluster', '-bearer-token-file', bearer, '-token-sink-file', sink, '-meta', 'pod=web-1']
  const { code, output } = await hanse(['login', ...words], '')
  assert.deepEqual([code, output], [0, ''])
  assert.equal(statSync(sink).mode & 0o777, 0o600)
  const secret = readFileSync(sink, 'utf8')

  const client = dc1.as(secret)
  const self = (await client.json('GET', '/v1/acl/token/self')) as Token
  client.close()
  assert.deepEqual([self.SecretID, self.AuthMethod, self.Local], [secret, 'cluster', true])
  assert.equal(self.Description, 'token created via login: {"pod":"web-1"}')
  assert.deepEqual(
    self.ServiceIdentities?.map(({ ServiceName }) => ServiceName),
    ['web'],
  )
  assert.deepEqual(
    self.Policies?.map(({ Name }) => Name),
    ['keys-cluster'],
  )
  const leftMs = Date.parse(self.ExpirationTime ?? '') - Date.now()
  assert.ok(leftMs > 25 * 60_000 && leftMs <= 30 * 60_000, self.ExpirationTime)
  assert.equal(await status(secret, 'PUT', '/v1/kv/web/key'), 200)
  assert.equal(await status(secret, 'PUT', '/v1/kv/api/key'), 403)
  assert.equal(await status(secret, 'GET', '/v1/agent/connect/ca/leaf/web'), 200)
  assert.equal(await status(secret, 'GET', '/v1/agent/connect/ca/leaf/api'), 403)

  const out = await hanse(['logout'], secret)
  assert.deepEqual([out.code, out.output], [0, ''])
  assert.equal(await status(secret, 'GET', '/v1/acl/token/self'), 403)
  const again = await hanse(['logout'], secret)
  assert.equal(again.code, 1)
  assert.match(again.output, /Error destroying token: .*Supplied token does not exist/)
})

test('the annotation of a service account names the service that it stands for, in rules too', async () => {
  const token = await loggedIn(jwtOf('shop', 'api-v2'))
  assert.deepEqual(
    token.ServiceIdentities?.map(({ ServiceName }) => ServiceName),
    ['api'],
  )
  assert.equal(token.Policies, undefined)
  cluster.kubectl(['annotate', 'serviceaccount', 'api-v2', '-n', 'shop', `${SERVICE_NAME}-`])
  const plain = await loggedIn(jwtOf('shop', 'api-v2'))
  assert.deepEqual(
    plain.ServiceIdentities?.map(({ ServiceName }) => ServiceName),
    ['api-v2'],
  )
  assert.deepEqual(
    plain.Policies?.map(({ Name }) => Name),
    ['global-management'],
  )
})

test('a service account that no rule selects gets no token', async () => {
  assert.deepEqual(await login(jwtOf('office', 'web')), { status: 403, text: 'Permission denied' })
})

test('a rule may select the UID of an account, which another of the same name does not have', async () => {
  const uid = () => cluster.kubectl(['get', 'serviceaccount', 'web', '-n', 'office', '-o', 'jsonpath={.metadata.uid}'])
  const Selector = `serviceaccount.uid == "${uid()}"`
  await put('/v1/acl/binding-rule', { AuthMethod: 'cluster', Selector, BindType: 'service', BindName: 'the-one' })
  const token = await loggedIn(jwtOf('office', 'web'))
  assert.deepEqual(
    token.ServiceIdentities?.map(({ ServiceName }) => ServiceName),
    ['the-one'],
  )
  cluster.kubectl(['delete', 'serviceaccount', 'web', '-n', 'office'])
  cluster.apply(account('office', 'web'))
  assert.equal((await login(jwtOf('office', 'web'))).status, 403)
})

/** A token that the cluster's own key has signed, as its API server would some time ago. */
async function signed(claims: object, ageSeconds: number, key = cluster.serviceAccountKey()): Promise<string> {
  const good = cluster.token('shop', 'web')
  const [head = '', body = ''] = good.split('.').map((part) => Buffer.from(part, 'base64url').toString('utf8'))
  const { iat, nbf, exp } = JSON.parse(body)
  const shifted = { iat: iat - ageSeconds, nbf: nbf - ageSeconds, exp: exp - ageSeconds }
  return given(
    await new SignJWT({ ...JSON.parse(body), ...shifted, ...claims }).setProtectedHeader(JSON.parse(head)).sign(key),
  )
}

test('a token that the cluster did not make, or not for this, is refused with its reason', async (t) => {
  assert.equal((await login(await signed({}, 0))).status, 200, 'signed as the cluster does')
  const deleted = jwtOf('shop', 'gone')
  cluster.kubectl(['delete', 'serviceaccount', 'gone', '-n', 'shop'])
  const recreated = jwtOf('office', 'web')
  cluster.kubectl(['delete', 'serviceaccount', 'web', '-n', 'office'])
  cluster.apply(account('office', 'web'))
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  for (const [what, bearer, reason] of [
    ['of another audience', jwtOf('shop', 'web', '--audience=vault'), /audience/],
    ['expired', await signed({}, 86_400), /expired/],
    ['of a deleted account', deleted, /serviceaccounts "gone" not found/],
    ['of an account that was made anew', recreated, /service account UID .* does not match/],
    ['of another issuer', await signed({ iss: 'https://elsewhere' }, 0), /invalid bearer token/],
    ['signed by another key', await signed({}, 0, other), /invalid bearer token/],
    ['changed', `${jwtOf('shop', 'web').slice(0, -8)}AAAAAAAA`, /invalid bearer token/],
    ['garbage', 'garbage', /it is not a JWT/],
    ['no token', '', /it is not a JWT/],
  ] as const) {
    const { status: code, text } = await login(bearer)
    t.diagnostic(`${what}: ${code} ${text}`)
    assert.equal(code, 403, `${what}: ${text}`)
    assert.match(text, /^Permission denied: auth method "cluster" refused the bearer token: /, what)
    assert.match(text, reason, what)
  }
  const cli = await hanse(
    [
      'login',
      '-method',
      'cluster',
      '-bearer-token-file',
      write('bad.jwt', deleted),
      '-token-sink-file',
      join(bed.root, 'no'),
    ],
    '',
  )
  assert.equal(cli.code, 1)
  assert.match(cli.output, /^Error logging in: .*403.*refused the bearer token/)
})

test('an auth method that cannot ask says so: no right, no such account, no way, another CA', async (t) => {
  const web = jwtOf('shop', 'web')
  await method('no-right', { ServiceAccountJWT: jwtOf('hanse', 'nobody') })
  await method('half-a-right', { ServiceAccountJWT: jwtOf('hanse', 'half') })
  await method('other-audience', { ServiceAccountJWT: jwtOf('hanse', 'reviewer', '--audience=vault') })
  await method('no-way', { Host: cluster.server.replace(/:\d+$/, ':9') })
  await method('no-name', { Host: 'https://kubernetes.invalid:6443' })
  await method('another-ca', { CACert: createCertificateAuthority({}).certPem })
  await method('no-api', { Host: `${cluster.server}/elsewhere` })
  for (const [name, reason] of [
    ['no-right', /TokenReview with status 403: Config.ServiceAccountJWT has no right to it/],
    ['half-a-right', /ServiceAccount with status 403: Config.ServiceAccountJWT has no right to it/],
    ['other-audience', /TokenReview with status 401: it does not know Config.ServiceAccountJWT/],
    ['no-way', /^.*Kubernetes API "https:\/\/[^"]+:9" is not reachable: connect ECONNREFUSED/],
    ['no-name', /is not reachable: getaddrinfo (ENOTFOUND|EAI_AGAIN) kubernetes\.invalid/],
    ['another-ca', /is not reachable: its certificate is not of the authority that the auth method names/],
    ['no-api', /TokenReview with status 40[34]/],
  ] as const) {
    const { status: code, text } = await login(web, name)
    t.diagnostic(`${name}: ${code} ${text}`)
    assert.equal(code, 500, `${name}: ${text}`)
    assert.match(text, new RegExp(`^Cannot check the bearer token with auth method "${name}": `), name)
    assert.match(text, reason, name)
  }
})

test('a cluster that is gone stops logins by name; tokens of earlier logins go on', async () => {
  const bearer = jwtOf('shop', 'web')
  const { SecretID } = await loggedIn(bearer)
  cluster.down()
  const { status: code, text } = await login(bearer)
  assert.equal(code, 500)
  assert.match(
    text,
    /^Cannot check the bearer token with auth method "cluster": Kubernetes API "https:[^"]+" is not reachable/,
  )
  assert.equal(await status(SecretID, 'PUT', '/v1/kv/web/key'), 200)
  assert.equal((await hanse(['logout'], SecretID)).code, 0)
})

test('no JWT is in what the server, a login or a logout wrote', () => {
  assert.ok(secrets.length > 10)
  // The command that makes an auth method shows it whole to whom may read it, as Consul's does.
  for (const program of bed.programs.started.filter(({ name }) => name !== 'hanse acl')) {
    for (const secret of secrets)
      assert.ok(!program.output.includes(secret), `a JWT is in the output of ${program.name}`)
  }
})
