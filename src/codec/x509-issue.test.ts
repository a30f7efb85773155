/**
 * Certificates of the mesh against recorded ones: what is signed is the same to the byte, for every kind.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DER_TAG, derItems } from './der.ts'
import { certificateContent, distinguishedName, EMPTY_NAME, signatureAlgorithm } from './x509-build.ts'
import {
  issueMeshCertificate,
  issueSelfSigned,
  type MeshCertificate,
  meshCertificateBody,
  selfSignatureDigest,
  signerFrom,
} from './x509-issue.ts'
import { certificateFacts, certificateNames } from './x509-read.ts'

interface Entry {
  readonly name: string
  readonly certificates?: readonly string[]
}

const file = new URL('../../test/vectors/identities.json', import.meta.url)
const entries: readonly Entry[] = JSON.parse(readFileSync(file, 'utf8')).certificates
const recorded = [...new Set(entries.flatMap(({ certificates }) => certificates ?? []))]
const certificates = recorded.map((pem) => new X509Certificate(pem))

/** The template that a recorded certificate must have been made from; nothing is taken from its extensions but names. */
function templateOf(certificate: X509Certificate): MeshCertificate {
  const facts = certificateFacts(certificate)
  const selfSigned = certificate.subject === certificate.issuer && certificate.subject !== undefined
  const crossSigned = certificate.ca && certificate.subject !== undefined && !selfSigned
  const named = selfSigned || crossSigned
  return {
    serial: BigInt(`0x${certificate.serialNumber}`),
    subject: certificate.subject === undefined ? EMPTY_NAME : printableName(certificate.subject),
    publicKey: certificate.publicKey,
    notBeforeMs: facts.notBeforeMs,
    notAfterMs: facts.notAfterMs,
    use: certificate.ca ? (named ? { authority: true } : { authority: true, maxPathLength: 0 }) : { authority: false },
    uris: facts.uris,
    urisCritical: !named,
  }
}

const printableName = (subject: string) => distinguishedName(subject.replace('CN=', ''), DER_TAG.printableString)

function issuerOf(certificate: X509Certificate): X509Certificate {
  const issuer = certificates.find((other) => other.ca && certificate.verify(other.publicKey))
  assert.ok(issuer, `no recorded certificate signed ${certificate.serialNumber}`)
  return issuer
}

test('meshCertificateBody() is the recorded content of every root, intermediate, cross-signed root and leaf', () => {
  assert.ok(certificates.length >= 22, `only ${certificates.length} certificates`)
  for (const certificate of certificates) {
    const template = templateOf(certificate)
    const names = certificateNames(issuerOf(certificate).raw)
    assert.ok(names.subjectKeyId)
    const body = meshCertificateBody(template, { subject: names.subject, keyId: names.subjectKeyId })
    const selfSigned = certificate.verify(certificate.publicKey)
    const digest = selfSigned ? selfSignatureDigest(certificate.publicKey) : 'sha256'
    const made = certificateContent(body, signatureAlgorithm('ec', digest))
    const content = derItems(derItems(certificate.raw)[0]?.content ?? Buffer.alloc(0))[0]?.whole
    assert.equal(made.toString('hex'), content?.toString('hex'), `serial ${certificate.serialNumber}`)
  }
})

for (const [type, options] of [
  ['ec', { namedCurve: 'P-224' }],
  ['ec', { namedCurve: 'P-256' }],
  ['ec', { namedCurve: 'P-384' }],
  ['ec', { namedCurve: 'P-521' }],
  ['rsa', { modulusLength: 2048 }],
] as const) {
  test(`issueSelfSigned() and issueMeshCertificate() make a chain with a key of ${type} ${JSON.stringify(options)}`, () => {
    const pair = type === 'ec' ? generateKeyPairSync(type, options) : generateKeyPairSync(type, options)
    const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const common = { notBeforeMs: 1_700_000_000_000, notAfterMs: 1_800_000_000_000, uris: ['spiffe://x.consul'] }
    const rootTemplate: MeshCertificate = {
      ...common,
      serial: 1n,
      subject: distinguishedName('root'),
      publicKey: pair.publicKey,
      use: { authority: true },
      urisCritical: false,
    }
    const root = new X509Certificate(issueSelfSigned(rootTemplate, pair.privateKey))
    assert.ok(root.verify(root.publicKey) && root.ca)
    const signer = signerFrom(root, pair.privateKey, 'root')
    const made = new X509Certificate(
      issueMeshCertificate(
        {
          ...common,
          serial: 300n,
          subject: EMPTY_NAME,
          publicKey: leaf.publicKey,
          use: { authority: false },
          urisCritical: true,
        },
        signer,
      ),
    )
    assert.ok(made.checkIssued(root) && made.verify(root.publicKey) && !made.ca)
    assert.equal(made.serialNumber, '012C')
    assert.throws(() => signerFrom(root, leaf.privateKey, 'root'), { code: 'X509_KEY_MISMATCH' })
    assert.throws(() => signerFrom(made, leaf.privateKey, 'leaf'), { code: 'X509_NOT_A_CA' })
  })
}
