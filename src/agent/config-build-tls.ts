/**
 * TLS settings per interface: the interface's own, else `tls.defaults`, else the old keys of the top level.
 */
import type { TreeReader } from './config-read.ts'
import type { TlsConfig, TlsInterfaceConfig } from './config-runtime.ts'

const OLD_MIN_VERSIONS: Readonly<Record<string, string>> = { tls12: 'TLSv1_2', tls13: 'TLSv1_3' }

/** Values of `tls_min_version` that are taken, in both spellings. */
export const MIN_VERSIONS: readonly string[] = ['TLSv1_2', 'TLSv1_3', 'TLS_AUTO', 'tls12', 'tls13', '']

export function buildTls(reader: TreeReader): TlsConfig {
  return {
    internalRpc: buildInterface(reader, 'internal_rpc', 'verify_incoming_rpc'),
    https: buildInterface(reader, 'https', 'verify_incoming_https'),
    grpc: buildInterface(reader, 'grpc', undefined),
  }
}

function buildInterface(reader: TreeReader, name: string, oldVerifyIncoming: string | undefined): TlsInterfaceConfig {
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
      flag('verify_incoming') ||
      (oldVerifyIncoming !== undefined &&
        !reader.has(`tls.${name}.verify_incoming`) &&
        reader.bool(oldVerifyIncoming, false)),
    // Checking the name of a server implies that its certificate is checked.
    verifyOutgoing: flag('verify_outgoing') || verifyServerHostname,
    verifyServerHostname,
    minVersion: (OLD_MIN_VERSIONS[version] ?? version) === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    cipherSuites: text('tls_cipher_suites')
      .split(',')
      .map((suite) => suite.trim())
      .filter((suite) => suite !== ''),
  }
}
