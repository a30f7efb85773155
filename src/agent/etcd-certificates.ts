/**
 * Mutual TLS of the own member of etcd: the certificate of the server port, checked before etcd begins, because the
 * others would only say that a handshake failed.
 */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { TlsIdentity } from '#net'
import type { EtcdIdentity, EtcdTlsFiles } from '#store'
import { agentError } from './agent-errors.ts'
import type { RuntimeConfig } from './config-runtime.ts'

/** The name that every server of the datacenter has, and nobody else. */
export function serverNameOf({ datacenter, domain }: RuntimeConfig): string {
  return `server.${datacenter}.${domain}`
}

/**
 * The files that etcd is started with; undefined on loopback without any.
 *
 * @param host - where other members reach this one
 * @throws ETCD_CERTIFICATE where the other members would not accept what we show them
 */
export function memberTls(
  config: RuntimeConfig,
  host: string,
  identity: TlsIdentity | undefined,
): EtcdTlsFiles | undefined {
  const { caFile, certFile, keyFile } = config.tls.internalRpc
  if (identity === undefined || caFile === '') {
    if (identity === undefined && isLoopback(host)) return undefined
    throw agentError('ETCD_CERTIFICATE', { host, reason: 'tls.internal_rpc has no ca_file, cert_file and key_file' })
  }
  const certificate = new X509Certificate(identity.certPem)
  const names = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  if (names === undefined) {
    throw agentError('ETCD_CERTIFICATE', { host, reason: `the certificate "${certFile}" is not valid for it` })
  }
  const serverName = serverNameOf(config)
  if (certificate.checkHost(serverName) === undefined) {
    const reason = `the certificate "${certFile}" is not that of "${serverName}"`
    throw agentError('ETCD_CERTIFICATE', { host, reason })
  }
  return { ca: caFile, cert: certFile, key: keyFile, allowedName: serverName }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** What this server shows to members of etcd; the same object as long as the certificate is the same. */
export function memberIdentity(
  identity: () => TlsIdentity | undefined,
  serverName: string,
): () => EtcdIdentity | undefined {
  let known: { readonly from: TlsIdentity; readonly shown: EtcdIdentity } | undefined
  return () => {
    const from = identity()
    if (from === undefined) return undefined
    if (known?.from !== from) {
      const { caPem, certPem, keyPem } = from
      const shown = { ca: Buffer.from(caPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem), serverName }
      known = { from, shown }
    }
    return known.shown
  }
}
