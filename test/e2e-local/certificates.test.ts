/**
 * One certificate authority over two datacenters, as services use it: leafs of one verify in the other, also while the
 * root is changed, and a secondary goes on signing while its primary is away.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, createServer } from 'node:tls'
import { IndexedCARoots, IssuedCert } from '#codec'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter

before(async () => {
  const gateway = await bed.address()
  dc1 = await bed.make({ name: 'dc1' })
  dc1.startServer()
  dc1.startGateway(gateway)
  dc2 = await bed.make({ name: 'dc2', primaryGateways: [gateway] })
  dc2.startServer()
  dc2.startGateway(await bed.address())
  await readEachOther([dc1, dc2])
})
after(() => bed.stop())

interface Trust {
  readonly leaf: IssuedCert
  readonly roots: readonly string[]
}

async function trustOf(datacenter: Datacenter, service: string): Promise<Trust> {
  const leaf = await datacenter.client.get(IssuedCert, `/v1/agent/connect/ca/leaf/${service}`)
  const roots = await datacenter.client.get(IndexedCARoots, '/v1/connect/ca/roots')
  return { leaf: leaf.value, roots: (roots.value.Roots ?? []).map((root) => root.RootCert) }
}

/** A mutual TLS handshake between two services; resolves to the identity that the client saw. */
async function handshake(client: Trust, server: Trust): Promise<string> {
  const options = { cert: server.leaf.CertPEM, key: server.leaf.PrivateKeyPEM, ca: [...server.roots] }
  const listener = createServer({ ...options, requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.on('error', () => {})
    socket.end('hello')
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const socket = connect({
    host: '127.0.0.1',
    port,
    cert: client.leaf.CertPEM,
    key: client.leaf.PrivateKeyPEM,
    ca: [...client.roots],
    // The name is the URI in the certificate, which is looked at below.
    checkServerIdentity: () => undefined,
  })
  try {
    const [data] = await once(socket, 'data')
    assert.equal(String(data), 'hello')
    return socket.getPeerX509Certificate()?.subjectAltName ?? ''
  } finally {
    socket.destroy()
    listener.close()
  }
}

test('a service of one datacenter and one of the other verify each other', async () => {
  await eventually('both datacenters have an authority', () => Promise.all([trustOf(dc1, 'web'), trustOf(dc2, 'api')]))
  const [web, api] = [await trustOf(dc1, 'web'), await trustOf(dc2, 'api')]
  assert.match(await handshake(web, api), /^URI:spiffe:\/\/[0-9a-f-]{36}\.consul\/ns\/default\/dc\/dc2\/svc\/api$/)
  assert.match(await handshake(api, web), /\/dc\/dc1\/svc\/web$/)
  assert.deepEqual(web.roots, api.roots)
})

test('status and metrics tell when the root, what signs, a leaf and the server certificate end', async () => {
  const { Certificates, Problems } = await dc2.status()
  const active = Certificates.filter(({ Active, State }) => Active && State === 'ok')
  const kinds = new Set(active.map(({ Kind }) => Kind))
  assert.deepEqual([...kinds].sort(), ['intermediate', 'leaf', 'root', 'server'], JSON.stringify(Certificates))
  assert.deepEqual(Problems, [])
  const server = Certificates.find(({ Kind }) => Kind === 'server')
  assert.equal(server?.Name, 'server.dc2.consul')
  await eventually('the gauges are there', async () => {
    const metrics = await dc2.client.expect('GET', '/v1/agent/metrics')
    const { Gauges }: { Gauges: { Name: string; Value: number; Labels: Record<string, string> }[] } = JSON.parse(
      metrics.body.toString('utf8'),
    )
    const value = (name: string) => Gauges.find(({ Name }) => Name === name)?.Value ?? 0
    const tls = value('consul.agent.tls.cert.expiry')
    assert.ok(Math.abs(tls - server.RemainingSeconds) < 60, `${tls} s, the status says ${server.RemainingSeconds} s`)
    const signing = value('consul.mesh.active-signing-ca.expiry')
    assert.ok(signing > 0 && value('consul.mesh.active-root-ca.expiry') > signing)
    assert.ok(Gauges.some(({ Name, Labels }) => Name === 'hanse.certificate.expiry' && Labels['kind'] === 'leaf'))
  })
})

test('a new root reaches both datacenters, and not one handshake fails meanwhile', async () => {
  const before = await trustOf(dc2, 'api')
  let handshakes = 0
  let stop = false
  const failures: unknown[] = []
  const calls = (async () => {
    while (!stop) {
      const [web, api] = await Promise.all([trustOf(dc1, 'web'), trustOf(dc2, 'api')])
      await Promise.all([handshake(web, api), handshake(api, web)]).catch((error: unknown) => failures.push(error))
      handshakes += 2
      await delay(20)
    }
  })()
  await dc1.client.expect('PUT', '/v1/connect/ca/configuration', {
    body: { Provider: 'consul', Config: { PrivateKeyType: 'ec', PrivateKeyBits: 384 } },
  })
  let asked = 0
  await eventually('the secondary signs under the new root', async () => {
    // Another service each time: one that was signed under the old root a moment before is renewed later.
    const { roots, leaf } = await trustOf(dc2, `fresh-${asked++}`)
    assert.equal(roots.length, 2)
    const intermediates = leaf.CertPEM.match(/-----BEGIN CERTIFICATE-----/g)?.length
    assert.ok(intermediates === 3, `${intermediates} certificates: leaf, cross-signed root and intermediate`)
  })
  await eventually(
    'old leafs are renewed',
    async () => {
      const { leaf } = await trustOf(dc2, 'api')
      assert.notEqual(leaf.CertPEM, before.leaf.CertPEM)
    },
    { timeoutMs: 45_000 },
  )
  // The moment of renewal is chance: it may come before many calls were made.
  await Promise.race([calls, eventually('there were calls enough', () => assert.ok(handshakes > 20, `${handshakes}`))])
  stop = true
  await calls
  assert.deepEqual(failures, [])
})

test('a waiting read of a leaf is answered when it is renewed, and not before', async () => {
  const first = await dc1.client.get(IssuedCert, '/v1/agent/connect/ca/leaf/waits')
  const waited = await dc1.client.get(IssuedCert, '/v1/agent/connect/ca/leaf/waits', {
    query: { index: first.index, wait: '300ms' },
  })
  assert.equal(waited.index, first.index)
  assert.equal(waited.value.CertPEM, first.value.CertPEM)
})

test('a secondary without its primary signs leafs for new services', async () => {
  await dc1.server?.stop('SIGKILL')
  const { leaf, roots } = await trustOf(dc2, 'born-alone')
  const own = await trustOf(dc2, 'api')
  assert.match(await handshake(own, { leaf, roots }), /svc\/born-alone$/)
  assert.ok(new X509Certificate(leaf.CertPEM).validTo)
})

test('an authority that was restarted goes on with its root', async () => {
  const before = await trustOf(dc2, 'api')
  dc1.startServer()
  await dc1.ready()
  const again = await trustOf(dc1, 'web')
  assert.deepEqual(again.roots, before.roots)
  assert.match(await handshake(again, before), /svc\/api$/)
})
