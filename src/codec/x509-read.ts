/**
 * Reads certificates that somebody gave us: PEM text into certificates, and the facts that people and checks need.
 *
 * Node's X509Certificate does the parsing; the walk through DER here only fetches what it does not expose (the subject's
 * own bytes and the key identifier, which a signer has to repeat to the byte).
 *
 * Source: RFC 7468 (PEM), RFC 5280 §4.1.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf } from '#base'
import { type DerItem, derItems } from './der.ts'
import { x509Error } from './x509-errors.ts'

/** Most certificates read from one file; a bundle of system roots has about 150. */
export const MAX_PEM_CERTIFICATES = 512
const SUBJECT_KEY_ID_OID_HEX = '551d0e'
const AUTHORITY_KEY_ID_OID_HEX = '551d23'

/** Crypto errors begin with library and routine names that help nobody; the last part says what is wrong. */
export function messageOfCrypto(error: unknown): string {
  return messageOf(error).split(':').at(-1)?.trim() ?? 'unreadable'
}

/** Every PEM block with that label, in order, each as text with a final newline. */
export function splitPem(text: string, label = 'CERTIFICATE'): string[] {
  const blocks: string[] = []
  const begin = `-----BEGIN ${label}-----`
  const end = `-----END ${label}-----`
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at + 1)) {
    const stop = text.indexOf(end, at)
    if (stop < 0) break
    blocks.push(`${text.slice(at, stop + end.length)}\n`)
    at = stop
  }
  return blocks
}

/**
 * The certificates of a PEM text, at least one.
 *
 * @param source - the file or setting, for the error
 * @throws X509_NOT_PEM, X509_BAD_CERTIFICATE
 */
export function certificatesFromPem(text: string, source: string): X509Certificate[] {
  const blocks = splitPem(text)
  if (blocks.length === 0) throw x509Error('X509_NOT_PEM', { source, label: 'CERTIFICATE' })
  if (blocks.length > MAX_PEM_CERTIFICATES) {
    throw x509Error('X509_BAD_CERTIFICATE', { source, reason: `more than ${MAX_PEM_CERTIFICATES} certificates` })
  }
  return blocks.map((block) => readCertificate(block, source))
}

function readCertificate(block: string, source: string): X509Certificate {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(block)
  } catch (error) {
    throw x509Error('X509_BAD_CERTIFICATE', { source, reason: messageOfCrypto(error) })
  }
  // OpenSSL takes any bytes for a time; everything after this counts with it.
  const { notBeforeMs, notAfterMs } = certificateFacts(certificate)
  if (Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs)) {
    throw x509Error('X509_BAD_CERTIFICATE', { source, reason: 'its dates cannot be read' })
  }
  return certificate
}

/**
 * The private key of a PEM text.
 *
 * @throws X509_NOT_PEM, X509_BAD_KEY
 */
export function privateKeyFromPem(text: string, source: string): KeyObject {
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(text)) {
    throw x509Error('X509_NOT_PEM', { source, label: 'PRIVATE KEY' })
  }
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw x509Error('X509_BAD_KEY', { source, reason: messageOfCrypto(error) })
  }
}

/** What a person, a log line or a check wants to know of a certificate. */
export interface CertificateFacts {
  /** "CN=server.dc1.consul"; several parts are joined by ", ". Empty for leafs of the mesh. */
  readonly subject: string
  readonly issuer: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly isCa: boolean
  /** SHA-256 of the whole certificate, "AB:CD:…". */
  readonly fingerprint: string
  readonly serial: string
}

/** Splits `DNS:a, IP Address:1.2.3.4, URI:"quoted, text"` as Node prints it. */
function alternativeNames(text: string, kind: string): string[] {
  const found: string[] = []
  for (const match of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    if (match[1] !== kind || match[2] === undefined) continue
    found.push(match[2].startsWith('"') ? unquoted(match[2]) : match[2])
  }
  return found
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}

/** NaN for a time that cannot be read: of such a one only the text says so, the date is whatever memory held. */
function timeOf(text: string, date: Date): number {
  return Number.isNaN(Date.parse(text)) ? Number.NaN : date.getTime()
}

/** The facts of one certificate. */
export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  const names = certificate.subjectAltName ?? ''
  return {
    subject: (certificate.subject ?? '').replaceAll('\n', ', '),
    issuer: (certificate.issuer ?? '').replaceAll('\n', ', '),
    notBeforeMs: timeOf(certificate.validFrom, certificate.validFromDate),
    notAfterMs: timeOf(certificate.validTo, certificate.validToDate),
    dnsNames: alternativeNames(names, 'DNS'),
    ipAddresses: alternativeNames(names, 'IP Address'),
    uris: alternativeNames(names, 'URI'),
    isCa: certificate.ca,
    fingerprint: certificate.fingerprint256,
    serial: certificate.serialNumber,
  }
}

export interface RawNames {
  /** The subject's Name, tag and length included, as an issuer field has to repeat it. */
  readonly subject: Buffer
  readonly subjectKeyId: Buffer | undefined
  /** Key identifier of the issuer. */
  readonly authorityKeyId: Buffer | undefined
}

function child(item: DerItem | undefined, what: string): DerItem[] {
  if (!item) throw x509Error('X509_BAD_DER', { reason: `it has no ${what}` })
  return derItems(item.content)
}

/** The keyIdentifier of an AuthorityKeyIdentifier, which may name the issuer in other ways instead. */
function keyIdIn(value: DerItem): Buffer | undefined {
  return child(derItems(value.content)[0], 'authority key identifier').find(({ tag }) => tag === 0x80)?.content
}

/**
 * Subject and key identifiers of a certificate in DER, to the byte.
 *
 * @throws X509_BAD_DER
 */
export function certificateNames(der: Buffer): RawNames {
  const content = child(child(derItems(der)[0], 'certificate')[0], 'content')
  const first = content[0]?.tag === 0xa0 ? 1 : 0
  const subject = content[first + 4]
  if (!subject) throw x509Error('X509_BAD_DER', { reason: 'it has no subject' })
  const holder = content.find((item) => item.tag === 0xa3)
  const extensions = holder ? child(derItems(holder.content)[0], 'extensions') : []
  let subjectKeyId: Buffer | undefined
  let authorityKeyId: Buffer | undefined
  for (const extension of extensions) {
    const parts = derItems(extension.content)
    const [oid, value] = [parts[0]?.content.toString('hex'), parts.at(-1)]
    if (!value) continue
    if (oid === SUBJECT_KEY_ID_OID_HEX) subjectKeyId = derItems(value.content)[0]?.content
    if (oid === AUTHORITY_KEY_ID_OID_HEX) authorityKeyId = keyIdIn(value)
  }
  return { subject: subject.whole, subjectKeyId, authorityKeyId }
}
