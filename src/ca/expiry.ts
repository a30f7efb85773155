/**
 * When certificates end: every root, intermediate, leaf and server certificate, for status, metrics and people.
 */
import type { X509Certificate } from 'node:crypto'
import { type CARoot, certificateFacts, certificatesFromPem } from '#codec'
import { colonHex, keyIdOf } from './certificates.ts'

export type CertificateKind = 'root' | 'cross-signed root' | 'intermediate' | 'leaf' | 'server'

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
  /** For roots: whether it is the one that is in force. */
  readonly active: boolean | undefined
}

export interface ExpirySources {
  readonly roots: readonly Pick<CARoot, 'RootCert' | 'IntermediateCerts' | 'Active'>[]
  /** PEM texts; of a chain only the first certificate counts. */
  readonly leafs?: readonly string[]
  readonly server?: string
}

const SOON = 0.1

function expiryOf(
  kind: CertificateKind,
  certificate: X509Certificate,
  nowMs: number,
  active?: boolean,
): CertificateExpiry {
  const { subject, uris, dnsNames, notBeforeMs, notAfterMs } = certificateFacts(certificate)
  const remainingMs = notAfterMs - nowMs
  const soon = remainingMs < (notAfterMs - notBeforeMs) * SOON
  return {
    kind,
    name: /CN=([^,]+)/.exec(subject)?.[1] ?? uris[0] ?? dnsNames[0] ?? subject,
    serial: colonHex(Buffer.from(certificate.serialNumber, 'hex')),
    keyId: keyIdOf(certificate),
    notBeforeMs,
    notAfterMs,
    remainingMs,
    state: remainingMs <= 0 ? 'expired' : soon ? 'soon' : 'ok',
    active,
  }
}

/**
 * The ends of all certificates, the nearest first. A cross-signed root is meant to end: nobody needs to act on it.
 *
 * @throws X509_NOT_PEM, X509_BAD_CERTIFICATE for a text that is no certificate
 */
export function certificateExpiries(sources: ExpirySources, nowMs: number): CertificateExpiry[] {
  const found: CertificateExpiry[] = []
  const first = (pem: string, source: string) => certificatesFromPem(pem, source).slice(0, 1)
  for (const { RootCert, IntermediateCerts, Active } of sources.roots) {
    for (const root of first(RootCert, 'root')) found.push(expiryOf('root', root, nowMs, Active))
    for (const pem of IntermediateCerts ?? []) {
      for (const certificate of first(pem, 'intermediate')) {
        const crossSigned = certificateFacts(certificate).subject !== ''
        found.push(expiryOf(crossSigned ? 'cross-signed root' : 'intermediate', certificate, nowMs))
      }
    }
  }
  for (const pem of sources.leafs ?? [])
    for (const leaf of first(pem, 'leaf')) found.push(expiryOf('leaf', leaf, nowMs))
  for (const server of sources.server === undefined ? [] : first(sources.server, 'server')) {
    found.push(expiryOf('server', server, nowMs))
  }
  return found.sort((a, b) => a.notAfterMs - b.notAfterMs)
}
