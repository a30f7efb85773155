/**
 * What one side of a TLS connection shows, trusts and insists on; and the cipher suites of TLS 1.2 by the names that
 * configurations give them, which are IANA's.
 *
 * Cipher suites are chosen for TLS 1.2 only: those of TLS 1.3 are all good, and always offered.
 *
 * Source: IANA's registry of TLS cipher suites; OpenSSL's ciphers(1) for its own names of them.
 */
import { DEFAULT_CIPHERS, type SecureContextOptions } from 'node:tls'

/** Certificate, key and trusted CAs as PEM text; `certPem` may be a chain, the leaf first. `keyPem` is a secret. */
export interface TlsIdentity {
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
  /** The oldest TLS that is spoken; TLSv1.2 unless said. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** Cipher suites of TLS 1.2, keys of CIPHER_SUITES; the runtime's choice unless said. */
  readonly cipherSuites?: readonly string[]
}

/** Cipher suites of TLS 1.2: IANA's name, and OpenSSL's. Without forward secrecy are those without ECDHE. */
export const CIPHER_SUITES: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
}

/** Without these in its list, the runtime would speak no TLS 1.3 at all. */
const OF_TLS13 = DEFAULT_CIPHERS.split(':').filter((name) => name.startsWith('TLS_'))

/** The identity as the runtime takes it, for either side. Without a CA there is no `ca`: who verifies has to look. */
export function secureContextOf(identity: TlsIdentity): SecureContextOptions {
  const { caPem, certPem, keyPem, minVersion = 'TLSv1.2', cipherSuites = [] } = identity
  const chosen = cipherSuites.flatMap((name) => CIPHER_SUITES[name] ?? [])
  return {
    ...(caPem === '' ? {} : { ca: caPem }),
    cert: certPem,
    key: keyPem,
    minVersion,
    ...(chosen.length === 0 ? {} : { ciphers: [...OF_TLS13, ...chosen].join(':') }),
  }
}

/** Whether both make the same secure context. */
export function sameIdentity(a: TlsIdentity, b: TlsIdentity): boolean {
  const fields = ({ caPem, certPem, keyPem, minVersion = 'TLSv1.2', cipherSuites = [] }: TlsIdentity) =>
    JSON.stringify([caPem, certPem, keyPem, minVersion, cipherSuites])
  return a === b || fields(a) === fields(b)
}
