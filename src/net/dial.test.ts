/**
 * Dialling real TLS servers on loopback: each thing that can fail has its name.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { ManualClock, systemClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { type DialTlsOptions, dialTcp, dialTls } from './dial.ts'

const open: (Server | Socket)[] = []
after(() => {
  for (const each of open) 'destroy' in each ? each.destroy() : each.close()
})

const ca = createCertificateAuthority({})
const otherCa = createCertificateAuthority({ commonName: 'Stranger CA' })
const leaf = (from = ca, environment = {}) =>
  createCertificate(
    { ca: from, commonName: 'server.dc1.consul', dnsNames: ['server.dc1.consul'], days: 1 },
    environment,
  )
const identity = { caPem: ca.certPem, ...leaf() }

async function listening(server: Server): Promise<number> {
  open.push(server)
  server.on('connection', (socket: Socket) => open.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function tlsServer(more: object = {}): Promise<number> {
  const { certPem, keyPem } = leaf()
  const server = createTlsServer({
    ca: ca.certPem,
    cert: certPem,
    key: keyPem,
    requestCert: true,
    ALPNProtocols: ['consul/rpc-multi'],
    ...more,
  })
  server.on('tlsClientError', () => {})
  server.on('secureConnection', (socket) => socket.on('error', () => {}).write('hello'))
  return listening(server)
}

const dial = (port: number, more: Partial<DialTlsOptions> = {}) =>
  dialTls({
    host: '127.0.0.1',
    port,
    servername: 's1.server.dc1.consul',
    verifyName: 'server.dc1.consul',
    alpn: 'consul/rpc-multi',
    identity,
    ...more,
  })

test('dialTls() connects with the one protocol and the name that were asked for', async () => {
  const socket = await dial(await tlsServer())
  open.push(socket)
  assert.equal(socket.alpnProtocol, 'consul/rpc-multi')
  const [bytes] = await once(socket, 'data')
  assert.equal(String(bytes), 'hello')
})

test('dialTls() names another CA, an expired certificate and a wrong name', async () => {
  const stranger = leaf(otherCa)
  const foreign = await tlsServer({ cert: stranger.certPem, key: stranger.keyPem })
  await assert.rejects(dial(foreign), {
    code: 'DIAL_UNKNOWN_CA',
    message: `cannot connect to "127.0.0.1:${foreign}" for "s1.server.dc1.consul": its certificate is signed by another CA ("Stranger CA")`,
  })
  const past = leaf(ca, { clock: new ManualClock(0, systemClock.wallMs() - 3 * 86_400_000) })
  await assert.rejects(dial(await tlsServer({ cert: past.certPem, key: past.keyPem })), { code: 'DIAL_EXPIRED' })
  const future = leaf(ca, { clock: new ManualClock(0, systemClock.wallMs() + 3 * 86_400_000) })
  await assert.rejects(dial(await tlsServer({ cert: future.certPem, key: future.keyPem })), { code: 'DIAL_EXPIRED' })
  await assert.rejects(dial(await tlsServer(), { verifyName: 'server.dc2.consul' }), {
    code: 'DIAL_NAME_MISMATCH',
    message: /not for "server\.dc2\.consul" but for "server\.dc1\.consul"/,
  })
  const anyName = await dial(await tlsServer(), { verifyName: undefined })
  anyName.destroy()
})

test('dialTls() names a refused connection, a close in the handshake, a protocol nobody speaks and a silent peer', async () => {
  const gone = await tlsServer()
  const server = open.at(-1)
  assert.ok(server && 'close' in server)
  await new Promise((resolve) => server.close(resolve))
  await assert.rejects(dial(gone), { code: 'DIAL_REFUSED' })
  const closing = await listening(createServer((socket) => socket.destroy()))
  await assert.rejects(dial(closing), { code: 'DIAL_CLOSED', message: /for "s1\.server\.dc1\.consul": closed during/ })
  const polite = await listening(createServer((socket) => socket.end()))
  await assert.rejects(dial(polite), { code: 'DIAL_CLOSED' })
  await assert.rejects(dial(await tlsServer({ ALPNProtocols: ['h2'] })), { code: 'DIAL_ALPN' })
  await assert.rejects(dial(await tlsServer({ ALPNProtocols: undefined })), { code: 'DIAL_ALPN' })
  const silent = await listening(createServer(() => {}))
  await assert.rejects(dial(silent, { timeoutMs: 150 }), {
    code: 'DIAL_TIMEOUT',
    message: /no answer to the TLS handshake/,
  })
})

test('dialTls() gives up with its signal and says which own file cannot be used', async () => {
  const silent = await listening(createServer(() => {}))
  const controller = new AbortController()
  const waiting = dial(silent, { signal: controller.signal })
  controller.abort()
  await assert.rejects(waiting, { code: 'DIAL_ABORTED' })
  await assert.rejects(dial(silent, { identity: { ...identity, keyPem: 'no key' } }), (error: Error) => {
    assert.match(error.message, /^cannot use own certificate, key or CA: /)
    return !error.message.includes('no key')
  })
  await assert.rejects(dial(silent, { identity: { ...identity, caPem: '' } }), { code: 'DIAL_IDENTITY' })
  await assert.rejects(dialTcp({ host: 'no-such-host.invalid', port: 1 }), { code: 'DIAL_UNREACHABLE' })
})
