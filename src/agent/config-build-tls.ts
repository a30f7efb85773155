/**
 * TLS settings per interface: the interface's own, else `tls.defaults`, else the old keys of the top level; and their
 * rules.
 */
import { CIPHER_SUITES } from '#net'
import type { TreeReader } from './config-read.ts'
import type { RuntimeConfig, TlsConfig, TlsInterfaceConfig } from './config-runtime.ts'

const OLD_MIN_VERSIONS: Readonly<Record<string, string>> = { tls12: 'TLSv1_2', tls13: 'TLSv1_3' }

/** Values of `tls_min_version` that are taken, in both spellings. */
export const MIN_VERSIONS: readonly string[] = ['TLSv1_2', 'TLSv1_3', 'TLS_AUTO', 'tls12', 'tls13', '']

export function buildTls(reader: TreeReader): TlsConfig {
  return {
    internalRpc: buildInterface(reader, 'internal_rpc', 'verify_incoming_rpc'),
    https: buildInterface(reader, 'https', 'verify_incoming_https'),
  }
}

function buildInterface(reader: TreeReader, name: string, oldVerifyIncoming: string): TlsInterfaceConfig {
  const text = (key: string) =>
    reader.string(`tls.${name}.${key}`) ?? reader.string(`tls.defaults.${key}`) ?? reader.string(key, '')
  const flag = (key: string) =>
    reader.bool(`tls.${name}.${key}`, reader.bool(`tls.defaults.${key}`, reader.bool(key, false)))
  const isRpc = name === 'internal_rpc'
  const verifyServerHostname = isRpc && flag('verify_server_hostname')
  const version = text('tls_min_version')
  return {
    caFile: text('ca_file'),
    caPath: text('ca_path'),
    certFile: text('cert_file'),
    keyFile: text('key_file'),
    verifyIncoming:
      flag('verify_incoming') || (!reader.has(`tls.${name}.verify_incoming`) && reader.bool(oldVerifyIncoming, false)),
    // Checking the name of a server implies that its certificate is checked.
    verifyOutgoing: flag('verify_outgoing') || verifyServerHostname,
    verifyServerHostname,
    minVersion: (OLD_MIN_VERSIONS[version] ?? version) === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    cipherSuites: cipherSuitesOf(text('tls_cipher_suites')),
  }
}

/** The names in a value of `tls_cipher_suites`. */
function cipherSuitesOf(list: string): string[] {
  return list
    .split(',')
    .map((suite) => suite.trim())
    .filter((suite) => suite !== '')
}

const INTERFACES = ['defaults', 'internal_rpc', 'https'] as const

/** How a fault is told. */
interface Faults {
  invalid(key: string, problem: string): void
  conflict(keys: string, problem: string): void
}

/** The rules of TLS that go beyond single choices. */
export function validateTls({ tls, ports }: RuntimeConfig, reader: TreeReader, faults: Faults): void {
  for (const key of ['tls_cipher_suites', ...INTERFACES.map((name) => `tls.${name}.tls_cipher_suites`)]) {
    for (const suite of cipherSuitesOf(reader.string(key, ''))) {
      if (Object.hasOwn(CIPHER_SUITES, suite)) continue
      const known = Object.keys(CIPHER_SUITES).join(', ')
      faults.invalid(key, `"${suite.slice(0, 80)}" is no cipher suite of TLS 1.2 that is known: ${known}`)
    }
  }
  const served = [
    ['internal_rpc', tls.internalRpc] as const,
    ...(ports.https < 0 ? [] : [['https', tls.https] as const]),
  ]
  // Without a CA of our own the runtime would trust every public one.
  for (const [name, { verifyIncoming, caFile, caPath }] of served) {
    if (!verifyIncoming || caFile !== '' || caPath !== '') continue
    faults.conflict(`"tls.${name}.verify_incoming"`, `there is no CA to verify by: set "tls.${name}.ca_file"`)
  }
}
