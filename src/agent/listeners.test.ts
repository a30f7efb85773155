/**
 * Ports that are opened, done without, or refused. DNS is the real server; what stands for HTTP opens real ports.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DnsServer, type ListenAddress } from '#api'
import { HanseError, LogSink, Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { loadConfig } from './config.ts'
import type { RuntimeConfig } from './config-runtime.ts'
import { dnsSettings, openPorts } from './listeners.ts'
import { fixture } from './local-fixture.ts'

function config(context: TestContext, text: string): RuntimeConfig {
  const folder = mkdtempSync(join(tmpdir(), 'hanse-ports-'))
  context.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(
    join(folder, 'c.hcl'),
    `server = true\nbootstrap = true\ndata_dir = "/d"\nbind_addr = "127.0.0.1"\n${text}`,
  )
  const machine = { hostname: () => 'host-1', addresses: () => [] }
  return loadConfig({ args: ['-config-file', join(folder, 'c.hcl')], machine }).config
}

async function servers(context: TestContext) {
  const { endpoints } = await fixture(context)
  const dns = new DnsServer({
    endpoints,
    clock: systemClock,
    random: seededRandom(1),
    metrics: new Metrics(),
    log: silentLogger,
  })
  const opened: ListenAddress[] = []
  const listening: Server[] = []
  context.after(async () => {
    await dns.close()
    for (const server of listening) server.close()
  })
  const listen = async (address: ListenAddress) => {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: Error) => {
        reject(new HanseError('LISTEN_FAILED', { status: 500, message: () => cause.message }, {}))
      }
      server.once('error', refuse).listen(address.port, address.host, resolve)
    })
    listening.push(server)
    opened.push(address)
    const close = async () => void server.close()
    return { host: address.host, port: (server.address() as AddressInfo).port, close }
  }
  return { dns, opened, http: { listen } }
}

test('openPorts() opens what is configured and says where; negative ports are off', async (context) => {
  const { dns, http } = await servers(context)
  const settings = config(context, 'ports { http = 0 dns = 0 https = -1 }')
  const ports = await openPorts(settings, { http, dns, httpsIdentity: undefined }, silentLogger)
  assert.match(ports.http[0] ?? '', /^127\.0\.0\.1:\d+$/)
  assert.match(ports.dns[0] ?? '', /^127\.0\.0\.1:\d+$/)
  assert.deepEqual(ports.https, [])
  const off = await openPorts(
    config(context, 'ports { http = -1 dns = -1 }'),
    { http, dns, httpsIdentity: undefined },
    silentLogger,
  )
  assert.deepEqual(off, { http: [], https: [], dns: [] })
})

test('openPorts() opens HTTPS with the identity, as strict as the configuration says', async (context) => {
  const { dns, http, opened } = await servers(context)
  const ca = createCertificateAuthority({ days: 2, domain: 'consul' })
  const pair = createCertificate({ ca, commonName: 'web.test', days: 1 })
  const identity = { ...pair, caPem: ca.certPem, minVersion: 'TLSv1.3' } as const
  const settings = config(
    context,
    'ports { http = -1 dns = -1 https = 0 }\ntls { https { verify_incoming = true ca_file = "/c" } }',
  )
  assert.equal((await openPorts(settings, { http, dns, httpsIdentity: identity }, silentLogger)).https.length, 1)
  const { cert, key, ca: trusted, minVersion, requestCert, rejectUnauthorized } = opened[0]?.tls ?? {}
  assert.deepEqual([cert, key, trusted], [identity.certPem, identity.keyPem, ca.certPem])
  assert.deepEqual([minVersion, requestCert, rejectUnauthorized], ['TLSv1.3', true, true])
})

test('openPorts() does without a default port that is taken, and refuses a configured one', async (context) => {
  const { dns, http } = await servers(context)
  const free = config(context, 'ports { http = 0 dns = 0 }')
  const ports = await openPorts(free, { http, dns, httpsIdentity: undefined }, silentLogger)
  const taken = Number(ports.http[0]?.split(':')[1])
  const settings = config(context, `ports { http = ${taken} dns = 0 }`)
  const again = (given: RuntimeConfig, log = silentLogger) =>
    openPorts(given, { http, dns, httpsIdentity: undefined }, log)
  await assert.rejects(again(settings), { code: 'LISTEN_FAILED' })
  const lines: string[] = []
  const sink = new LogSink({ level: 'warn', write: (line) => void lines.push(line) })
  const done = await again({ ...settings, ports: { ...settings.ports, configured: [] } }, sink.logger('agent'))
  assert.deepEqual(done.http, [])
  assert.match(lines.join(''), /done without/)
})

test('dnsSettings() gives seconds where the configuration has milliseconds', (context) => {
  const text = 'dns_config { node_ttl = "90s" service_ttl { "*" = "5s" web = "1500ms" } only_passing = true }'
  const settings = dnsSettings(config(context, text))
  assert.equal(settings.nodeTtlSeconds, 90)
  assert.deepEqual(settings.serviceTtlSeconds, { '*': 5, web: 1 })
  assert.equal(settings.onlyPassing, true)
  assert.equal(settings.domain, 'consul')
})
