/**
 * Certificates from files: what the server port shows and trusts, checked when it is read, read again at a reload.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, messageOf } from '#base'
import { checkTlsIdentity } from '#codec'
import type { TlsIdentity } from '#net'
import { agentError } from './agent-errors.ts'
import type { TlsInterfaceConfig } from './config-runtime.ts'

/** @throws TLS_FILE_UNREADABLE naming the setting */
export function readTlsFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw agentError('TLS_FILE_UNREADABLE', { setting, path, reason: messageOf(error) }, error)
  }
}

/** All PEM files of `ca_path`, in the order of their names. */
function readDirectory(path: string): string {
  try {
    const names = readdirSync(path).filter((name) => /\.(pem|crt)$/.test(name))
    return names
      .sort()
      .map((name) => readTlsFile('ca_path', join(path, name)))
      .join('\n')
  } catch (error) {
    throw agentError('TLS_FILE_UNREADABLE', { setting: 'ca_path', path, reason: messageOf(error) }, error)
  }
}

/**
 * The identity of one interface.
 *
 * @param names - names that the certificate must carry; empty: any
 * @returns undefined when no certificate is configured
 * @throws TLS_FILE_UNREADABLE; X509_ codes of #codec naming the file that is wrong
 */
export function loadIdentity(
  config: TlsInterfaceConfig,
  names: readonly string[],
  clock: Clock,
): TlsIdentity | undefined {
  const { caFile, caPath, certFile, keyFile } = config
  if (certFile === '' || keyFile === '') return undefined
  const caPem = caFile !== '' ? readTlsFile('ca_file', caFile) : caPath !== '' ? readDirectory(caPath) : ''
  const identity = {
    caPem,
    certPem: readTlsFile('cert_file', certFile),
    keyPem: readTlsFile('key_file', keyFile),
    minVersion: config.minVersion,
    cipherSuites: config.cipherSuites,
  }
  const sources = { ca: caFile || caPath, cert: certFile, key: keyFile }
  checkTlsIdentity(identity, { nowMs: clock.wallMs(), names, sources })
  return identity
}
