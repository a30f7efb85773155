/**
 * What a member of etcd beside a server is started with. Pure.
 */
import { formatHostPort } from '#base'
import type { EtcdBinary } from './member-binary.ts'

/** Data of 8 GiB, the most that etcd recommends. */
const QUOTA_BYTES = 8_589_934_592
/** History for those who follow from behind; who is farther behind loads anew. */
const HISTORY = '10m'

/** Files of mutual TLS, the same for clients and for the other members. */
export interface EtcdTlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Only certificates with this name may connect. */
  readonly allowedName: string
}

export interface EtcdMemberOptions {
  readonly binary: string
  readonly name: string
  readonly dataDir: string
  /** IP to listen on. */
  readonly bindAddress: string
  readonly clientPort: number
  readonly peerPort: number
  readonly clientUrl: string
  readonly peerUrl: string
  readonly tls: EtcdTlsFiles | undefined
  /** Every member, this one included, when it is made or added. */
  readonly cluster: readonly { readonly name: string; readonly peerUrl: string }[]
  readonly founding: boolean
  /** The same for all founders, and for no others. */
  readonly token: string
}

/** The argument that tells this member from every other on the machine. */
export function dataDirArgument(dataDir: string): string {
  return `--data-dir=${dataDir}`
}

export function memberArguments(options: EtcdMemberOptions, { help }: EtcdBinary): string[] {
  const { name, dataDir, bindAddress, clientPort, peerPort, clientUrl, peerUrl, tls, cluster, founding, token } =
    options
  const scheme = tls ? 'https' : 'http'
  const given: Record<string, string> = {
    name,
    'listen-client-urls': `${scheme}://${formatHostPort(bindAddress, clientPort)}`,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': `${scheme}://${formatHostPort(bindAddress, peerPort)}`,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': cluster.map((member) => `${member.name}=${member.peerUrl}`).join(','),
    'initial-cluster-state': founding ? 'new' : 'existing',
    'initial-cluster-token': token,
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': HISTORY,
    'quota-backend-bytes': String(QUOTA_BYTES),
    // Half of etcd's default: a server and its member that die together are replaced within five seconds.
    'heartbeat-interval': '100',
    'election-timeout': '500',
    logger: 'zap',
    'log-level': 'info',
    // It would need a certificate for connecting to itself, and nobody here speaks JSON to etcd.
    'enable-grpc-gateway': 'false',
  }
  if (tls) {
    for (const prefix of ['', 'peer-']) {
      given[`${prefix}trusted-ca-file`] = tls.ca
      given[`${prefix}cert-file`] = tls.cert
      given[`${prefix}key-file`] = tls.key
      given[`${prefix}client-cert-auth`] = 'true'
    }
    given['client-cert-allowed-hostname'] = tls.allowedName
    given['peer-cert-allowed-hostname'] = tls.allowedName
    // Certificates are made for servers, not for the address that one happens to connect from.
    for (const flag of ['experimental-peer-skip-client-san-verification', 'peer-skip-client-san-verification']) {
      if (help.includes(`--${flag} `)) given[flag] = 'true'
    }
  }
  return [dataDirArgument(dataDir), ...Object.entries(given).map(([flag, value]) => `--${flag}=${value}`)]
}
