/**
 * Certificates of the service mesh: authorities (roots, intermediates, cross-signed roots) and leafs, each with the
 * fields, order and critical flags that its peers make, so that either side's certificates work in one federation.
 *
 * Names are only URIs; key identifiers are SHA-256 of the whole public key (the TLS tools' are of its bits). Who may get a certificate, and for how long, is decided in ca/.
 *
 * Source: RFC 5280 §4, SPIFFE X.509-SVID §4; federation wire notes §9.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { DER_TAG, derBitString, derBoolean, derInteger, derOid, derSequence } from './der.ts'
import {
  alternativeNames,
  authorityKeyIdExtension,
  type CertificateBody,
  distinguishedName,
  extension,
  OID,
  type SignatureDigest,
  signCertificate,
  subjectKeyIdExtension,
} from './x509-build.ts'
import { x509Error } from './x509-errors.ts'
import { certificateNames, certificatesFromPem, messageOfCrypto } from './x509-read.ts'

/** digitalSignature, keyCertSign, cRLSign (RFC 5280 §4.2.1.3, first bit first). */
const AUTHORITY_USAGE = derBitString(Buffer.from([0b1000_0110]), 1)
/** digitalSignature, keyEncipherment, dataEncipherment, keyAgreement. */
const LEAF_USAGE = derBitString(Buffer.from([0b1011_1000]), 3)

/** What a certificate of the mesh is to say. */
export interface MeshCertificate {
  readonly serial: bigint
  /** A Name in DER: `EMPTY_NAME`, `distinguishedName()`, or the subject of another certificate to the byte. */
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** `authority` may sign others; `maxPathLength` 0 lets it sign only leafs. */
  readonly use: { readonly authority: true; readonly maxPathLength?: number } | { readonly authority: false }
  readonly uris: readonly string[]
  /** Whether those who do not know URIs must refuse the certificate: needed where the subject is empty. */
  readonly urisCritical: boolean
}

/** Who signs: the subject and key identifier that are repeated in what it signs. */
export interface IssuerName {
  readonly subject: Buffer
  readonly keyId: Buffer
}

/** A certificate with its private key, read once for many signatures. */
export interface Signer extends IssuerName {
  /** A secret. Printing it shows no key material. */
  readonly key: KeyObject
  readonly certPem: string
  readonly notAfterMs: number
}

/** SHA-256 of the whole public key (SubjectPublicKeyInfo), as the mesh's certificates identify keys. */
export function meshKeyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

/** A subject with a common name, as the mesh's roots have it. @throws X509_BAD_ARGUMENT */
export function meshName(commonName: string): Buffer {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]+$/.test(commonName)) {
    const reason = 'it is not made of the characters of a PrintableString'
    throw x509Error('X509_BAD_ARGUMENT', { argument: 'common name', value: commonName, reason })
  }
  return distinguishedName(commonName, DER_TAG.printableString)
}

/** A positive integer as big-endian bytes. */
export function serialBytes(serial: bigint): Buffer {
  const hex = serial.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function basicConstraints(use: MeshCertificate['use']): Buffer {
  if (!use.authority) return derSequence()
  if (use.maxPathLength === undefined) return derSequence(derBoolean(true))
  return derSequence(derBoolean(true), derInteger(Buffer.from([use.maxPathLength])))
}

/**
 * Everything that is signed, as a value: certificates of the mesh differ in nothing but what comes in here.
 *
 * @throws X509_BAD_ARGUMENT for a URI that cannot be in a certificate
 */
export function meshCertificateBody(certificate: MeshCertificate, issuer: IssuerName): CertificateBody {
  const { use, uris, urisCritical, publicKey } = certificate
  const names = alternativeNames({ uris })
  return {
    serial: serialBytes(certificate.serial),
    issuer: issuer.subject,
    subject: certificate.subject,
    notBeforeMs: certificate.notBeforeMs,
    notAfterMs: certificate.notAfterMs,
    publicKey,
    extensions: [
      extension(OID.keyUsage, true, use.authority ? AUTHORITY_USAGE : LEAF_USAGE),
      ...(use.authority
        ? []
        : [extension(OID.extendedKeyUsage, false, derSequence(derOid(OID.clientAuth), derOid(OID.serverAuth)))]),
      extension(OID.basicConstraints, true, basicConstraints(use)),
      subjectKeyIdExtension(meshKeyIdentifier(publicKey)),
      authorityKeyIdExtension(issuer.keyId),
      ...(names ? [extension(OID.subjectAltName, urisCritical, names)] : []),
    ],
  }
}

/** The certificate as PEM with a final newline. Peers sign with SHA-256 whatever the signer's key. */
export function issueMeshCertificate(certificate: MeshCertificate, signer: Signer): string {
  return signCertificate(meshCertificateBody(certificate, signer), signer.key, 'sha256')
}

/** The digest of a self-signed root goes with the size of its key, as peers do it. */
export function selfSignatureDigest(publicKey: KeyObject): SignatureDigest {
  const curve = publicKey.asymmetricKeyDetails?.namedCurve
  return curve === 'secp384r1' ? 'sha384' : curve === 'secp521r1' ? 'sha512' : 'sha256'
}

/** A self-signed certificate as PEM: its own subject and key are its issuer's. */
export function issueSelfSigned(certificate: MeshCertificate, key: KeyObject): string {
  const issuer = { subject: certificate.subject, keyId: meshKeyIdentifier(certificate.publicKey) }
  return signCertificate(meshCertificateBody(certificate, issuer), key, selfSignatureDigest(certificate.publicKey))
}

/**
 * A certificate authority that somebody gave us, ready to sign.
 *
 * @param source - what to call it in errors
 * @throws X509_NOT_PEM, X509_BAD_CERTIFICATE, X509_BAD_KEY, X509_NOT_A_CA, X509_KEY_MISMATCH
 */
export function signerFromPem(certPem: string, keyPem: string, source: string): Signer {
  const certificate = certificatesFromPem(certPem, source)[0]
  if (!certificate) throw x509Error('X509_NOT_PEM', { source, label: 'CERTIFICATE' })
  let key: KeyObject
  try {
    key = createPrivateKey(keyPem)
  } catch (error) {
    throw x509Error('X509_BAD_KEY', { source, reason: messageOfCrypto(error) })
  }
  return signerFrom(certificate, key, source)
}

/**
 * A certificate authority and its key, ready to sign.
 *
 * @throws X509_NOT_A_CA, X509_KEY_MISMATCH
 */
export function signerFrom(certificate: X509Certificate | string, key: KeyObject, source: string): Signer {
  const read = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate
  const subject = (read.subject ?? '').replaceAll('\n', ', ')
  if (!read.ca) throw x509Error('X509_NOT_A_CA', { source, subject })
  if (!read.checkPrivateKey(key)) throw x509Error('X509_KEY_MISMATCH', { source, key: source, subject })
  const names = certificateNames(read.raw)
  return {
    subject: names.subject,
    keyId: names.subjectKeyId ?? meshKeyIdentifier(read.publicKey),
    key,
    certPem: typeof certificate === 'string' ? certificate : certificate.toString(),
    notAfterMs: read.validToDate.getTime(),
  }
}
