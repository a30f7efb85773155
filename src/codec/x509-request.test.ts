/**
 * Certificate requests: recorded ones, OpenSSL's and our own are read; changed, foreign and oversized ones are refused.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { derItems } from './der.ts'
import { pemText } from './x509-build.ts'
import {
  createCertificateRequest,
  MAX_REQUEST_CHARACTERS,
  MAX_REQUEST_NAMES,
  parseCertificateRequest,
} from './x509-request.ts'

interface Entry {
  readonly name: string
  readonly csr_pem?: string
}

const file = new URL('../../test/vectors/identities.json', import.meta.url)
const entries: readonly Entry[] = JSON.parse(readFileSync(file, 'utf8')).certificates
const recorded = entries.flatMap(({ csr_pem }) => (csr_pem === undefined ? [] : [csr_pem]))
const T = '66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ''), 'base64')
}

function codeOf(task: () => unknown): string {
  try {
    task()
    return 'read'
  } catch (error) {
    if (error instanceof HanseError) return error.code
    throw error
  }
}

test('parseCertificateRequest() reads every recorded request: names, authority, empty subject', () => {
  const read = recorded.map(parseCertificateRequest)
  assert.deepEqual(
    read.map(({ uris, authority }) => ({ uris, authority })),
    [
      { uris: [`spiffe://${T}`], authority: true },
      { uris: [`spiffe://${T}`], authority: true },
      { uris: [`spiffe://${T}/ns/default/dc/dc1/svc/web`], authority: false },
      { uris: [`spiffe://${T}/ns/default/dc/dc1/svc/api`], authority: false },
    ],
  )
  for (const { subject, dnsNames, ipAddresses, otherNames } of read) {
    assert.equal(subject.toString('hex'), '3000')
    assert.deepEqual([dnsNames, ipAddresses, otherNames], [[], [], 0])
  }
})

test('createCertificateRequest() asks in the recorded form, to the byte but for key and signature', () => {
  for (const pem of recorded) {
    const { uris, authority } = parseCertificateRequest(pem)
    const made = createCertificateRequest({ key: p256(), uris, authority })
    const parts = (text: string) => derItems(derItems(derItems(derOf(text))[0]!.content)[0]!.content)
    const [ours, theirs] = [parts(made), parts(pem)]
    for (const at of [0, 1, 3]) assert.equal(ours[at]?.whole.toString('hex'), theirs[at]?.whole.toString('hex'))
    assert.ok(made.endsWith('-----END CERTIFICATE REQUEST-----\n'))
    const openssl = execFileSync('openssl', ['req', '-verify', '-noout'], { input: made, stdio: 'pipe' })
    assert.equal(openssl.length, 0)
  }
})

test('parseCertificateRequest() reads what OpenSSL makes, with RSA too, and tells DNS, IP and other names apart', () => {
  const san = 'subjectAltName=URI:spiffe://x/a,DNS:localhost,IP:127.0.0.1,IP:::1,email:a@b.c'
  for (const key of [
    ['-newkey', 'rsa:2048'],
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
  ]) {
    const args = ['req', '-new', ...key, '-nodes', '-keyout', '/dev/null', '-subj', '/CN=web', '-addext', san]
    const read = parseCertificateRequest(execFileSync('openssl', args, { stdio: 'pipe' }).toString())
    assert.deepEqual(read.uris, ['spiffe://x/a'])
    assert.deepEqual(read.dnsNames, ['localhost'])
    assert.deepEqual(read.ipAddresses, ['127.0.0.1', '::1'])
    assert.equal(read.otherNames, 1)
    assert.equal(read.authority, false)
  }
})

test('parseCertificateRequest() refuses a request that its key did not sign', () => {
  const [first, second] = [derOf(recorded[2]!), derOf(recorded[3]!)]
  const other = derItems(derItems(second)[0]!.content)[2]!.whole
  const parts = derItems(derItems(first)[0]!.content)
  const body = Buffer.concat([parts[0]!.whole, parts[1]!.whole, other])
  const outer = Buffer.concat([Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff]), body])
  assert.throws(() => parseCertificateRequest(pemText('CERTIFICATE REQUEST', outer)), {
    message: 'cannot read certificate request: its signature was not made with its own key',
  })
})

test('parseCertificateRequest() refuses weak keys, foreign curves, too many names and too long texts', () => {
  const make = (...args: string[]) =>
    execFileSync('openssl', ['req', '-new', '-nodes', '-keyout', '/dev/null', '-subj', '/', ...args], {
      stdio: 'pipe',
    }).toString()
  assert.equal(
    codeOf(() => parseCertificateRequest(make('-newkey', 'rsa:1024'))),
    'X509_BAD_REQUEST',
  )
  assert.equal(
    codeOf(() => parseCertificateRequest(make('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'))),
    'X509_BAD_REQUEST',
  )
  assert.equal(
    codeOf(() => parseCertificateRequest(make('-newkey', 'ed25519'))),
    'X509_BAD_REQUEST',
  )
  const uris = Array.from({ length: MAX_REQUEST_NAMES + 1 }, (_, index) => `spiffe://x/${index}`)
  const many = createCertificateRequest({ key: p256(), uris })
  assert.throws(() => parseCertificateRequest(many), /more than 64 names/)
  assert.throws(() => parseCertificateRequest('x'.repeat(MAX_REQUEST_CHARACTERS + 1)), /longer than/)
  assert.throws(() => parseCertificateRequest('zz'), { message: 'no PEM-encoded data found', status: 500 })
})

test('parseCertificateRequest() answers changed bytes and text with its own errors only', () => {
  const random = seededRandom(11)
  for (let round = 0; round < 600; round++) {
    const der = derOf(recorded[round % recorded.length]!)
    for (let change = random.int(4); change >= 0; change--) der[random.int(der.length)] = random.int(256)
    const cut = random.int(4) === 0 ? der.subarray(0, random.int(der.length)) : der
    const pem =
      random.int(5) === 0 ? random.bytes(random.int(400)).toString('latin1') : pemText('CERTIFICATE REQUEST', cut)
    const code = codeOf(() => parseCertificateRequest(pem))
    assert.ok(['read', 'X509_BAD_REQUEST', 'X509_NO_PEM_DATA'].includes(code), code)
  }
})
