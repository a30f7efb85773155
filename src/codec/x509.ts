/**
 * Makes certificate authorities and the certificates that servers, gateways and clients show each other.
 *
 * The shapes are those of `consul tls ca create` and `consul tls cert create`, so that certificates of either tool work
 * in one federation: P-256 keys, SHA-256 key identifiers, a CA for 1825 days, leafs for client and server use. Keys are
 * returned as text and never stored, logged or put into errors here.
 *
 * Source: RFC 5280 §4; RPC wire notes §2 (names that servers need).
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type Clock, type Random, systemClock, systemRandom } from '#base'
import { derBitString, derBoolean, derOid, derSequence, derValue } from './der.ts'
import {
  alternativeNames,
  asciiName,
  authorityKeyIdExtension,
  distinguishedName,
  extension,
  keyIdentifier,
  OID,
  signCertificate,
  subjectKeyIdExtension,
} from './x509-build.ts'
import { x509Error } from './x509-errors.ts'
import { certificateNames, certificatesFromPem, messageOfCrypto } from './x509-read.ts'

/** Days a CA is valid when nothing else is asked for. */
export const CA_DAYS_DEFAULT = 1825
/** Days a certificate is valid when nothing else is asked for. */
export const CERTIFICATE_DAYS_DEFAULT = 365
const MAX_DAYS = 365 * 200
const DAY_MS = 86_400_000
/** A certificate made on a machine whose clock is a little ahead must be usable on the others at once. */
const BACKDATE_MS = 60_000

/** Key usage bits as RFC 5280 §4.2.1.3 numbers them, first bit first. */
const KEY_USAGE = { ca: Buffer.from([0b1000_0110]), leaf: Buffer.from([0b1010_0000]) }

export interface PemPair {
  readonly certPem: string
  /** SEC 1 or PKCS #8 text. A secret: files that hold it are 0600. */
  readonly keyPem: string
}

export interface CertificateAuthorityOptions {
  readonly commonName?: string
  readonly days?: number
  /** The DNS domain (`consul`): what the CA may sign for when `nameConstraint` is on. */
  readonly domain?: string
  /** Adds the URI name `spiffe://<clusterId>.consul`. */
  readonly clusterId?: string
  /** Restricts the CA to the domain, localhost and `additionalNameConstraints`. */
  readonly nameConstraint?: boolean
  readonly additionalNameConstraints?: readonly string[]
}

export interface CertificateOptions {
  readonly ca: PemPair
  readonly commonName: string
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly uris?: readonly string[]
  readonly days?: number
  readonly serverAuth?: boolean
  readonly clientAuth?: boolean
}

/** Where time and chance come from; the process's own unless a test says otherwise. */
export interface IssuingEnvironment {
  readonly clock?: Clock
  readonly random?: Random
}

function validity(days: number, clock: Clock): { notBeforeMs: number; notAfterMs: number } {
  if (!Number.isInteger(days) || days <= 0 || days > MAX_DAYS) {
    throw x509Error('X509_BAD_ARGUMENT', { argument: 'days', value: String(days), reason: `must be 1 to ${MAX_DAYS}` })
  }
  const now = clock.wallMs()
  return { notBeforeMs: now - BACKDATE_MS, notAfterMs: now + days * DAY_MS }
}

/** 128 random bits, positive. */
function newSerial(random: Random): Buffer {
  const bytes = random.bytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

function newKey(): { publicKey: KeyObject; privateKey: KeyObject; keyPem: string } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...pair, keyPem: pair.privateKey.export({ type: 'sec1', format: 'pem' }).toString() }
}

function nameConstraints(options: CertificateAuthorityOptions): Buffer | undefined {
  if (!options.nameConstraint) return undefined
  const domains = [options.domain ?? 'consul', 'localhost', ...(options.additionalNameConstraints ?? [])]
  const trees = domains.map((domain) => derSequence(derValue(0x82, asciiName('name constraint', domain))))
  return extension(OID.nameConstraints, true, derSequence(derValue(0xa0, ...trees)))
}

/**
 * A new self-signed certificate authority with a P-256 key.
 *
 * @throws X509_BAD_ARGUMENT for days or names that cannot be in a certificate
 */
export function createCertificateAuthority(
  options: CertificateAuthorityOptions = {},
  { clock = systemClock, random = systemRandom }: IssuingEnvironment = {},
): PemPair {
  const key = newKey()
  const serial = newSerial(random)
  const subject = distinguishedName(options.commonName ?? `Hanse Agent CA ${BigInt(`0x${serial.toString('hex')}`)}`)
  const id = keyIdentifier(key.publicKey)
  const names = options.clusterId ? alternativeNames({ uris: [`spiffe://${options.clusterId}.consul`] }) : undefined
  const constraints = nameConstraints(options)
  const extensions = [
    extension(OID.keyUsage, true, derBitString(KEY_USAGE.ca, 1)),
    extension(OID.basicConstraints, true, derSequence(derBoolean(true))),
    subjectKeyIdExtension(id),
    authorityKeyIdExtension(id),
    ...(names ? [extension(OID.subjectAltName, false, names)] : []),
    ...(constraints ? [constraints] : []),
  ]
  const dates = validity(options.days ?? CA_DAYS_DEFAULT, clock)
  const body = { serial, issuer: subject, subject, ...dates, publicKey: key.publicKey, extensions }
  return { certPem: signCertificate(body, key.privateKey), keyPem: key.keyPem }
}

interface Issuer {
  readonly subject: Buffer
  readonly keyId: Buffer
  readonly key: KeyObject
}

function issuerFrom(ca: PemPair): Issuer {
  const certificate = certificatesFromPem(ca.certPem, 'ca')[0]
  if (!certificate) throw x509Error('X509_NOT_PEM', { source: 'ca', label: 'CERTIFICATE' })
  const subject = certificate.subject.replaceAll('\n', ', ')
  if (!certificate.ca) throw x509Error('X509_NOT_A_CA', { source: 'ca', subject })
  let key: KeyObject
  try {
    key = createPrivateKey(ca.keyPem)
  } catch (error) {
    throw x509Error('X509_BAD_KEY', { source: 'ca', reason: messageOfCrypto(error) })
  }
  if (!certificate.checkPrivateKey(key)) throw x509Error('X509_KEY_MISMATCH', { source: 'ca', key: 'ca', subject })
  const raw = certificateNames(certificate.raw)
  return { subject: raw.subject, keyId: raw.subjectKeyId ?? keyIdentifier(createPublicKey(key)), key }
}

/**
 * A certificate with a new P-256 key, signed by `ca` (whose key may be EC or RSA).
 *
 * @throws X509_BAD_ARGUMENT, X509_NOT_PEM, X509_BAD_CERTIFICATE, X509_BAD_KEY, X509_KEY_MISMATCH, X509_NOT_A_CA
 */
export function createCertificate(
  options: CertificateOptions,
  { clock = systemClock, random = systemRandom }: IssuingEnvironment = {},
): PemPair {
  const issuer = issuerFrom(options.ca)
  const key = newKey()
  const uses = [
    ...((options.serverAuth ?? true) ? [derOid(OID.serverAuth)] : []),
    ...((options.clientAuth ?? true) ? [derOid(OID.clientAuth)] : []),
  ]
  const names = alternativeNames(options)
  const extensions = [
    extension(OID.keyUsage, true, derBitString(KEY_USAGE.leaf, 5)),
    ...(uses.length > 0 ? [extension(OID.extendedKeyUsage, false, derSequence(...uses))] : []),
    extension(OID.basicConstraints, true, derSequence()),
    subjectKeyIdExtension(keyIdentifier(key.publicKey)),
    authorityKeyIdExtension(issuer.keyId),
    ...(names ? [extension(OID.subjectAltName, false, names)] : []),
  ]
  const body = {
    serial: newSerial(random),
    issuer: issuer.subject,
    subject: distinguishedName(options.commonName),
    ...validity(options.days ?? CERTIFICATE_DAYS_DEFAULT, clock),
    publicKey: key.publicKey,
    extensions,
  }
  return { certPem: signCertificate(body, issuer.key), keyPem: key.keyPem }
}
