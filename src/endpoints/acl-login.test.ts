/**
 * Logins end to end: an auth method, a binding rule, an identity provider (keys made here; an HTTPS server that answers
 * as the Kubernetes API does), the token, its use in two datacenters, and its end.
 */
import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { systemClock, systemRandom } from '#base'
import {
  ACLAuthMethod,
  ACLBindingRule,
  type ACLToken,
  createCertificate,
  createCertificateAuthority,
  Node,
  NodeService,
  RegisterRequest,
} from '#codec'
import * as acl from './acl.ts'
import { seedAcls } from './acl-bootstrap.ts'
import * as catalog from './catalog.ts'
import { type Datacenter, type Federation, federation } from './fixture.ts'

const MANAGEMENT = 'aaaaaaaa-0000-4000-8000-00000000000a'
const modules = { clock: systemClock, random: systemRandom }

async function withFederation(use: (all: Federation) => Promise<void>): Promise<void> {
  const port = { enabled: true, defaultPolicy: 'deny', replicatesTokens: true, replicationToken: () => 'x' } as const
  const all = await federation(['dc1', 'dc2'], { acl: port })
  try {
    await seedAcls(all.of('dc1').state, modules, { primary: true, initialManagement: MANAGEMENT })
    await seedAcls(all.of('dc2').state, modules, { primary: false, initialManagement: '' })
    await use(all)
  } finally {
    await all.close()
  }
}

const asManager = { Token: MANAGEMENT, Datacenter: '' }

async function method(where: Datacenter, given: Partial<ACLAuthMethod>, BindName: string): Promise<void> {
  const AuthMethod = ACLAuthMethod.of({ Name: 'm', ...given })
  await where.endpoints.call(acl.authMethodSet, { ...asManager, AuthMethod })
  const BindingRule = ACLBindingRule.of({ AuthMethod: 'm', BindType: 'service', BindName })
  await where.endpoints.call(acl.bindingRuleSet, { ...asManager, BindingRule })
}

function login(where: Datacenter, BearerToken: string): Promise<ACLToken> {
  const Auth = { AuthMethod: 'm', BearerToken, Meta: { pod: 'default/web-1' } }
  return where.endpoints.call(acl.login, { Auth, Token: '', Datacenter: '' })
}

async function registers(where: Datacenter, Token: string, name: string): Promise<void> {
  await where.state.write((tx) => tx.putNode(Node.of({ Node: 'n', Address: '10.0.0.1' })))
  const Service = NodeService.of({ ID: name, Service: name })
  const args = RegisterRequest.of({ Node: 'n', SkipNodeUpdate: true, Service, Token })
  await where.endpoints.call(catalog.register, args)
}

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const JWT_METHOD = {
  Type: 'jwt',
  TokenLocality: 'global',
  Config: {
    JWTValidationPubKeys: [keys.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    BoundIssuer: 'here',
    BoundAudiences: ['hanse'],
    ClaimMappings: { name: 'name' },
  },
}

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const nowS = Math.floor(systemClock.wallMs() / 1000)
  const body = { iss: 'here', aud: 'hanse', iat: nowS, nbf: nowS, exp: nowS + 60, ...claims }
  const signed = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(body)}`
  const signature = createSign('sha256').update(signed).sign({ key: keys.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

test('a JWT login gives a token that is good at once in both datacenters, and a logout ends it', () =>
  withFederation(async (all) => {
    const [dc1, dc2] = [all.of('dc1'), all.of('dc2')]
    await method(dc1, JWT_METHOD, `\${value.name}`)
    const token = await login(dc1, jwt({ name: 'web' }))
    assert.equal(token.Local, false)
    assert.equal(token.AuthMethod, 'm')
    assert.equal(token.Description, 'token created via login: {"pod":"default/web-1"}')
    for (const where of [dc1, dc2]) {
      await registers(where, token.SecretID, 'web')
      await assert.rejects(registers(where, token.SecretID, 'api'), { code: 'PERMISSION_DENIED' })
    }
    // From the secondary, where the token never was written.
    assert.equal(await dc2.endpoints.call(acl.logout, { Token: token.SecretID, Datacenter: '' }), true)
    await assert.rejects(registers(dc1, token.SecretID, 'web'), { code: 'ACL_NOT_FOUND' })
    await assert.rejects(dc1.endpoints.call(acl.logout, { Token: token.SecretID, Datacenter: '' }), { status: 401 })
  }))

test('a login is refused for a wrong issuer, a wrong audience and another key, and leaves no token', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    await method(dc1, JWT_METHOD, `\${value.name}`)
    const before = dc1.state.read((tx) => tx.aclTokens.all().length).value
    const forged = `${jwt({ name: 'web' }).split('.').slice(0, 2).join('.')}.${Buffer.alloc(64, 1).toString('base64url')}`
    for (const bad of [jwt({ iss: 'there', name: 'web' }), jwt({ aud: 'other', name: 'web' }), forged, 'x']) {
      await assert.rejects(login(dc1, bad), { status: 403 })
    }
    assert.equal(dc1.state.read((tx) => tx.aclTokens.all().length).value, before)
  }))

test('an auth method goes with its binding rules and the tokens that came through it', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    await method(dc1, JWT_METHOD, `\${value.name}`)
    const { SecretID } = await login(dc1, jwt({ name: 'web' }))
    await dc1.endpoints.call(acl.authMethodDelete, { ...asManager, AuthMethodName: 'm' })
    await assert.rejects(registers(dc1, SecretID, 'web'), { code: 'ACL_NOT_FOUND' })
    const left = dc1.state.read((tx) => [tx.aclBindingRules.all().length, tx.aclAuthMethods.all().length]).value
    assert.deepEqual(left, [0, 0])
  }))

const ca = createCertificateAuthority({ days: 1, domain: 'test' }, modules)

/** Knows one service account. */
async function kubernetes(use: (url: string) => Promise<void>): Promise<void> {
  const names = { commonName: 'kube', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], uris: [], days: 1 }
  const pair = createCertificate({ ca, ...names, serverAuth: true, clientAuth: false }, modules)
  const server = createServer({ cert: pair.certPem, key: pair.keyPem }, (request, response) => {
    const review = { authenticated: true, user: { username: 'system:serviceaccount:default:web', uid: 'u' } }
    response.end(JSON.stringify(request.method === 'POST' ? { status: review } : { metadata: { name: 'web' } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  try {
    await use(`https://127.0.0.1:${address.port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

test('a Kubernetes login in a secondary gives a token of that datacenter', () =>
  withFederation((all) =>
    kubernetes(async (Host) => {
      const dc2 = all.of('dc2')
      const Config = { Host, CACert: ca.certPem, ServiceAccountJWT: 'aaa.bbb.ccc' }
      await method(dc2, { Type: 'kubernetes', Config }, `\${serviceaccount.name}`)
      const token = await login(dc2, 'ddd.eee.fff')
      assert.equal(token.Local, true)
      await registers(dc2, token.SecretID, 'web')
      await assert.rejects(registers(dc2, token.SecretID, 'api'), { code: 'PERMISSION_DENIED' })
      await assert.rejects(registers(all.of('dc1'), token.SecretID, 'web'), { code: 'ACL_NOT_FOUND' })
    }),
  ))
