/**
 * TLS of a real server's ports: when the certificate of HTTPS ends is told, and what a reload changes holds for new
 * connections: certificates, whom they are asked of, versions and cipher suites.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { ManualClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { freePort, ServerProcess, temporaryDirectory } from './server-process.ts'

interface Status {
  readonly Certificates: readonly { readonly Kind: string; readonly Name: string }[]
  readonly Problems: readonly { readonly Code: string; readonly Message: string; readonly Hint: string }[]
}
interface Gauges {
  readonly Gauges: readonly {
    readonly Name: string
    readonly Value: number
    readonly Labels: { readonly kind?: string }
  }[]
}

/** The common name that the port shows to a client of this authority. */
async function shown(port: number, caPem: string): Promise<string | string[] | undefined> {
  const socket = connect({ host: '127.0.0.1', port, ca: caPem, servername: 'localhost' })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return subject.CN
}

test('a certificate of the HTTPS port that ends soon is named, and gone after a reload with a new one', async (t) => {
  const files = temporaryDirectory()
  t.after(() => rmSync(files, { recursive: true }))
  const ca = createCertificateAuthority({})
  const [certFile, keyFile] = [join(files, 'cert.pem'), join(files, 'key.pem')]
  const write = (commonName: string, ageDays: number) => {
    const clock = new ManualClock(0, Date.now() - ageDays * 86_400_000)
    const made = createCertificate({ ca, commonName, dnsNames: ['localhost'], days: 30 }, { clock })
    writeFileSync(certFile, made.certPem)
    writeFileSync(keyFile, made.keyPem, { mode: 0o600 })
  }
  write('old', 29)
  const https = await freePort()
  const ports = { http: 0, dns: 0, server: 0, serf_lan: 0, serf_wan: -1, https }
  const server = await ServerProcess.start({
    ports,
    connect: { enabled: false },
    tls: { https: { cert_file: certFile, key_file: keyFile } },
  })
  t.after(() => server.stop())
  const status = async (): Promise<Status> =>
    JSON.parse((await server.ask('GET', '/v1/internal/federation-status')).text)

  assert.equal(await shown(https, ca.certPem), 'old')
  const before = await status()
  assert.deepEqual(
    before.Certificates.map(({ Kind, Name }) => [Kind, Name]),
    [['https', 'old']],
  )
  const ends = before.Problems.find(({ Code }) => Code === 'CERTIFICATE_ENDS')
  assert.match(ends?.Message ?? '', /^Certificate of the HTTPS port \(setting "tls\.https\.cert_file"\): "old" ends /)
  const { Gauges }: Gauges = JSON.parse((await server.ask('GET', '/v1/agent/metrics')).text)
  const gauge = Gauges.find(({ Name, Labels }) => Name === 'hanse.certificate.expiry' && Labels.kind === 'https')
  assert.ok(gauge && gauge.Value > 80_000 && gauge.Value <= 86_400, JSON.stringify(gauge))

  write('new', 0)
  assert.equal((await server.ask('PUT', '/v1/agent/reload')).status, 200)
  assert.equal(await shown(https, ca.certPem), 'new')
  const after = await status()
  assert.deepEqual(
    after.Certificates.map(({ Name }) => Name),
    ['new'],
  )
  assert.ok(!after.Problems.some(({ Code }) => Code === 'CERTIFICATE_ENDS'))

  // A file that is no certificate changes nothing.
  writeFileSync(certFile, 'no certificate')
  const refused = await server.ask('PUT', '/v1/agent/reload')
  assert.notEqual(refused.status, 200)
  assert.match(refused.text, /cert\.pem/)
  assert.equal(await shown(https, ca.certPem), 'new')
})

/** What an HTTPS port answers to a client that offers this, and what they agreed on. */
async function answered(port: number, offer: ConnectionOptions) {
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...offer })
  const tickets: Buffer[] = []
  socket.on('session', (ticket) => void tickets.push(ticket))
  socket.write('GET /v1/status/leader HTTP/1.0\r\n\r\n')
  const chunks: Buffer[] = []
  let agreed: readonly (string | null)[] = []
  socket.once('data', () => {
    agreed = [socket.getProtocol(), socket.getCipher().standardName]
  })
  for await (const chunk of socket) chunks.push(chunk)
  return { status: Buffer.concat(chunks).toString().split('\r\n')[0], agreed, ticket: tickets.at(-1) }
}

/** Whether the server port takes a call that is not encrypted. */
async function takesPlain(port: number): Promise<boolean> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  // Status.Ping, on the connection of a single caller.
  socket.write(Buffer.from('0082a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780', 'hex'))
  const answer = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => undefined)])
  socket.destroy()
  return answer !== undefined
}

test('verify_incoming, tls_min_version and tls_cipher_suites hold after a reload as after a start', async (t) => {
  const files = temporaryDirectory()
  t.after(() => rmSync(files, { recursive: true }))
  const ca = createCertificateAuthority({})
  const pair = createCertificate({ ca, commonName: 'server.dc1.consul', dnsNames: ['server.dc1.consul', 'localhost'] })
  const paths = { ca_file: join(files, 'ca.pem'), cert_file: join(files, 'cert.pem'), key_file: join(files, 'key.pem') }
  writeFileSync(paths.ca_file, ca.certPem)
  writeFileSync(paths.cert_file, pair.certPem)
  writeFileSync(paths.key_file, pair.keyPem, { mode: 0o600 })
  const https = await freePort()
  const ports = { http: 0, dns: 0, server: 0, serf_lan: 0, serf_wan: -1, https }
  const suite = 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA'
  const tls = { defaults: paths, https: { tls_cipher_suites: suite } }
  const server = await ServerProcess.start({ ports, connect: { enabled: false }, tls })
  t.after(() => server.stop())
  const reload = async (changed: object) => {
    const file = join(server.directory, 'server.json')
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), tls: changed }))
    const { status, text } = await server.ask('PUT', '/v1/agent/reload')
    assert.equal(status, 200, text)
  }
  const nameless = { ca: ca.certPem }
  const known = { ...nameless, cert: pair.certPem, key: pair.keyPem }
  const old = { maxVersion: 'TLSv1.2' } as const
  const ok = 'HTTP/1.1 200 OK'

  const { status, agreed, ticket } = await answered(https, nameless)
  assert.deepEqual([status, agreed[0]], [ok, 'TLSv1.3'])
  assert.deepEqual((await answered(https, { ...nameless, ...old })).agreed, ['TLSv1.2', suite])
  assert.equal(await takesPlain(server.rpcPort), true)

  await reload({ defaults: { ...paths, verify_incoming: true } })
  await assert.rejects(answered(https, nameless), /certificate required/)
  assert.ok(ticket)
  await assert.rejects(answered(https, { ...nameless, session: ticket }), /certificate required/, 'an older ticket')
  await assert.rejects(answered(https, { ...nameless, ...old }), /handshake failure/)
  assert.equal((await answered(https, known)).status, ok)
  assert.notEqual((await answered(https, { ...known, ...old })).agreed[1], suite)
  assert.equal(await takesPlain(server.rpcPort), false)

  await reload({ defaults: { ...paths, tls_min_version: 'TLSv1_3' } })
  assert.equal((await answered(https, nameless)).status, ok)
  await assert.rejects(answered(https, { ...nameless, ...old }), /protocol version/)
  assert.equal(await takesPlain(server.rpcPort), true)
  const behindByte = connectTcp({ host: '127.0.0.1', port: server.rpcPort })
  behindByte.write(Buffer.from([3]))
  const rpc = connect({ socket: behindByte, servername: 'server.dc1.consul', ...known, ...old })
  await assert.rejects(once(rpc, 'secureConnect'), /protocol version/)
  assert.doesNotMatch(server.output, /next start/)
})
