/**
 * A server of another datacenter subscribes at the server port: by mutual TLS with the ALPN that Consul's servers use,
 * then HTTP/2, to a real server process; services come and go over its HTTP API.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { createCertificate, createCertificateAuthority } from '#codec'
import { dialTls, type TlsIdentity } from '#net'
import { framedRequest, Subscription } from '../support/subscription.ts'
import { ServerProcess, temporaryDirectory } from './server-process.ts'

interface Frame {
  readonly dir: string
  readonly type: string
  readonly stream: number
  readonly payload_hex: string
  readonly headers?: readonly (readonly [string, string])[]
}

const file = new URL('../vectors/grpc-subscribe.json', import.meta.url)
const [recorded]: { sni: string; alpn: string; frames: Frame[] }[] = JSON.parse(readFileSync(file, 'utf8')).vectors

let server: ServerProcess
let identity: TlsIdentity
let files: string

before(async () => {
  const ca = createCertificateAuthority({})
  const of = (domain: string): TlsIdentity => ({
    caPem: ca.certPem,
    ...createCertificate({ ca, commonName: domain, dnsNames: [domain, `*.${domain}`] }),
  })
  identity = of('server.dc2.consul')
  const own = of('server.dc1.consul')
  const directory = temporaryDirectory()
  const paths = {
    ca_file: join(directory, 'ca.pem'),
    cert_file: join(directory, 'c.pem'),
    key_file: join(directory, 'k.pem'),
  }
  writeFileSync(paths.ca_file, own.caPem)
  writeFileSync(paths.cert_file, own.certPem)
  writeFileSync(paths.key_file, own.keyPem, { mode: 0o600 })
  files = directory
  server = await ServerProcess.start({ tls: { internal_rpc: { ...paths, verify_incoming: true } } })
})
after(async () => {
  await server.stop()
  rmSync(files, { recursive: true })
})

async function put(path: string, body: unknown): Promise<void> {
  const { status, text } = await server.ask('PUT', path, { body: JSON.stringify(body) })
  assert.equal(status, 200, text)
}

function dial({ sni, alpn }: { sni: string; alpn: string }): Promise<TLSSocket> {
  const names = { servername: sni, verifyName: 'server.dc1.consul' }
  return dialTls({ host: '127.0.0.1', port: server.rpcPort, identity, alpn, ...names })
}

const sidecar = (port: number) => ({
  Node: 'n1',
  Address: '10.0.0.1',
  Service: {
    Kind: 'connect-proxy',
    ID: 'db-proxy',
    Service: 'db-proxy',
    Port: port,
    Proxy: { DestinationServiceName: 'db', Config: { protocol: 'tcp' } },
  },
})

test('a recorded subscription gets a snapshot, a registration, a change and a removal', async () => {
  assert.ok(recorded)
  const { frames } = recorded
  const socket = await dial(recorded)
  const session = connect('http://s1.dc1', { createConnection: () => socket })
  const [head, body] = ['HEADERS', 'DATA'].map((wanted) =>
    frames.find(({ dir, type, stream }) => dir === 'c2s' && stream === 1 && type === wanted),
  )
  const headers = Object.fromEntries(head?.headers ?? [])
  const call = new Subscription(session, headers, Buffer.from(body?.payload_hex ?? '', 'hex'))
  const next = () => call.next()

  assert.equal(await next(), 'end of snapshot')
  await put('/v1/catalog/register', sidecar(21000))
  assert.equal(await next(), '+db-proxy:21000')
  await put('/v1/catalog/register', sidecar(21001))
  assert.equal(await next(), '+db-proxy:21001')
  await put('/v1/catalog/deregister', { Node: 'n1', ServiceID: 'db-proxy' })
  assert.equal(await next(), '-db-proxy:21001')

  const refused = new Subscription(session, headers, framedRequest({ Topic: 6 })).stream
  const [answer] = await once(refused, 'response')
  assert.equal(answer[':status'], 200)
  assert.equal(answer['content-type'], 'application/grpc')
  assert.equal(answer['grpc-status'], '12')
  assert.match(String(answer['grpc-message']), /^Cannot subscribe to topic 6 \(ServiceIntentions\)/)

  const ending = await dial(recorded)
  const other = connect('http://s1.dc1', { createConnection: () => ending }).on('error', () => {})
  await once(other, 'remoteSettings')
  ending.end()
  await once(ending, 'close')

  // A server that stops does not wait for its subscribers.
  const closed = once(session, 'close')
  const stopping = performance.now()
  await server.stop()
  await closed
  assert.ok(performance.now() - stopping < 8_000)
})
