/**
 * A server of dc2 subscribes to a service of dc1 as Consul's servers do: mutual TLS with the name of dc1's server and the
 * protocol of gRPC, through the gateways' processes, which see no more than that name.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { after, before, type TestContext, test } from 'node:test'
import { systemClock, systemRandom } from '#base'
import { createCertificate } from '#codec'
import { dialTls } from '#net'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'
import { framedRequest, Subscription } from '../support/subscription.ts'

const MANAGEMENT = 'aaaaaaaa-1111-4000-8000-00000000000a'
const READER = 'eeeeeeee-5555-4000-8000-00000000000e'
const STARTED = { timeoutMs: 30_000 }
const ALPN = 'consul/rpc-grpc'
const TOPIC_SERVICE_HEALTH = 1

interface Frame {
  readonly dir: string
  readonly type: string
  readonly headers?: readonly (readonly [string, string])[]
}
const file = new URL('../vectors/grpc-subscribe.json', import.meta.url)
const recorded: { vectors: { frames: Frame[] }[] } = JSON.parse(readFileSync(file, 'utf8'))
const head = recorded.vectors[0]?.frames.find(({ dir, type }) => dir === 'c2s' && type === 'HEADERS')
const headers = Object.fromEntries(head?.headers ?? [])

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter
let gateway1 = ''
let gateway2 = ''

before(async () => {
  gateway1 = await bed.address()
  gateway2 = await bed.address()
  const acl = { enabled: true, default_policy: 'deny', enable_token_replication: true }
  const settings = { acl: { ...acl, tokens: { initial_management: MANAGEMENT, replication: MANAGEMENT } } }
  dc1 = await bed.make({ name: 'dc1', token: MANAGEMENT, settings })
  dc2 = await bed.make({ name: 'dc2', token: MANAGEMENT, settings, primaryGateways: [gateway1] })
  dc1.startServer()
  await dc1.ready()
  dc1.startGateway(gateway1)
  dc2.startServer()
  await dc2.ready()
  dc2.startGateway(gateway2)
  await readEachOther([dc1, dc2], STARTED)
})
after(() => bed.stop())

/** A connection that a server of dc2 opens, by a gateway, to the server of dc1 that it names. */
async function connection(t: TestContext, gateway: string, servername: string): Promise<ClientHttp2Session> {
  const domain = 'server.dc2.consul'
  const certificate = createCertificate(
    { ca: bed.ca, commonName: domain, dnsNames: [domain, `*.${domain}`], days: 1, serverAuth: true, clientAuth: true },
    { clock: systemClock, random: systemRandom },
  )
  const [host = '', port] = gateway.split(':')
  const identity = { ...certificate, caPem: bed.ca.certPem }
  const socket = await dialTls({ host, port: Number(port), identity, servername, verifyName: servername, alpn: ALPN })
  const session = connect('http://s1.dc1', { createConnection: () => socket })
  session.on('error', () => {})
  t.after(() => session.destroy())
  return session
}

function subscribe(session: ClientHttp2Session, Key: string, Token: string): Subscription {
  const NamedSubject = { Key, Namespace: '', Partition: '', PeerName: '' }
  return new Subscription(session, headers, framedRequest({ Topic: TOPIC_SERVICE_HEALTH, NamedSubject, Token }))
}

const put = (path: string, body: object) => dc1.client.expect('PUT', path, { body })
const register = (Service: string, Port: number) =>
  put('/v1/catalog/register', { Node: 'n1', Address: '10.0.0.1', Service: { ID: `${Service}-1`, Service, Port } })
const deregister = (ServiceID: string) => put('/v1/catalog/deregister', { Node: 'n1', ServiceID })

for (const [way, gateway, servername] of [
  ["the gateway of dc1, any server's name", () => gateway1, 'server.dc1.consul'],
  ["the gateway of dc1, one server's name", () => gateway1, 'server-dc1.server.dc1.consul'],
  ['the gateway of dc2, which passes it on', () => gateway2, 'server-dc1.server.dc1.consul'],
] as const) {
  test(`a subscription sees what comes, changes and goes, by ${way}`, async (t) => {
    await register('db', 5000)
    // The secondary's gateway may not have heard of dc1's gateway yet.
    let session: ClientHttp2Session | undefined
    await eventually('the way is there', async () => {
      session = await connection(t, gateway(), servername)
    })
    assert.ok(session)
    const db = subscribe(session, 'db', MANAGEMENT)
    assert.equal(await db.next(), '+db-1:5000')
    assert.equal(await db.next(), 'end of snapshot')
    // Many on one connection, as a server asks for all of its proxies.
    const others = Array.from({ length: 20 }, (_, i) =>
      subscribe(session as ClientHttp2Session, `other-${i}`, MANAGEMENT),
    )
    for (const other of others) assert.equal(await other.next(), 'end of snapshot')
    await register('db', 5001)
    assert.equal(await db.next(), '+db-1:5001')
    await register('other-7', 7000)
    assert.equal(await others[7]?.next(), '+other-7-1:7000')
    await deregister('db-1')
    assert.equal(await db.next(), '-db-1:5001')
    await deregister('other-7-1')
    assert.equal(await others[7]?.next(), '-other-7-1:7000')
  })
}

test('a token that is revoked ends its subscription at once, and is refused after', async (t) => {
  await register('web', 80)
  await put('/v1/acl/policy', {
    Name: 'web',
    Rules: 'service "web" { policy = "read" } node_prefix "" { policy = "read" }',
  })
  await put('/v1/acl/token', { AccessorID: READER, SecretID: READER, Policies: [{ Name: 'web' }] })
  const session = await connection(t, gateway2, 'server-dc1.server.dc1.consul')
  const [reader, other] = [subscribe(session, 'web', READER), subscribe(session, 'web', MANAGEMENT)]
  for (const each of [reader, other]) {
    assert.equal(await each.next(), '+web-1:80')
    assert.equal(await each.next(), 'end of snapshot')
  }
  const startedMs = performance.now()
  await dc1.client.expect('DELETE', `/v1/acl/token/${READER}`)
  assert.equal(await reader.next(), undefined)
  assert.equal(await reader.end(), '10 Subscription closed: the rights of its token have changed')
  t.diagnostic(`ended ${seconds(performance.now() - startedMs)} after the token`)

  const again = subscribe(session, 'web', READER)
  assert.equal(await again.next(), undefined)
  assert.equal(await again.end(), '7 ACL not found')
  // Others on the connection go on.
  await register('web', 81)
  assert.equal(await other.next(), '+web-1:81')
})

test('a subscription by a name that is not of dc1 finds no way', async (t) => {
  await assert.rejects(connection(t, gateway1, 'server.dc9.consul'), { code: /^DIAL_/ })
})
