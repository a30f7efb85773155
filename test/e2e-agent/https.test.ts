/**
 * The HTTPS port of a real server: when its certificate ends is told, and a reload shows a new one to new connections.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
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
