/**
 * Logins with service accounts against a server that answers as the Kubernetes API does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom, systemClock } from '#base'
import { ACLAuthMethod, createCertificateAuthority } from '#codec'
import { type AuthMethod, authMethod, prepareAuthMethod } from './auth-methods.ts'
import { recordedExchanges } from './fixture.ts'
import { type HttpTransport, httpsTransport, MAX_ANSWER_BYTES } from './http-transport.ts'
import { type Asked, httpsServer, type TestServer } from './https-fixture.ts'
import { EXPIRATION_BOUNDS } from './prepare-token.ts'

const SERVICE_ACCOUNT_JWT = 'aaa.bbb.ccc-of-the-method'
const BEARER = 'ddd.eee.fff-of-the-pod'

function reviewOf(status: unknown) {
  return { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status }
}

const GOOD_REVIEW = reviewOf({
  authenticated: true,
  user: { username: 'system:serviceaccount:default:web', uid: 'u-1' },
})
const ACCOUNT = { kind: 'ServiceAccount', metadata: { name: 'web', namespace: 'default', uid: 'u-1' } }

function methodOf(server: Pick<TestServer, 'url' | 'caPem'>, transport: HttpTransport = httpsTransport): AuthMethod {
  const Config = { Host: `${server.url}/`, CACert: server.caPem, ServiceAccountJWT: SERVICE_ACCOUNT_JWT }
  return authMethod(ACLAuthMethod.of({ Name: 'k8s', Type: 'kubernetes', Config }), { transport, clock: systemClock })
}

async function withServer(
  answer: (asked: Asked) => { status?: number; body: unknown },
  use: (method: AuthMethod, server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await httpsServer(answer)
  try {
    await use(methodOf(server), server)
  } finally {
    await server.close()
  }
}

/** Answers the review and the account. */
const answers = (review: unknown, account: unknown) => (asked: Asked) => ({
  body: asked.method === 'POST' ? review : account,
})

test('a login asks for one TokenReview and one service account, with the token of the method', async () => {
  await withServer(answers(GOOD_REVIEW, ACCOUNT), async (method, server) => {
    const { selectable, variables } = await method.login(BEARER)
    assert.deepEqual(selectable, { serviceaccount: { namespace: 'default', name: 'web', uid: 'u-1' } })
    assert.equal(variables.get('serviceaccount.name'), 'web')
    assert.deepEqual(
      server.asked.map(({ method, path, authorization }) => [method, path, authorization]),
      [
        ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', `Bearer ${SERVICE_ACCOUNT_JWT}`],
        ['GET', '/api/v1/namespaces/default/serviceaccounts/web', `Bearer ${SERVICE_ACCOUNT_JWT}`],
      ],
    )
    const review = JSON.parse(server.asked[0]?.body ?? '') as { kind: string; spec: unknown }
    assert.deepEqual([review.kind, review.spec], ['TokenReview', { token: BEARER }])
  })
})

test('the annotation of a service account replaces its name', async () => {
  const annotations = { 'consul.hashicorp.com/service-name': 'shop' }
  await withServer(answers(GOOD_REVIEW, { ...ACCOUNT, metadata: { annotations } }), async (method) => {
    const { selectable, variables } = await method.login(BEARER)
    assert.deepEqual(selectable, { serviceaccount: { namespace: 'default', name: 'shop', uid: 'u-1' } })
    assert.equal(variables.get('serviceaccount.name'), 'shop')
  })
})

test('a login is refused when Kubernetes does not vouch for a service account', async () => {
  for (const status of [
    {},
    { authenticated: 'true', user: { username: 'system:serviceaccount:default:web' } },
    { authenticated: true, user: { username: 'alice' } },
    { authenticated: true, user: { username: 'system:serviceaccount:default:../../secrets' } },
    { authenticated: true },
  ]) {
    await withServer(answers(reviewOf(status), ACCOUNT), async (method, server) => {
      await assert.rejects(method.login(BEARER), { code: 'LOGIN_REFUSED', status: 403 }, JSON.stringify(status))
      assert.equal(server.asked.length, 1)
    })
  }
  const error = `[invalid bearer token ${BEARER},\r\nservice account token has expired] ${'x'.repeat(1_000)}`
  await withServer(answers(reviewOf({ authenticated: false, error }), ACCOUNT), async (method) => {
    await assert.rejects(method.login(BEARER), ({ message }: Error) => {
      assert.match(message, /token: \[invalid bearer token …, service account token has expired\] x+$/)
      assert.ok(message.length < 500)
      return true
    })
  })
  await withServer(
    ({ method }) => (method === 'POST' ? { body: GOOD_REVIEW } : { status: 404, body: {} }),
    async (method) => {
      await assert.rejects(method.login(BEARER), /service account "default\/web" does not exist/)
      await assert.rejects(method.login('no jwt'), { code: 'LOGIN_REFUSED' })
      await assert.rejects(method.login('x'.repeat(70_000)), { code: 'LOGIN_REFUSED' })
    },
  )
})

test('a login says what is wrong when Kubernetes cannot answer, without a secret', async () => {
  const shown: string[] = []
  const fails = async (method: AuthMethod, text: RegExp) =>
    await assert.rejects(method.login(BEARER), (thrown) => {
      assert.ok(thrown instanceof HanseError && thrown.code === 'LOGIN_UNAVAILABLE', String(thrown))
      assert.match(thrown.message, text)
      shown.push(JSON.stringify([thrown.message, thrown.facts, String(thrown.cause)]))
      return true
    })
  const answered = (status: number, body: unknown, text: RegExp) =>
    withServer(
      () => ({ status, body }),
      async (method) => await fails(method, text),
    )
  await answered(403, {}, /TokenReview with status 403: Config.ServiceAccountJWT has no right to it/)
  await answered(401, {}, /TokenReview with status 401: it does not know Config.ServiceAccountJWT/)
  await answered(404, {}, /TokenReview with status 404: Config.Host is not the API server/)
  await answered(503, {}, /status 503$/)
  await answered(302, {}, /status 302/)
  await answered(200, 'not json', /no JSON object/)
  await answered(200, '['.repeat(100_000), /no JSON object/)
  await answered(200, 'x'.repeat(MAX_ANSWER_BYTES + 1), /longer than/)
  const gone = await httpsServer(() => ({ body: {} }))
  await gone.close()
  await fails(methodOf(gone), /not reachable/)
  await withServer(answers(GOOD_REVIEW, ACCOUNT), async (_, server) => {
    const otherCa = createCertificateAuthority().certPem
    await fails(
      methodOf({ url: server.url, caPem: otherCa }),
      /not reachable: its certificate is not of the authority that the auth method names$/,
    )
    assert.equal(server.asked.length, 0)
  })
  const all = shown.join()
  assert.ok(!all.includes(SERVICE_ACCOUNT_JWT) && !all.includes(BEARER))
})

test('a login ends when its caller goes', async () => {
  const abort = new AbortController()
  const server = await httpsServer(() => {
    abort.abort(new Error('caller went'))
    return { body: GOOD_REVIEW }
  })
  await assert.rejects(methodOf(server).login(BEARER, abort.signal), { code: 'LOGIN_UNAVAILABLE' })
  await server.close()
})

test('damaged answers of Kubernetes are refused and never let anyone in', async () => {
  const random = seededRandom(3)
  const good = JSON.stringify(GOOD_REVIEW)
  for (let round = 0; round < 400; round++) {
    const body = Buffer.from(good)
    for (let hits = 1 + random.int(5); hits > 0; hits--) body[random.int(body.length)] = 32 + random.int(95)
    const transport: HttpTransport = async ({ method }) => ({
      status: 200,
      body: method === 'POST' ? body.toString() : JSON.stringify(ACCOUNT),
    })
    const method = methodOf({ url: 'https://k8s', caPem: createdCa }, transport)
    try {
      const { selectable } = await method.login(BEARER)
      assert.match(body.toString(), /"authenticated":true/)
      assert.match(JSON.stringify(selectable), /"namespace":"[a-z0-9-]+","name":"[a-z0-9.-]+"/)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && /^LOGIN_/.test(thrown.code), String(thrown))
    }
  }
})
const createdCa = createCertificateAuthority().certPem

test('prepareAuthMethod() refuses as recorded, and configs that could not work', () => {
  const write = (given: unknown, primary = true, before?: ACLAuthMethod) =>
    prepareAuthMethod(ACLAuthMethod.fromJson(given, '', { unknownKeys: 'refuse' }), {
      before,
      primary,
      bounds: EXPIRATION_BOUNDS,
    })
  let checked = 0
  for (const { request, response } of recordedExchanges) {
    if (!/^\/v1\/acl\/auth-method(\?|$)/.test(request.path) || request.method !== 'PUT') continue
    // aws-iam is no type of ours.
    const message = response.body.replace('rpc error making call: ', '').replace('aws-iam ', '')
    const primary = !request.path.includes('dc=dc2')
    assert.throws(() => write(JSON.parse(request.body ?? ''), primary), { message, status: response.status })
    checked++
  }
  assert.equal(checked, 4)
  const Config = { host: 'https://k8s:6443', CACert: createdCa, ServiceAccountJWT: 'a.b.c' }
  const good = { Name: 'k8s', Type: 'kubernetes', Config }
  const stored = write(good)
  assert.equal(write({ Name: 'k8s', Config }, true, stored).Type, 'kubernetes')
  for (const given of [
    { ...good, Name: '' },
    { ...good, Name: 'a b' },
    { ...good, Name: 'x'.repeat(129) },
    { ...good, TokenLocality: 'nope' },
    { ...good, MaxTokenTTL: '10s' },
    { ...good, Config: { ...Config, Host: 'http://k8s' } },
    { ...good, Config: { ...Config, Host: 5 } },
    { ...good, Config: { ...Config, CACert: '' } },
    { ...good, Config: { ...Config, CACert: 'x' } },
    { ...good, Config: { ...Config, ServiceAccountJWT: '' } },
    { ...good, Config: { ...Config, ServiceAccountJWT: 'x' } },
    { ...good, Config: { ...Config, Hots: 'x' } },
    { ...good, Config: null },
  ]) {
    assert.throws(() => write(given), { code: 'AUTH_METHOD_INVALID', status: 500 }, JSON.stringify(given))
  }
  assert.throws(() => write({ Name: 'k8s', Type: 'jwt', Config: {} }, true, stored), /type is not permitted/)
})
