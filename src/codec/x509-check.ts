/**
 * Checks a TLS identity before anything listens or dials with it, so that a wrong file is named at the start and not
 * found as a closed connection hours later.
 *
 * Pure: the time comes in. What the peer shows in a handshake is checked by TLS itself (net/), not here.
 */
import type { X509Certificate } from 'node:crypto'
import { x509Error } from './x509-errors.ts'
import { type CertificateFacts, certificateFacts, certificatesFromPem, privateKeyFromPem } from './x509-read.ts'

/** Certificate, key and the CAs it is to be checked against, as PEM text. `certPem` may hold a chain, the leaf first. */
export interface PemIdentity {
  readonly caPem: string
  readonly certPem: string
  /** A secret. */
  readonly keyPem: string
}

export interface IdentityCheck {
  readonly nowMs: number
  /** Names of which the certificate must carry each, e.g. `server.dc1.consul`. */
  readonly names?: readonly string[]
  /** What to call the three texts in errors: file names, or settings. */
  readonly sources?: { readonly ca: string; readonly cert: string; readonly key: string }
}

function signedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** Whether `leaf` leads, through any of `chain`, to one of `roots`. */
function leadsTo(leaf: X509Certificate, chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  let at = leaf
  for (let step = 0; step <= chain.length; step++) {
    const current = at
    if (roots.some((root) => root.fingerprint256 === current.fingerprint256 || signedBy(current, root))) return true
    const next = chain.find((other) => other !== current && signedBy(current, other))
    if (!next) return false
    at = next
  }
  return false
}

/** Whether a certificate's name (possibly `*.server.dc1.consul`) covers a host name. */
export function nameCovers(pattern: string, host: string): boolean {
  const [a, b] = [pattern.toLowerCase(), host.toLowerCase()]
  if (a === b) return true
  return a.startsWith('*.') && b.includes('.') && b.slice(b.indexOf('.')) === a.slice(1)
}

/**
 * Checks that certificate, key and CA belong together, are valid now and carry the names asked for. Who has issued it is
 * not asked where no CA is given.
 *
 * @returns the facts of the leaf certificate
 * @throws X509_NOT_PEM, X509_BAD_CERTIFICATE, X509_BAD_KEY, X509_EXPIRED, X509_NOT_YET_VALID, X509_KEY_MISMATCH,
 *   X509_UNKNOWN_CA, X509_MISSING_NAME
 */
export function checkTlsIdentity(identity: PemIdentity, check: IdentityCheck): CertificateFacts {
  const sources = check.sources ?? { ca: 'ca_file', cert: 'cert_file', key: 'key_file' }
  const roots = identity.caPem === '' ? undefined : certificatesFromPem(identity.caPem, sources.ca)
  const [leaf, ...chain] = certificatesFromPem(identity.certPem, sources.cert)
  if (!leaf) throw x509Error('X509_NOT_PEM', { source: sources.cert, label: 'CERTIFICATE' })
  const key = privateKeyFromPem(identity.keyPem, sources.key)
  const facts = certificateFacts(leaf)
  const source = sources.cert
  const subject = facts.subject
  if (!leaf.checkPrivateKey(key)) throw x509Error('X509_KEY_MISMATCH', { source, key: sources.key, subject })
  if (facts.notAfterMs <= check.nowMs) {
    throw x509Error('X509_EXPIRED', { source, subject, notAfter: new Date(facts.notAfterMs).toISOString() })
  }
  if (facts.notBeforeMs > check.nowMs) {
    throw x509Error('X509_NOT_YET_VALID', { source, subject, notBefore: new Date(facts.notBeforeMs).toISOString() })
  }
  if (roots && !leadsTo(leaf, chain, roots)) {
    throw x509Error('X509_UNKNOWN_CA', { source, issuer: facts.issuer, ca: sources.ca })
  }
  for (const name of check.names ?? []) {
    if (facts.dnsNames.some((pattern) => nameCovers(pattern, name))) continue
    throw x509Error('X509_MISSING_NAME', { source, name, names: facts.dnsNames })
  }
  return facts
}
