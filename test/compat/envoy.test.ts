/**
 * The real Envoy with certificates of ours: a static listener that shows a leaf and admits by the roots and by identity.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { IndexedCARoots, IssuedCert } from '#codec'
import { freePorts } from '#local'
import type { Datacenter } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

const ENVOY = process.env.HANSE_ENVOY ?? 'envoy'
const STARTED = { timeoutMs: 30_000 }
const bed = new TestBed()
let datacenter: Datacenter
let port = 0
let roots: readonly string[] = []

const leafOf = async (service: string) =>
  (await datacenter.client.get(IssuedCert, `/v1/agent/connect/ca/leaf/${service}`)).value

/** What Envoy is told: only `spiffeId` may call, and is answered with a fixed text. */
function staticConfig(files: { cert: string; key: string; roots: string }, spiffeId: string): object {
  const certificate = { certificate_chain: { filename: files.cert }, private_key: { filename: files.key } }
  const tls = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    require_client_certificate: true,
    common_tls_context: {
      tls_certificates: [certificate],
      validation_context: {
        trusted_ca: { filename: files.roots },
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: spiffeId } }],
      },
    },
  }
  const answer = { status: 200, body: { inline_string: 'from behind Envoy' } }
  const http = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: answer }] }],
    },
  }
  const chain = {
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
    filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: http }],
  }
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  return { static_resources: { listeners: [{ name: 'in', address, filter_chains: [chain] }] } }
}

before(async () => {
  datacenter = await bed.make({ name: 'dc1' })
  datacenter.startServer()
  await datacenter.ready()
  await eventually('there is an authority', () => leafOf('web'), STARTED)
  const answer = await datacenter.client.get(IndexedCARoots, '/v1/connect/ca/roots')
  roots = (answer.value.Roots ?? []).map((root) => root.RootCert)
  const [web, api] = [await leafOf('web'), await leafOf('api')]
  const [free = 0] = await freePorts(1)
  port = free
  const folder = join(bed.root, 'envoy')
  mkdirSync(folder)
  const write = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const files = {
    cert: write('api.pem', api.CertPEM),
    key: write('api-key.pem', api.PrivateKeyPEM),
    roots: write('roots.pem', roots.join('')),
  }
  const config = write('envoy.json', JSON.stringify(staticConfig(files, web.ServiceURI)))
  const args = ['-c', config, '--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'warning']
  const envoy = bed.programs.start('envoy', [ENVOY, ...args])
  await eventually(
    'Envoy answers',
    async () => {
      assert.ok(envoy.running, envoy.output)
      await ask(web)
    },
    STARTED,
  )
})
after(() => bed.stop())

/** One request as a service; resolves to the status line and the identity that Envoy showed. */
function ask(as: Pick<IssuedCert, 'CertPEM' | 'PrivateKeyPEM'> | undefined): Promise<{ line: string; shown: string }> {
  return new Promise((resolve, reject) => {
    const own = as === undefined ? {} : { cert: as.CertPEM, key: as.PrivateKeyPEM }
    // The name is the URI in the certificate, which is looked at by the caller.
    const options = { host: '127.0.0.1', port, ca: [...roots], ...own, checkServerIdentity: () => undefined }
    const socket = connect(options, () => {
      socket.write('GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n')
    })
    let text = ''
    const shown = () => socket.getPeerX509Certificate()?.subjectAltName ?? ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('from behind Envoy')) resolve({ line: text.split('\r\n')[0] ?? '', shown: shown() })
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`closed after "${text}"`)))
  })
}

test('Envoy shows a leaf of ours, and admits the service that it is told to', async () => {
  const { line, shown } = await ask(await leafOf('web'))
  assert.equal(line, 'HTTP/1.1 200 OK')
  const api = new X509Certificate((await leafOf('api')).CertPEM)
  assert.equal(shown, api.subjectAltName)
  assert.match(shown, /^URI:spiffe:\/\/.*\/ns\/default\/dc\/dc1\/svc\/api$/)
})

test('Envoy refuses another service of ours, and whoever shows no certificate', async () => {
  const other = await leafOf('other')
  await assert.rejects(ask(other), /alert|closed|ECONNRESET/)
  await assert.rejects(ask(undefined), /alert|closed|ECONNRESET/)
})
