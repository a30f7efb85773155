/**
 * `hanse tls`: what is in the certificates, numbering, files that are never overwritten, and a real handshake with them.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { runCommand } from './test-run.ts'

const base = mkdtempSync(join(tmpdir(), 'hanse-tls-'))
const home = process.cwd()
let count = 0
beforeEach(() => {
  const folder = join(base, String(count++))
  mkdirSync(folder)
  process.chdir(folder)
})
after(() => {
  process.chdir(home)
  rmSync(base, { recursive: true })
})

const hanse = (line: string) => runCommand(line.split(' '))
const certificate = (path: string) => new X509Certificate(readFileSync(path))
const days = ({ validFromDate, validToDate }: X509Certificate) =>
  Math.round((validToDate.getTime() - validFromDate.getTime()) / 86_400_000)

test('tls ca create: a CA for five years, for other domains and times if wanted', async () => {
  await hanse('tls ca create')
  const plain = certificate('consul-agent-ca.pem')
  assert.equal(plain.ca, true)
  assert.equal(days(plain), 1825)
  const { stdout } = await hanse(
    'tls ca create -domain corp.example -days 10 -common-name X -cluster-id abc -name-constraint -additional-name-constraint more.example',
  )
  assert.equal(stdout, '==> Saved corp.example-agent-ca.pem\n==> Saved corp.example-agent-ca-key.pem\n')
  const other = certificate('corp.example-agent-ca.pem')
  assert.deepEqual([days(other), other.subject, other.subjectAltName], [10, 'CN=X', 'URI:spiffe://abc.consul'])
})

test('tls ca create overwrites neither certificate nor key', async () => {
  writeFileSync('consul-agent-ca-key.pem', 'precious')
  const { status, stderr } = await hanse('tls ca create')
  assert.equal(status, 1)
  assert.match(stderr, /^consul-agent-ca-key\.pem already exists\.\nhint: /)
  assert.equal(readFileSync('consul-agent-ca-key.pem', 'utf8'), 'precious')
  assert.equal(existsSync('consul-agent-ca.pem'), false)
})

test('tls cert create: names that servers look for, further ones, and days', async () => {
  await hanse('tls ca create')
  await hanse(
    'tls cert create -server -dc dc2 -node s1 -days 7 -additional-dnsname a.example -additional-ipaddress 10.0.0.1',
  )
  const server = certificate('dc2-server-consul-0.pem')
  assert.equal(server.subject, 'CN=server.dc2.consul')
  assert.equal(
    server.subjectAltName,
    'DNS:s1.server.dc2.consul, DNS:a.example, DNS:server.dc2.consul, DNS:localhost, IP Address:10.0.0.1, IP Address:127.0.0.1',
  )
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  assert.equal(days(server), 7)
  assert.equal(server.verify(certificate('consul-agent-ca.pem').publicKey), true)
  await hanse('tls cert create -client')
  assert.equal(certificate('dc1-client-consul-0.pem').subject, 'CN=client.dc1.consul')
  await hanse('tls cert create -cli')
  assert.equal(certificate('dc1-cli-consul-0.pem').subjectAltName, 'DNS:cli.dc1.consul, DNS:localhost')
})

test('tls cert create: the number grows past files that are there, keys included', async () => {
  await hanse('tls ca create')
  await hanse('tls cert create -client')
  writeFileSync('dc1-client-consul-1-key.pem', 'precious')
  const { stdout } = await hanse('tls cert create -client')
  assert.match(stdout, /==> Saved dc1-client-consul-2\.pem\n==> Saved dc1-client-consul-2-key\.pem\n$/)
  assert.equal(readFileSync('dc1-client-consul-1-key.pem', 'utf8'), 'precious')
})

test('tls cert create refuses what cannot be, and writes nothing', async () => {
  const missing = await hanse('tls cert create -server')
  assert.equal(missing.status, 1)
  assert.match(missing.stderr, /^Read CA "consul-agent-ca\.pem": ENOENT.*\nhint: make a CA with `hanse tls ca create`/)
  await hanse('tls ca create')
  await hanse('tls ca create -domain other')
  for (const line of [
    '',
    ' -server -client',
    ' -client -node n',
    ' -server -dc ../dc1',
    ' -server -days 0',
    ' -server -additional-ipaddress nope',
    ' -server -key other-agent-ca-key.pem',
    ' -server -domain nope',
  ]) {
    const { status, stderr } = await hanse(`tls cert create${line}`)
    assert.equal(status, 1, line)
    assert.notEqual(stderr, '')
    assert.ok(!stderr.includes('PRIVATE KEY'))
  }
  assert.equal(existsSync('dc1-server-consul-0.pem'), false)
  assert.equal((await hanse('tls ca create -domain ../x')).status, 1)
})

test('a command asks an agent over mutual TLS with the certificates made, by file and by directory of CAs', async () => {
  await hanse('tls ca create')
  await hanse('tls cert create -server')
  await hanse('tls cert create -cli')
  mkdirSync('cas')
  writeFileSync('cas/ca.pem', readFileSync('consul-agent-ca.pem'))
  const read = (path: string) => readFileSync(path, 'utf8')
  const options = { cert: read('dc1-server-consul-0.pem'), key: read('dc1-server-consul-0-key.pem') }
  const mutual = { ...options, ca: read('consul-agent-ca.pem'), requestCert: true, rejectUnauthorized: true }
  const server = https.createServer(mutual, (_, response) => response.end('["dc1"]'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const env = {
    CONSUL_HTTP_ADDR: `127.0.0.1:${port}`,
    CONSUL_HTTP_SSL: 'true',
    CONSUL_CLIENT_CERT: 'dc1-cli-consul-0.pem',
    CONSUL_CLIENT_KEY: 'dc1-cli-consul-0-key.pem',
  }
  const words = ['catalog', 'datacenters']
  assert.equal((await runCommand([...words, '-ca-file', 'consul-agent-ca.pem'], { env })).both, 'dc1\n')
  assert.equal((await runCommand([...words, '-ca-path', 'cas'], { env })).both, 'dc1\n')
  assert.equal((await runCommand(words, { env: { ...env, CONSUL_HTTP_SSL_VERIFY: 'false' } })).both, 'dc1\n')
  const stranger = await runCommand(words, { env })
  assert.equal(stranger.status, 1)
  server.closeAllConnections()
  server.close()
})
