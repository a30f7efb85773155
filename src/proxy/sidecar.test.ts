/**
 * Two sidecars over real sockets: what passes, what is refused, and what is left behind.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { Metrics, silentLogger, systemClock, systemRandom } from '#base'
import { createCertificate, createCertificateAuthority, type PemPair } from '#codec'
import { ProxySnapshot } from '#mesh'
import { Sidecar } from './sidecar.ts'

const LOOPBACK = '127.0.0.1'
const environment = { clock: systemClock, random: systemRandom }
const ca = createCertificateAuthority({ days: 1, domain: 'consul' }, environment)
const otherCa = createCertificateAuthority({ days: 1, domain: 'consul' }, environment)
const spiffe = (service: string) => `spiffe://trust.consul/ns/default/dc/dc1/svc/${service}`
const closers: (() => Promise<unknown>)[] = []
after(async () => {
  for (const close of closers) await close()
})

function sidecar(): { proxy: Sidecar; metrics: Metrics } {
  const metrics = new Metrics()
  const proxy = new Sidecar({ ...environment, log: silentLogger, metrics })
  closers.push(() => proxy.close())
  return { proxy, metrics }
}

async function listening(server: Server): Promise<number> {
  server.listen(0, LOOPBACK)
  await once(server, 'listening')
  closers.push(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

/** Answers with all that it was sent, when the caller has said that it is all. */
function echoAtEnd(): Server {
  return createServer({ allowHalfOpen: true }, async (socket) => {
    const parts: Buffer[] = []
    for await (const part of socket.iterator({ destroyOnReturn: false })) parts.push(part)
    socket.end(Buffer.concat(parts))
  })
}

interface Wanted {
  readonly service: string
  readonly port: number
  readonly app?: number
  readonly upstream?: { readonly port: number; readonly to: number; readonly identity: string }
  readonly rules?: readonly { readonly Source: string; readonly Principal: string; readonly Action: string }[]
  readonly issuer?: PemPair
}

function snapshotOf({ service, port, app = 9, upstream, rules = [], issuer = ca }: Wanted): ProxySnapshot {
  const leaf = createCertificate(
    {
      ca: issuer,
      commonName: service,
      dnsNames: [],
      ipAddresses: [],
      uris: [spiffe(service)],
      days: 1,
      serverAuth: true,
      clientAuth: true,
    },
    environment,
  )
  const endpoint = { Address: LOOPBACK, Port: upstream?.to ?? 0, Healthy: true, Weight: 1 }
  const target = { Name: 'api', SNI: 'api', SpiffeIDs: [upstream?.identity], Gateway: 'none', Endpoints: [endpoint] }
  const listener = { Address: LOOPBACK, Port: upstream?.port, Name: 'api' }
  const plain = {
    Kind: 'connect-proxy',
    Service: service,
    TrustDomain: 'trust.consul',
    Leaf: { CertPEM: leaf.certPem, PrivateKeyPEM: leaf.keyPem },
    Roots: [ca.certPem],
    Public: {
      Name: service,
      Address: LOOPBACK,
      Port: port,
      DefaultAllow: true,
      LocalApp: { Address: LOOPBACK, Port: app, ConnectTimeoutMs: 1_000 },
      Rules: rules,
    },
    Upstreams: upstream ? [{ ID: 'api', Listener: listener, Splits: [{ Weight: 100, Cluster: 'api' }] }] : [],
    Clusters: upstream ? [{ Name: 'api', Targets: [{ ...target, ConnectTimeoutMs: 1_000 }] }] : [],
  }
  return ProxySnapshot.fromJson(JSON.parse(JSON.stringify(plain)), '', { unknownKeys: 'refuse' })
}

/** web's sidecar before api's, over an application that echoes. */
async function pair(change: { identity?: string; issuer?: PemPair; rules?: Wanted['rules'] } = {}) {
  const { identity = spiffe('api'), issuer = ca, rules = [] } = change
  const app = await listening(echoAtEnd())
  const [apiPort, webPort, upstreamPort] = [await freePort(), await freePort(), await freePort()]
  const [api, web] = [sidecar(), sidecar()]
  await api.proxy.apply(snapshotOf({ service: 'api', port: apiPort, app, rules, issuer }))
  const upstream = { port: upstreamPort, to: apiPort, identity }
  await web.proxy.apply(snapshotOf({ service: 'web', port: webPort, upstream }))
  return { api, web, app, apiPort, upstreamPort }
}

/** Sends all, says that it is all, and reads until the end. */
async function call(port: number, sent: Buffer): Promise<Buffer> {
  const socket: Socket = connect({ host: LOOPBACK, port, allowHalfOpen: true })
  socket.end(sent)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part)
  return Buffer.concat(parts)
}

test('a call passes both sidecars in both directions, its half-close included', async () => {
  const { upstreamPort } = await pair()
  const sent = systemRandom.bytes(3 << 20)
  assert.ok(sent.equals(await call(upstreamPort, sent)))
})

test('an intention that denies the caller refuses new connections and leaves those that are open', async () => {
  const { api, app, apiPort, upstreamPort } = await pair()
  const open = connect({ host: LOOPBACK, port: upstreamPort, allowHalfOpen: true })
  open.write('before ')
  await call(upstreamPort, Buffer.from('x'))
  const rules = [{ Source: 'web', Principal: `^${spiffe('web').replaceAll('.', '\\.')}$`, Action: 'deny' }]
  await api.proxy.apply(snapshotOf({ service: 'api', port: apiPort, app, rules }))
  assert.equal((await call(upstreamPort, Buffer.from('x')).catch(() => Buffer.alloc(0))).length, 0)
  open.end('and after')
  let text = ''
  for await (const part of open) text += part
  assert.equal(text, 'before and after')
  await api.proxy.apply(snapshotOf({ service: 'api', port: apiPort, app }))
  assert.equal(String(await call(upstreamPort, Buffer.from('again'))), 'again')
})

test('nothing is sent to an endpoint that is another service, or of another authority', async () => {
  for (const change of [{ identity: spiffe('payments') }, { issuer: otherCa }]) {
    const { upstreamPort } = await pair(change)
    assert.equal((await call(upstreamPort, Buffer.from('secret')).catch(() => Buffer.alloc(0))).length, 0)
  }
})

test('a caller without a certificate of the federation is refused', async () => {
  const { apiPort } = await pair()
  assert.equal(
    (await call(apiPort, Buffer.from('GET / HTTP/1.1\r\n\r\n')).catch(() => Buffer.alloc(0))).includes('GET'),
    false,
  )
})

test('who hangs up during the handshake, as health checks do, is forgotten at once; closing waits for nobody', async () => {
  const { api, apiPort } = await pair()
  const silent = connect({ host: LOOPBACK, port: apiPort })
  await once(silent, 'connect')
  const ended = once(silent, 'close')
  const probe = connect({ host: LOOPBACK, port: apiPort, allowHalfOpen: true })
  await once(probe, 'connect')
  probe.end()
  // The other side hangs up too: without that the probe, which stays half open, never closes.
  probe.resume()
  await once(probe, 'close')
  silent.on('error', () => {})
  await api.proxy.close()
  await ended
})
