/**
 * Certificate requests (PKCS #10): made here for others to sign, and read from others with proof that they hold the key.
 *
 * A request is only believed after its signature was checked with the key inside it. What it asks for is not yet
 * granted by that: ca/ decides which names the asker may have.
 *
 * Source: RFC 2986, RFC 2985 §5.4.2; federation wire notes §9.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { bytesToIp, HanseError } from '#base'
import { DER_TAG, type DerItem, derBoolean, derInteger, derItems, derOid, derSequence, derValue } from './der.ts'
import {
  alternativeNames,
  EMPTY_NAME,
  extension,
  NAME_TAG,
  OID,
  SIGNATURE_OID,
  type SignatureDigest,
  signedPem,
} from './x509-build.ts'
import { x509Error } from './x509-errors.ts'
import { messageOfCrypto } from './x509-read.ts'

/** Longest request that is looked at, as text; one with an RSA key of 8192 bits has 3,000 characters. */
export const MAX_REQUEST_CHARACTERS = 16_384
/** Most names that one request may ask for. */
export const MAX_REQUEST_NAMES = 64
const MIN_RSA_BITS = 2048
/** Checking a signature with a larger key would cost more than a request is worth. */
const MAX_RSA_BITS = 8192
const MAX_RSA_EXPONENT = 0xffff_ffffn
const CURVES = ['secp224r1', 'prime256v1', 'secp384r1', 'secp521r1']

/** What to ask for. The subject is always empty: identities of the mesh are URIs. */
export interface RequestOptions {
  /** A secret; only its public half is in the request. */
  readonly key: KeyObject
  readonly uris: readonly string[]
  /** Ask for a certificate that may sign others. */
  readonly authority?: boolean
}

/** What a request asks for, its signature checked. */
export interface CertificateRequest {
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  /** Names of other kinds (e-mail, directory, …); nobody here grants them. */
  readonly otherNames: number
  readonly authority: boolean
}

/**
 * A request as PEM with a final newline.
 *
 * @throws X509_BAD_ARGUMENT for a URI that cannot be in a certificate
 */
export function createCertificateRequest({ key, uris, authority = false }: RequestOptions): string {
  const names = alternativeNames({ uris })
  const extensions = [
    ...(authority ? [extension(OID.basicConstraints, true, derSequence(derBoolean(true)))] : []),
    ...(names ? [extension(OID.subjectAltName, true, names)] : []),
  ]
  const wanted = derSequence(derOid(OID.extensionRequest), derValue(DER_TAG.set, derSequence(...extensions)))
  const content = derSequence(
    derInteger(Buffer.from([0])),
    EMPTY_NAME,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    derValue(0xa0, wanted),
  )
  return signedPem('CERTIFICATE REQUEST', content, key, 'sha256')
}

function bad(reason: string): HanseError {
  return x509Error('X509_BAD_REQUEST', { reason })
}

function requestDer(text: string): Buffer {
  if (text.length > MAX_REQUEST_CHARACTERS) throw bad(`it is longer than ${MAX_REQUEST_CHARACTERS} characters`)
  const match = /-----BEGIN (CERTIFICATE REQUEST|NEW CERTIFICATE REQUEST)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(
    text,
  )
  if (!match?.[2]) throw x509Error('X509_NO_PEM_DATA', {})
  return Buffer.from(match[2], 'base64')
}

function one(bytes: Buffer, tag: number, what: string): Buffer {
  const items = derItems(bytes)
  const first = items[0]
  if (items.length !== 1 || first?.tag !== tag) throw bad(`its ${what} is malformed`)
  return first.content
}

function publicKeyOf(spki: Buffer): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw bad(`its public key cannot be read: ${messageOfCrypto(error)}`)
  }
  const { namedCurve = '', modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve)) return key
  if (key.asymmetricKeyType !== 'rsa') throw bad('its key is neither RSA nor EC on a NIST curve')
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS || publicExponent > MAX_RSA_EXPONENT) {
    throw bad(`its RSA key is not between ${MIN_RSA_BITS} and ${MAX_RSA_BITS} bits`)
  }
  return key
}

function digestOf(algorithm: Buffer, key: KeyObject): SignatureDigest {
  const oid = derItems(algorithm)[0]?.whole
  const table = SIGNATURE_OID[key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec']
  for (const digest of ['sha256', 'sha384', 'sha512'] as const) if (oid?.equals(derOid(table[digest]))) return digest
  throw bad('its signature algorithm does not go with its key, or is not in use')
}

function checkSignature(content: DerItem, algorithm: DerItem, signature: DerItem, key: KeyObject): void {
  const digest = digestOf(algorithm.content, key)
  let holds = false
  try {
    const bytes = signature.content.subarray(1)
    holds = verify(digest, content.whole, { key, dsaEncoding: 'der' }, bytes)
  } catch {
    holds = false
  }
  if (!holds) throw bad('its signature was not made with its own key')
}

interface Wanted {
  readonly uris: string[]
  readonly dnsNames: string[]
  readonly ipAddresses: string[]
  otherNames: number
  authority: boolean
}

function addNames(wanted: Wanted, value: Buffer): void {
  const names = derItems(one(value, DER_TAG.sequence, 'list of names'))
  if (names.length > MAX_REQUEST_NAMES) throw bad(`it asks for more than ${MAX_REQUEST_NAMES} names`)
  for (const { tag, content } of names) {
    const text = content.toString('latin1')
    const printable = /^[\x21-\x7e]+$/.test(text)
    if ((tag === NAME_TAG.uri || tag === NAME_TAG.dns) && !printable) throw bad('a name in it is not printable ASCII')
    if (tag === NAME_TAG.uri) wanted.uris.push(text)
    else if (tag === NAME_TAG.dns) wanted.dnsNames.push(text)
    else {
      const ip = tag === NAME_TAG.ip ? bytesToIp(content) : undefined
      if (ip === undefined) wanted.otherNames++
      else wanted.ipAddresses.push(ip)
    }
  }
}

function addExtension(wanted: Wanted, item: DerItem): void {
  const parts = derItems(item.content)
  const [oid, value] = [parts[0]?.whole, parts.at(-1)]
  if (item.tag !== DER_TAG.sequence || parts.length < 2 || parts.length > 3 || value?.tag !== DER_TAG.octetString) {
    throw bad('an extension in it is malformed')
  }
  if (oid?.equals(derOid(OID.subjectAltName))) addNames(wanted, value.content)
  if (oid?.equals(derOid(OID.basicConstraints))) {
    const flag = derItems(one(value.content, DER_TAG.sequence, 'basic constraints'))[0]
    wanted.authority = flag?.tag === DER_TAG.boolean && flag.content[0] === 0xff
  }
}

function wantedIn(attributes: DerItem | undefined): Wanted {
  const wanted: Wanted = { uris: [], dnsNames: [], ipAddresses: [], otherNames: 0, authority: false }
  if (attributes?.tag !== 0xa0) return wanted
  for (const attribute of derItems(attributes.content)) {
    const [oid, values] = derItems(attribute.content)
    if (!oid?.whole.equals(derOid(OID.extensionRequest)) || !values) continue
    for (const extensions of derItems(values.content)) {
      for (const item of derItems(extensions.content)) addExtension(wanted, item)
    }
  }
  return wanted
}

function parse(der: Buffer): CertificateRequest {
  const [content, algorithm, signature, ...rest] = derItems(one(der, DER_TAG.sequence, 'outer form'))
  if (!content || !algorithm || signature?.tag !== DER_TAG.bitString || rest.length > 0) {
    throw bad('its outer form is malformed')
  }
  const [version, subject, spki, attributes] = derItems(content.content)
  if (version?.whole.equals(derInteger(Buffer.from([0]))) !== true || subject?.tag !== DER_TAG.sequence || !spki) {
    throw bad('its content is malformed')
  }
  const publicKey = publicKeyOf(spki.whole)
  checkSignature(content, algorithm, signature, publicKey)
  return { subject: subject.whole, publicKey, ...wantedIn(attributes) }
}

/**
 * Reads a request and checks that it was signed with the key that it carries (proof of possession).
 *
 * @throws X509_NO_PEM_DATA, X509_BAD_REQUEST
 */
export function parseCertificateRequest(pem: string): CertificateRequest {
  const der = requestDer(pem)
  try {
    return parse(der)
  } catch (error) {
    if (error instanceof HanseError && error.code === 'X509_BAD_DER') throw bad(String(error.facts.reason))
    throw error
  }
}
