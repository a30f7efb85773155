/**
 * When certificates end: every root, intermediate, leaf and the server's own, for status, metrics and people.
 */
import { type CARoot, certificateFacts, certificatesFromPem } from '#codec'
import { colonHex, keyIdOf } from './certificates.ts'

export type CertificateKind = 'root' | 'cross-signed root' | 'intermediate' | 'leaf' | 'server' | 'https'

export interface CertificateExpiry {
  readonly kind: CertificateKind
  /** The common name, or else the URI or DNS name. */
  readonly name: string
  readonly serial: string
  /** Key identifier: what other certificates call it. */
  readonly keyId: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly remainingMs: number
  /** `soon`: less than a tenth of its life is left; renewal should have come before. */
  readonly state: 'ok' | 'soon' | 'expired'
  /** Whether anything rests on it: not on a root that was replaced, nor on what signed under it. */
  readonly active: boolean
}

export interface ExpirySources {
  readonly roots: readonly Pick<CARoot, 'RootCert' | 'IntermediateCerts' | 'Active' | 'SigningKeyID'>[]
  /** PEM texts; of a chain only the first certificate counts. */
  readonly leafs?: readonly string[]
  /** What the server port shows. */
  readonly server?: string
  /** What the HTTPS port shows; not told again where it is the server's. */
  readonly https?: string
}

const SOON = 0.1

type ReadCertificate = Pick<CertificateExpiry, 'name' | 'serial' | 'keyId' | 'notBeforeMs' | 'notAfterMs'> & {
  readonly subject: string
}

function read(pem: string, source: string): ReadCertificate | undefined {
  const [certificate] = certificatesFromPem(pem, source)
  if (!certificate) return undefined
  const { subject, uris, dnsNames, notBeforeMs, notAfterMs } = certificateFacts(certificate)
  return {
    subject,
    name: /CN=([^,]+)/.exec(subject)?.[1] ?? uris[0] ?? dnsNames[0] ?? subject,
    serial: colonHex(Buffer.from(certificate.serialNumber, 'hex')),
    keyId: keyIdOf(certificate),
    notBeforeMs,
    notAfterMs,
  }
}

function expiryOf(
  kind: CertificateKind,
  { name, serial, keyId, notBeforeMs, notAfterMs }: ReadCertificate,
  nowMs: number,
  active: boolean,
): CertificateExpiry {
  const remainingMs = notAfterMs - nowMs
  const soon = remainingMs < (notAfterMs - notBeforeMs) * SOON
  const state = remainingMs <= 0 ? 'expired' : soon ? 'soon' : 'ok'
  return { kind, name, serial, keyId, notBeforeMs, notAfterMs, remainingMs, state, active }
}

/** Asked again and again for mostly the same certificates, it reads each one only once. */
export class CertificateExpiries {
  /** PEM text → what it says; only of those that were there the last time. */
  #known = new Map<string, ReadCertificate | undefined>()

  /**
   * The ends of all certificates, the nearest first. A cross-signed root is meant to end: nobody needs to act on it.
   *
   * @throws X509_NOT_PEM, X509_BAD_CERTIFICATE for a text that is no certificate
   */
  list({ roots, leafs = [], server, https }: ExpirySources, nowMs: number): CertificateExpiry[] {
    const seen = new Map<string, ReadCertificate | undefined>()
    const found: CertificateExpiry[] = []
    const first = (pem: string, source: string) => {
      const certificate = this.#known.get(pem) ?? read(pem, source)
      seen.set(pem, certificate)
      return certificate
    }
    for (const { RootCert, IntermediateCerts, Active, SigningKeyID } of roots) {
      const root = first(RootCert, 'root')
      if (root) found.push(expiryOf('root', root, nowMs, Active))
      for (const pem of IntermediateCerts ?? []) {
        const certificate = first(pem, 'intermediate')
        if (!certificate) continue
        const crossSigned = certificate.subject !== ''
        const active = Active && (crossSigned || certificate.keyId === SigningKeyID)
        found.push(expiryOf(crossSigned ? 'cross-signed root' : 'intermediate', certificate, nowMs, active))
      }
    }
    for (const pem of leafs) {
      const leaf = first(pem, 'leaf')
      if (leaf) found.push(expiryOf('leaf', leaf, nowMs, true))
    }
    for (const [kind, pem] of [
      ['server', server],
      ['https', https === server ? undefined : https],
    ] as const) {
      const own = pem === undefined ? undefined : first(pem, kind)
      if (own) found.push(expiryOf(kind, own, nowMs, true))
    }
    this.#known = seen
    return found.sort((a, b) => a.notAfterMs - b.notAfterMs)
  }
}
