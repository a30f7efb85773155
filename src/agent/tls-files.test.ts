/**
 * Certificates in real files: what is taken, and which file is named when one is wrong.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HanseError, ManualClock, systemClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { loadIdentity } from './tls-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-tls-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string, text: string) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const ca = createCertificateAuthority({ days: 2, domain: 'consul' })
const NAME = 'server.dc1.consul'
const pair = createCertificate({ ca, commonName: NAME, dnsNames: [NAME], days: 1 })
const other = createCertificate({
  ca: createCertificateAuthority({ days: 2, domain: 'consul' }),
  commonName: NAME,
  dnsNames: [NAME],
  days: 1,
})

const GOOD = {
  caFile: file('ca.pem', ca.certPem),
  caPath: '',
  certFile: file('cert.pem', pair.certPem),
  keyFile: file('key.pem', pair.keyPem),
  verifyIncoming: true,
  verifyOutgoing: true,
  verifyServerHostname: true,
  minVersion: 'TLSv1.2',
  cipherSuites: [],
} as const

function fault(more: object, names: readonly string[] = [], clock = systemClock): HanseError {
  try {
    loadIdentity({ ...GOOD, ...more }, names, clock)
  } catch (error) {
    assert.ok(error instanceof HanseError, String(error))
    return error
  }
  return assert.fail('no error')
}

test('loadIdentity() reads certificate, key and CA, from a file or a directory', () => {
  const expected = { caPem: ca.certPem, certPem: pair.certPem, keyPem: pair.keyPem }
  const usual = { minVersion: 'TLSv1.2', cipherSuites: [] }
  assert.deepEqual(loadIdentity(GOOD, [NAME], systemClock), { ...expected, ...usual })
  const strict = { minVersion: 'TLSv1.3', cipherSuites: ['TLS_RSA_WITH_AES_128_CBC_SHA'] } as const
  assert.deepEqual(loadIdentity({ ...GOOD, ...strict }, [NAME], systemClock), { ...expected, ...strict })
  const path = join(folder, 'cas')
  mkdirSync(path)
  writeFileSync(join(path, 'b.pem'), ca.certPem)
  writeFileSync(join(path, 'a.crt'), createCertificateAuthority({ days: 2, domain: 'consul' }).certPem)
  writeFileSync(join(path, 'README'), 'nothing')
  const identity = loadIdentity({ ...GOOD, caFile: '', caPath: path }, [NAME], systemClock)
  assert.equal(identity?.caPem.match(/BEGIN CERTIFICATE/g)?.length, 2)
})

test('loadIdentity() is none without a certificate, and takes one without a CA', () => {
  assert.equal(loadIdentity({ ...GOOD, certFile: '' }, [NAME], systemClock), undefined)
  assert.equal(loadIdentity({ ...GOOD, keyFile: '' }, [NAME], systemClock), undefined)
  assert.equal(loadIdentity({ ...GOOD, caFile: '' }, [], systemClock)?.caPem, '')
})

test('loadIdentity() names the setting and the file that cannot be read', () => {
  for (const [key, setting] of [
    ['caFile', 'ca_file'],
    ['certFile', 'cert_file'],
    ['keyFile', 'key_file'],
  ] as const) {
    const { code, message } = fault({ [key]: join(folder, 'none') })
    assert.equal(code, 'TLS_FILE_UNREADABLE')
    assert.match(message, new RegExp(`^Read ${setting} "${join(folder, 'none')}": `))
  }
  assert.match(fault({ caFile: '', caPath: join(folder, 'none') }).message, /^Read ca_path /)
})

test('loadIdentity() names the file that is wrong: foreign, expired, without a name, no PEM, no key of it', () => {
  const day = 86_400_000
  const late = new ManualClock(0, systemClock.wallMs() + 3 * day)
  for (const { code, message } of [
    fault({ caFile: file('other-ca.pem', createCertificateAuthority({ days: 2, domain: 'consul' }).certPem) }),
    fault({}, [], late),
    fault({}, ['server.dc2.consul']),
    fault({ certFile: file('no.pem', 'nonsense') }),
    fault({ keyFile: file('other-key.pem', other.keyPem) }),
    fault({ caFile: '', keyFile: file('other-key.pem', other.keyPem) }),
    fault({ caFile: '', certFile: file('no.pem', 'nonsense') }),
  ]) {
    assert.match(code, /^X509_/)
    assert.ok(message.includes(folder), message)
    assert.ok(!message.includes('PRIVATE KEY'))
  }
})
