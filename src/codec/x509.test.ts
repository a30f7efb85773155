/**
 * Certificates made here, judged by OpenSSL and by a real TLS handshake; files that do not fit; changed bytes.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createServer, connect as tlsConnect } from 'node:tls'
import { HanseError, ManualClock, seededRandom, systemClock } from '#base'
import { derItems } from './der.ts'
import { createCertificate, createCertificateAuthority } from './x509.ts'
import { checkTlsIdentity, nameCovers } from './x509-check.ts'
import { certificateFacts, certificateNames, certificatesFromPem, splitPem } from './x509-read.ts'

const directory = mkdtempSync(join(tmpdir(), 'hanse-x509-'))
after(() => rmSync(directory, { recursive: true }))

const ca = createCertificateAuthority({ domain: 'consul' })
const serverNames = ['server.dc1.consul', '*.server.dc1.consul', 'localhost']
const leaf = createCertificate({
  ca,
  commonName: 'server.dc1.consul',
  dnsNames: serverNames,
  ipAddresses: ['127.0.0.1', '::1'],
})

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

function codeOfThrown(task: () => unknown): string {
  try {
    task()
  } catch (error) {
    if (error instanceof HanseError) return error.code
    throw error
  }
  return 'nothing thrown'
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
}

test('createCertificateAuthority() and createCertificate() are accepted by OpenSSL with strict checks', () => {
  const [caCertificate, certificate] = [new X509Certificate(ca.certPem), new X509Certificate(leaf.certPem)]
  assert.ok(certificate.checkIssued(caCertificate) && certificate.verify(caCertificate.publicKey))
  if (!hasOpenssl()) return
  const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 's1.server.dc1.consul']
  const answer = execFileSync('openssl', [
    ...args,
    '-CAfile',
    file('ca.pem', ca.certPem),
    file('leaf.pem', leaf.certPem),
  ])
  assert.match(answer.toString(), /: OK/)
  const text = execFileSync('openssl', ['x509', '-noout', '-text', '-in', file('ca.pem', ca.certPem)]).toString()
  assert.match(text, /Basic Constraints: critical\s+CA:TRUE/)
  assert.match(text, /Digital Signature, Certificate Sign, CRL Sign/)
  const leafText = execFileSync('openssl', [
    'x509',
    '-noout',
    '-text',
    '-in',
    file('leaf.pem', leaf.certPem),
  ]).toString()
  assert.match(leafText, /Digital Signature, Key Encipherment/)
  assert.match(leafText, /TLS Web Server Authentication, TLS Web Client Authentication/)
  assert.match(leafText, /CA:FALSE/)
})

test('createCertificateAuthority() with a name constraint refuses names outside the domain', () => {
  const bound = createCertificateAuthority({
    domain: 'consul',
    nameConstraint: true,
    additionalNameConstraints: ['example.org'],
    clusterId: '8b1bc506-0000-4000-8000-000000000000',
  })
  assert.deepEqual(certificateFacts(new X509Certificate(bound.certPem)).uris, [
    'spiffe://8b1bc506-0000-4000-8000-000000000000.consul',
  ])
  if (!hasOpenssl()) return
  const caFile = file('bound.pem', bound.certPem)
  const verify = (dns: string) => {
    const made = createCertificate({ ca: bound, commonName: 'x', dnsNames: [dns] })
    return execFileSync('openssl', ['verify', '-CAfile', caFile, file('made.pem', made.certPem)], { stdio: 'pipe' })
  }
  assert.match(verify('server.dc1.consul').toString(), /OK/)
  assert.match(verify('a.example.org').toString(), /OK/)
  assert.throws(() => verify('server.dc1.other'), /permitted subtree violation/)
})

test('createCertificate() signs with an RSA authority as well', () => {
  if (!hasOpenssl()) return
  const key = join(directory, 'rsa.key')
  const cert = join(directory, 'rsa.pem')
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/O=Müller/CN=old CA', '-utf8', '-days', '3']
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'pipe' })
  const read = (path: string) => execFileSync('cat', [path]).toString()
  const made = createCertificate({
    ca: { certPem: read(cert), keyPem: read(key) },
    commonName: 'c',
    dnsNames: ['c.consul'],
  })
  assert.match(execFileSync('openssl', ['verify', '-CAfile', cert, file('c.pem', made.certPem)]).toString(), /OK/)
})

test('createCertificate() makes pairs that two ends of a mutual TLS connection accept', async () => {
  const server = createServer({ ca: ca.certPem, cert: leaf.certPem, key: leaf.keyPem, requestCert: true })
  server.on('secureConnection', (socket) => socket.end(socket.authorized ? 'welcome' : 'stranger'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const answer = await new Promise<string>((resolve, reject) => {
    const identity = { ca: ca.certPem, cert: leaf.certPem, key: leaf.keyPem }
    const socket = tlsConnect({
      ...identity,
      host: '127.0.0.1',
      port: address.port,
      servername: 's1.server.dc1.consul',
    })
    socket.on('data', (bytes) => resolve(bytes.toString()))
    socket.on('error', reject)
  })
  server.close()
  assert.equal(answer, 'welcome')
})

test('certificateFacts() reads names, issuer and dates back', () => {
  const facts = certificateFacts(new X509Certificate(leaf.certPem))
  assert.equal(facts.subject, 'CN=server.dc1.consul')
  assert.match(facts.issuer, /^CN=Hanse Agent CA \d+$/)
  assert.deepEqual(facts.dnsNames, serverNames)
  assert.deepEqual(facts.ipAddresses, ['127.0.0.1', '0:0:0:0:0:0:0:1'])
  assert.equal(Math.round((facts.notAfterMs - systemClock.wallMs()) / 86_400_000), 365)
  const caFacts = certificateFacts(new X509Certificate(ca.certPem))
  assert.ok(caFacts.isCa)
  assert.equal(Math.round((caFacts.notAfterMs - systemClock.wallMs()) / 86_400_000), 1825)
})

test('createCertificate() writes dates after 2049 so that they are read back', () => {
  const clock = new ManualClock(0, Date.parse('2049-06-01T00:00:00Z'))
  const far = createCertificateAuthority({ days: 730 }, { clock })
  assert.equal(new Date(certificateFacts(new X509Certificate(far.certPem)).notAfterMs).getUTCFullYear(), 2051)
})

test('createCertificate() names the argument that cannot be in a certificate', () => {
  const make = (more: object) => () => createCertificate({ ca, commonName: 'x', ...more })
  assert.throws(make({ days: 0 }), /cannot make certificate with days "0": must be 1 to/)
  assert.throws(make({ ipAddresses: ['nowhere'] }), /cannot make certificate with IP address "nowhere": it is none/)
  assert.throws(make({ dnsNames: ['a b'] }), /DNS name "a b"/)
  assert.throws(() => createCertificate({ ca: leaf, commonName: 'x' }), /is not a certificate authority/)
  const other = createCertificateAuthority({})
  const mixed = { certPem: ca.certPem, keyPem: other.keyPem }
  assert.equal(
    codeOfThrown(() => createCertificate({ ca: mixed, commonName: 'x' })),
    'X509_KEY_MISMATCH',
  )
  const broken = { certPem: ca.certPem, keyPem: 'no key' }
  assert.equal(
    codeOfThrown(() => createCertificate({ ca: broken, commonName: 'x' })),
    'X509_BAD_KEY',
  )
})

test('checkTlsIdentity() accepts an identity that fits and names what does not', () => {
  const other = createCertificateAuthority({})
  const nowMs = systemClock.wallMs()
  const identity = { caPem: ca.certPem, ...leaf }
  const check = (change: object, more: object = {}) =>
    codeOfThrown(() => checkTlsIdentity({ ...identity, ...change }, { nowMs, ...more }))
  assert.equal(checkTlsIdentity(identity, { nowMs, names: ['server.dc1.consul', 's9.server.dc1.consul'] }).isCa, false)
  assert.equal(check({ certPem: 'hello' }), 'X509_NOT_PEM')
  assert.equal(check({ keyPem: 'hello' }), 'X509_NOT_PEM')
  assert.equal(check({ keyPem: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' }), 'X509_BAD_KEY')
  const torn = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  assert.equal(check({ certPem: torn }), 'X509_BAD_CERTIFICATE')
  const undated = new X509Certificate(leaf.certPem).raw
  // The month of the first of two UTCTimes, of thirteen bytes each: what stands before may hold any two bytes by chance.
  undated.write('77', undated.indexOf(Buffer.from([0x30, 0x1e, 0x17, 0x0d])) + 6)
  const undatedPem = `-----BEGIN CERTIFICATE-----\n${undated.toString('base64')}\n-----END CERTIFICATE-----\n`
  // More than once: what Node makes of such a time depends on what was in memory before.
  for (let round = 0; round < 500; round++) assert.equal(check({ certPem: undatedPem }), 'X509_BAD_CERTIFICATE')
  assert.equal(check({ keyPem: other.keyPem }), 'X509_KEY_MISMATCH')
  assert.equal(check({ caPem: other.certPem }), 'X509_UNKNOWN_CA')
  assert.equal(check({ caPem: '' }), 'nothing thrown')
  assert.equal(check({ caPem: '', keyPem: other.keyPem }), 'X509_KEY_MISMATCH')
  assert.equal(check({ caPem: other.certPem + ca.certPem }), 'nothing thrown')
  assert.equal(check({}, { nowMs: nowMs + 366 * 86_400_000 }), 'X509_EXPIRED')
  assert.equal(check({}, { nowMs: nowMs - 86_400_000 }), 'X509_NOT_YET_VALID')
  assert.equal(check({}, { names: ['server.dc2.consul'] }), 'X509_MISSING_NAME')
})

test('nameCovers() lets a star stand for exactly one label', () => {
  assert.ok(nameCovers('*.server.dc1.consul', 's1.server.dc1.consul'))
  assert.ok(nameCovers('Server.dc1.consul', 'server.DC1.consul'))
  assert.ok(!nameCovers('*.server.dc1.consul', 'server.dc1.consul'))
  assert.ok(!nameCovers('*.server.dc1.consul', 'a.b.server.dc1.consul'))
})

test('splitPem() finds every block of a chain and leaves out other text', () => {
  const text = `subject=CN x\n${leaf.certPem}\nmore\n${ca.certPem}${leaf.keyPem}`
  assert.deepEqual(splitPem(text), [leaf.certPem, ca.certPem])
  assert.equal(certificatesFromPem(text, 'chain.pem').length, 2)
  assert.deepEqual(splitPem('-----BEGIN CERTIFICATE-----\nAAA'), [])
})

test('certificateNames() and derItems() answer changed bytes with X509_BAD_DER or a value, never another error', () => {
  const random = seededRandom(7)
  const der = new X509Certificate(leaf.certPem).raw
  assert.equal(certificateNames(der).subjectKeyId?.length, 32)
  for (let round = 0; round < 4000; round++) {
    const bytes = round % 4 === 0 ? random.bytes(random.int(200)) : Buffer.from(der)
    for (let change = 0; change < 3 && bytes.length > 0; change++) bytes[random.int(bytes.length)] = random.int(256)
    const cut = random.int(3) === 0 ? bytes.subarray(0, random.int(bytes.length + 1)) : bytes
    for (const parse of [() => derItems(cut), () => certificateNames(cut)]) {
      assert.ok(['nothing thrown', 'X509_BAD_DER'].includes(codeOfThrown(parse)))
    }
  }
})
