/**
 * The parts that certificates and certificate requests are put together from: names, extensions, key identifiers,
 * signatures, PEM.
 *
 * Pure but for the signature itself. Which parts a certificate has is decided by those who issue it (x509.ts for TLS
 * identities, x509-issue.ts for the mesh).
 *
 * Source: RFC 5280 §4, RFC 7468.
 */
import { createHash, type KeyObject, sign } from 'node:crypto'
import { ipToBytes } from '#base'
import {
  DER_TAG,
  derBitString,
  derBoolean,
  derInteger,
  derItems,
  derOid,
  derSequence,
  derTime,
  derValue,
} from './der.ts'
import { x509Error } from './x509-errors.ts'

export const OID = {
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const

/** The hash that a signature is made over. */
export type SignatureDigest = 'sha256' | 'sha384' | 'sha512'

/** Signature algorithms by kind of key and digest; requests and certificates use no other. */
export const SIGNATURE_OID = {
  ec: { sha256: '1.2.840.10045.4.3.2', sha384: '1.2.840.10045.4.3.3', sha512: '1.2.840.10045.4.3.4' },
  rsa: { sha256: '1.2.840.113549.1.1.11', sha384: '1.2.840.113549.1.1.12', sha512: '1.2.840.113549.1.1.13' },
} as const

/** Tags of the alternative names of RFC 5280 §4.2.1.6. */
export const NAME_TAG = { dns: 0x82, uri: 0x86, ip: 0x87 } as const

/** A Name without any part, as leafs and intermediates of the mesh have it. */
export const EMPTY_NAME = derSequence()

/** A Name with only a common name. The mesh writes it as PrintableString, the TLS tools as UTF8String. */
export function distinguishedName(commonName: string, tag: number = DER_TAG.utf8String): Buffer {
  const pair = derSequence(derOid(OID.commonName), derValue(tag, Buffer.from(commonName)))
  return derSequence(derValue(DER_TAG.set, pair))
}

export function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const wrapped = derValue(DER_TAG.octetString, value)
  return critical ? derSequence(derOid(oid), derBoolean(true), wrapped) : derSequence(derOid(oid), wrapped)
}

/**
 * A name that may stand in a certificate.
 *
 * @throws X509_BAD_ARGUMENT
 */
export function asciiName(argument: string, value: string): Buffer {
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw x509Error('X509_BAD_ARGUMENT', { argument, value, reason: 'names are made of printable ASCII characters' })
  }
  return Buffer.from(value, 'latin1')
}

export interface AlternativeNames {
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly uris?: readonly string[]
}

/** The value of a subjectAltName extension; undefined without names. */
export function alternativeNames(options: AlternativeNames): Buffer | undefined {
  const names = (options.dnsNames ?? []).map((dns) => derValue(NAME_TAG.dns, asciiName('DNS name', dns)))
  for (const uri of options.uris ?? []) names.push(derValue(NAME_TAG.uri, asciiName('URI', uri)))
  for (const ip of options.ipAddresses ?? []) {
    const bytes = ipToBytes(ip)
    if (!bytes) throw x509Error('X509_BAD_ARGUMENT', { argument: 'IP address', value: ip, reason: 'it is none' })
    names.push(derValue(NAME_TAG.ip, bytes))
  }
  return names.length === 0 ? undefined : derSequence(...names)
}

/** SHA-256 of the public key's bits, as the peers' tools make key identifiers. */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = derItems(publicKey.export({ type: 'spki', format: 'der' }))[0]
  const bits = spki && derItems(spki.content)[1]
  return createHash('sha256')
    .update(bits?.content.subarray(1) ?? Buffer.alloc(0))
    .digest()
}

export function subjectKeyIdExtension(id: Buffer): Buffer {
  return extension(OID.subjectKeyId, false, derValue(DER_TAG.octetString, id))
}

export function authorityKeyIdExtension(id: Buffer): Buffer {
  return extension(OID.authorityKeyId, false, derSequence(derValue(0x80, id)))
}

/** PEM text with lines of 64 characters and a final newline. */
export function pemText(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** The AlgorithmIdentifier for a signature by that kind of key. */
export function signatureAlgorithm(kind: 'ec' | 'rsa', digest: SignatureDigest): Buffer {
  const oid = derOid(SIGNATURE_OID[kind][digest])
  return kind === 'rsa' ? derSequence(oid, Buffer.from([0x05, 0x00])) : derSequence(oid)
}

/** Whether a key signs by RSA or by ECDSA; nothing else is used here. */
export function keyKind(key: KeyObject): 'ec' | 'rsa' {
  return key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec'
}

/** A signed object: content, algorithm, signature; the outer form of certificates and requests. */
export function signedPem(label: string, content: Buffer, signer: KeyObject, digest: SignatureDigest): string {
  const signature = sign(digest, content, keyKind(signer) === 'rsa' ? signer : { key: signer, dsaEncoding: 'der' })
  const algorithm = signatureAlgorithm(keyKind(signer), digest)
  return pemText(label, derSequence(content, algorithm, derBitString(signature)))
}

/** What a certificate says; all but the signature. */
export interface CertificateBody {
  /** Big-endian, positive. */
  readonly serial: Uint8Array
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly publicKey: KeyObject
  readonly extensions: readonly Buffer[]
}

/** The bytes that are signed (TBSCertificate). */
export function certificateContent(body: CertificateBody, algorithm: Buffer): Buffer {
  return derSequence(
    derValue(0xa0, derInteger(Buffer.from([2]))),
    derInteger(body.serial),
    algorithm,
    body.issuer,
    derSequence(derTime(body.notBeforeMs), derTime(body.notAfterMs)),
    body.subject,
    body.publicKey.export({ type: 'spki', format: 'der' }),
    derValue(0xa3, derSequence(...body.extensions)),
  )
}

/** The certificate as PEM, signed by `signer`. */
export function signCertificate(body: CertificateBody, signer: KeyObject, digest: SignatureDigest = 'sha256'): string {
  const content = certificateContent(body, signatureAlgorithm(keyKind(signer), digest))
  return signedPem('CERTIFICATE', content, signer, digest)
}
