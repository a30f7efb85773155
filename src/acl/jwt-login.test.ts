/**
 * Logins with JWTs: signatures, issuers, audiences, times, keys from a server, a recorded login, forgeries.
 */
import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { CompactSign } from 'jose'
import { HanseError, ManualClock, seededRandom } from '#base'
import { ACLAuthMethod, ACLLoginRequest, decode } from '#codec'
import { type AuthMethod, authMethod, prepareAuthMethod } from './auth-methods.ts'
import { vector } from './fixture.ts'
import { type HttpTransport, httpsTransport } from './http-transport.ts'
import { httpsServer } from './https-fixture.ts'
import { KEYS_KEPT_MS, KEYS_REFETCH_MS, keysOfSet, publicKeyOf } from './jwt-keys.ts'
import { identityOf } from './jwt-login.ts'
import { EXPIRATION_BOUNDS } from './prepare-token.ts'

const WALL_MS = Date.UTC(2026, 10, 23, 12)
const NOW_S = WALL_MS / 1000
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed = generateKeyPairSync('ed25519')

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const noNetwork: HttpTransport = () => Promise.reject(new Error('no network in this test'))

function methodOf(
  config: ACLAuthMethod['Config'],
  modules = { transport: noNetwork, clock: new ManualClock(0, WALL_MS) },
): AuthMethod {
  const given = ACLAuthMethod.of({ Name: 'jwt', Type: 'jwt', Config: config })
  return authMethod(prepareAuthMethod(given, { before: undefined, primary: true, bounds: EXPIRATION_BOUNDS }), modules)
}

async function signed(
  claims: unknown,
  key: KeyObject = ec.privateKey,
  header: { alg: string; kid?: string } = { alg: 'ES256' },
) {
  return await new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key)
}

const keysConfig = (...keys: KeyObject[]) => ({ JWTValidationPubKeys: keys.map(pem) })
const times = { iat: NOW_S - 10, nbf: NOW_S - 10, exp: NOW_S + 100 }

test('a login passes with every kind of key and copies the mapped claims', async () => {
  const method = methodOf({
    ...keysConfig(other.publicKey, ec.publicKey, rsa.publicKey, ed.publicKey),
    ClaimMappings: { sub: 'user', '/org/team': 'team', missing: 'none', list: 'notOne' },
    ListClaimMappings: { groups: 'groups', sub: 'subs', gone: 'gone' },
  })
  const claims = { ...times, sub: 'alice', org: { team: 'blue' }, groups: ['a', 5, null], list: ['x'] }
  for (const [key, alg] of [
    [ec.privateKey, 'ES256'],
    [rsa.privateKey, 'RS256'],
    [rsa.privateKey, 'PS512'],
    [ed.privateKey, 'EdDSA'],
  ] as const) {
    const { selectable, variables } = await method.login(`${await signed(claims, key, { alg })}\n`)
    assert.deepEqual(selectable, {
      value: { user: 'alice', team: 'blue' },
      list: { groups: ['a', '5'], subs: ['alice'], gone: [] },
    })
    assert.deepEqual(
      [...variables],
      [
        ['value.user', 'alice'],
        ['value.team', 'blue'],
      ],
    )
  }
})

test('the recorded login is good within its time and not after', async () => {
  const { calls } = vector<{
    calls: { method: string; request_body_hex: string; response_body_hex: string; response_header: { Error: string } }[]
  }>('rpc-cross-dc.json')
  const body = (name: string, part: 'request_body_hex' | 'response_body_hex') => {
    const call = calls.find(({ method, response_header }) => method === name && response_header.Error === '')
    return Buffer.from(call?.[part] ?? '', 'hex')
  }
  const stored = decode(ACLAuthMethod, body('ACL.AuthMethodSet', 'response_body_hex'))
  const bearer = decode(ACLLoginRequest, body('ACL.Login', 'request_body_hex')).Auth?.BearerToken ?? ''
  const at = (wallMs: number) => authMethod(stored, { transport: noNetwork, clock: new ManualClock(0, wallMs) })
  const { variables } = await at(1_795_423_900_000).login(bearer)
  assert.deepEqual([...variables], [['value.user', 'alice']])
  await assert.rejects(at(1_795_510_311_000 + 61_000).login(bearer), /it is expired/)
})

test('a login is refused for a foreign key, a foreign algorithm, and every trick with the header', async () => {
  const method = methodOf({ ...keysConfig(ec.publicKey, rsa.publicKey), JWTSupportedAlgs: ['ES256'] })
  const good = await signed(times)
  const [header = '', payload = '', signature = ''] = good.split('.')
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const none = `${part({ alg: 'none' })}.${payload}.`
  const hmacHeader = part({ alg: 'HS256' })
  const hmac = createHmac('sha256', pem(ec.publicKey)).update(`${hmacHeader}.${payload}`).digest('base64url')
  const embedded = await new CompactSign(Buffer.from(JSON.stringify(times)))
    .setProtectedHeader({ alg: 'ES256', jwk: other.publicKey.export({ format: 'jwk' }) })
    .sign(other.privateKey)
  for (const bearer of [
    await signed(times, other.privateKey),
    await signed(times, rsa.privateKey, { alg: 'RS256' }),
    none,
    `${hmacHeader}.${payload}.${hmac}`,
    embedded,
    `${header}.${part({ ...times, sub: 'admin' })}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    `${good}.x`,
    `${good}..`,
    '',
    '..',
    'x.y.z',
    await new CompactSign(Buffer.from('no json')).setProtectedHeader({ alg: 'ES256' }).sign(ec.privateKey),
    await new CompactSign(Buffer.from('[1]')).setProtectedHeader({ alg: 'ES256' }).sign(ec.privateKey),
    await new CompactSign(Buffer.from(JSON.stringify(times)))
      .setProtectedHeader({ alg: 'ES256', crit: ['b64'], b64: true })
      .sign(ec.privateKey)
      .then((bearer) => bearer.replace(/^[^.]+/, part({ alg: 'ES256', crit: ['other'], other: 1 }))),
  ]) {
    await assert.rejects(method.login(bearer), { code: 'LOGIN_REFUSED', status: 403 }, bearer)
  }
  await method.login(good)
})

test('issuer and audience have to be the bound ones', async () => {
  const method = methodOf({
    ...keysConfig(ec.publicKey),
    BoundIssuer: 'https://idp',
    BoundAudiences: ['consul', 'hanse'],
  })
  const accepts = async (claims: object) =>
    await method.login(await signed({ ...times, ...claims })).then(
      () => 'in',
      (error: Error) => /\((\w+)\)/.exec(error.message)?.[1],
    )
  assert.equal(await accepts({ iss: 'https://idp', aud: 'hanse' }), 'in')
  assert.equal(await accepts({ iss: 'https://idp', aud: ['x', 'consul'] }), 'in')
  assert.equal(await accepts({ iss: 'https://idp/', aud: 'hanse' }), 'iss')
  assert.equal(await accepts({ aud: 'hanse' }), 'iss')
  assert.equal(await accepts({ iss: 'https://idp', aud: 'x' }), 'aud')
  assert.equal(await accepts({ iss: 'https://idp' }), 'aud')
  assert.equal(await accepts({ iss: 'https://idp', aud: { consul: 1 } }), 'aud')
})

test('times count with the leeways of the config, and one of them is needed', async () => {
  const outcome = async (config: Record<string, string>, claims: object) =>
    await methodOf({ ...keysConfig(ec.publicKey), ...config })
      .login(await signed(claims))
      .then(
        () => 'in',
        (error: Error) => /\((\w+)\)|it has no time|not a number/.exec(error.message)?.at(0),
      )
  const exact = { ClockSkewLeeway: '-1ns', ExpirationLeeway: '-1ns', NotBeforeLeeway: '-1ns' }
  const cases: [config: Record<string, string>, claims: object, wanted: string][] = [
    [exact, { exp: NOW_S + 1 }, 'in'],
    [exact, { exp: NOW_S }, '(exp)'],
    [{}, { exp: NOW_S - 59 }, 'in'],
    [{}, { exp: NOW_S - 60 }, '(exp)'],
    [{ ExpirationLeeway: '1m' }, { exp: NOW_S - 119 }, 'in'],
    [exact, { nbf: NOW_S + 1, exp: NOW_S + 9 }, '(nbf)'],
    [{}, { nbf: NOW_S + 60, exp: NOW_S + 90 }, 'in'],
    [{}, { nbf: NOW_S + 61, exp: NOW_S + 90 }, '(nbf)'],
    [exact, { iat: NOW_S + 1, nbf: NOW_S, exp: NOW_S + 9 }, '(iat)'],
    [{}, { iat: NOW_S - 209 }, 'in'],
    [{}, { iat: NOW_S - 210 }, '(exp)'],
    [exact, { iat: NOW_S }, '(exp)'],
    [{}, {}, 'it has no time'],
    [{}, { exp: 'soon' }, 'not a number'],
  ]
  for (const [config, claims, wanted] of cases) {
    assert.equal(await outcome(config, claims), wanted, JSON.stringify([config, claims]))
  }
})

test('keys of a JWK set are kept for a while, and asked for again when none fits', async () => {
  const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' })
  let keys: unknown[] = [jwk(ec.publicKey, 'k1')]
  const server = await httpsServer(() => ({ body: { keys } }))
  const clock = new ManualClock(1_000_000, WALL_MS)
  const config = {
    JWKSURL: `${server.url}/jwks`,
    JWKSCACert: server.caPem,
    JWTSupportedAlgs: ['ES256'],
    ClockSkewLeeway: '1h',
  }
  const method = methodOf(config, { transport: httpsTransport, clock })
  const first = await signed(times, ec.privateKey, { alg: 'ES256', kid: 'k1' })
  const second = await signed(times, other.privateKey, { alg: 'ES256', kid: 'k2' })
  await Promise.all([method.login(first), method.login(first)])
  assert.equal(server.asked.length, 1)
  await assert.rejects(method.login(second), { code: 'LOGIN_REFUSED' })
  assert.equal(server.asked.length, 1, 'no second question within the shortest time')
  keys = [jwk(other.publicKey, 'k2')]
  clock.advance(KEYS_REFETCH_MS)
  await method.login(second)
  assert.equal(server.asked.length, 2)
  await assert.rejects(method.login(first), { code: 'LOGIN_REFUSED' })
  clock.advance(KEYS_KEPT_MS)
  await method.login(second)
  assert.equal(server.asked.length, 3)
  await server.close()
  clock.advance(KEYS_KEPT_MS)
  await assert.rejects(method.login(second), { code: 'LOGIN_UNAVAILABLE', status: 500 })
})

test('an OIDC issuer is asked for its keys; one that names another issuer is not believed', async () => {
  const jwks = { keys: [rsa.publicKey.export({ format: 'jwk' })] }
  let issuer: string | undefined
  const server = await httpsServer(({ path }) => ({
    body: path === '/keys' ? jwks : { issuer: issuer ?? `${server.url}/`, jwks_uri: `${server.url}/keys` },
  }))
  const config = { OIDCDiscoveryURL: server.url, OIDCDiscoveryCACert: server.caPem }
  const method = () => methodOf(config, { transport: httpsTransport, clock: new ManualClock(0, WALL_MS) })
  const bearer = await signed(times, rsa.privateKey, { alg: 'RS256' })
  await method().login(bearer)
  assert.deepEqual(
    server.asked.map(({ path }) => path),
    ['/.well-known/openid-configuration', '/keys'],
  )
  await assert.rejects(method().login(await signed(times, ec.privateKey)), /"ES256" is not one of RS256/)
  issuer = 'https://other'
  await assert.rejects(method().login(bearer), /names another issuer: "https:\/\/other"/)
  await server.close()
})

test('keysOfSet() takes what verifies, and publicKeyOf() no private key', () => {
  const set = (...keys: unknown[]) => keysOfSet(JSON.stringify({ keys }))?.length
  const jwk = ec.publicKey.export({ format: 'jwk' })
  assert.equal(set(jwk, { ...jwk, use: 'enc' }, { kty: 'oct', k: 'AAAA' }, { kty: 'zzz' }, null, 5, [], {}), 1)
  assert.equal(set(ec.privateKey.export({ format: 'jwk' })), 1)
  assert.equal(keysOfSet(JSON.stringify({ keys: [ec.privateKey.export({ format: 'jwk' })] }))?.[0]?.key.type, 'public')
  assert.equal(keysOfSet('{}'), undefined)
  assert.equal(keysOfSet('['), undefined)
  assert.equal(publicKeyOf(ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), undefined)
  assert.equal(publicKeyOf(pem(generateKeyPairSync('x25519').publicKey)), undefined)
  assert.equal(publicKeyOf(pem(ec.publicKey))?.type, 'public')
})

test('identityOf() reads no inherited claim', () => {
  const config = {
    claims: new Map([
      ['constructor', 'a'],
      ['/__proto__/x', 'b'],
      ['/a~1b/0', 'c'],
    ]),
    listClaims: new Map(),
  }
  assert.deepEqual(identityOf({ 'a/b': ['v'] }, config).selectable, { value: { c: 'v' }, list: {} })
})

test('a jwt config says what is wrong with it', () => {
  const keys = keysConfig(ec.publicKey)
  const configs: ACLAuthMethod['Config'][] = [
    {},
    { ...keys, JWKSURL: 'https://x' },
    { JWKSURL: 'http://x' },
    { OIDCDiscoveryURL: 'x' },
    { JWKSURL: 'https://x', JWKSCACert: 'x' },
    { ...keys, JWTSupportedAlgs: ['HS256'] },
    { ...keys, JWTSupportedAlgs: ['none'] },
    { ...keys, ClaimMappings: { a: 'x', b: 'x' } },
    { ...keys, ClaimMappings: { a: 'x.y' } },
    { ...keys, ClaimMappings: ['a'] },
    { ...keys, BoundAudiences: 'x' },
    { ...keys, ClockSkewLeeway: 'soon' },
    { ...keys, BoundIssuers: ['x'] },
  ]
  for (const config of configs) {
    assert.throws(() => methodOf(config), { code: 'AUTH_METHOD_INVALID', status: 500 }, JSON.stringify(config))
  }
})

test('damaged JWTs are refused with a typed error', async () => {
  const method = methodOf(keysConfig(ec.publicKey))
  const good = await signed({ ...times, sub: 'alice' })
  const random = seededRandom(9)
  const alphabet = 'ABCxyz019-_.=+/ {}"\n\u0000é'
  for (let round = 0; round < 500; round++) {
    let bearer = good
    for (let hits = 1 + random.int(3); hits > 0; hits--) {
      const at = random.int(bearer.length)
      bearer = bearer.slice(0, at) + alphabet[random.int(alphabet.length)] + bearer.slice(at + random.int(4))
    }
    if (bearer.trim() === good) continue
    try {
      await method.login(bearer)
      // Base64 has unused bits at its end: only those may differ.
      assert.equal(
        Buffer.from(bearer.split('.')[2] ?? '', 'base64url').toString('hex'),
        Buffer.from(good.split('.')[2] ?? '', 'base64url').toString('hex'),
      )
      assert.equal(bearer.slice(0, bearer.lastIndexOf('.')), good.slice(0, good.lastIndexOf('.')))
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError, String(thrown))
      assert.equal(thrown.code, 'LOGIN_REFUSED')
      assert.ok(!thrown.message.includes(good))
    }
  }
})
