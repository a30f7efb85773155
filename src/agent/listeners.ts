/**
 * The ports that users talk to: HTTP, HTTPS and DNS, as configured. A default port that is taken is said and done
 * without; a configured one that is taken is an error.
 */
import type { DnsServer, DnsSettings, HttpServer, ListenAddress, Listener } from '#api'
import { codeOf, formatHostPort, type Logger, messageOf } from '#base'
import { secureContextOf, type TlsIdentity } from '#net'
import type { PortName, RuntimeConfig } from './config-runtime.ts'

export interface OpenPorts {
  /** "host:port" of each. */
  readonly http: readonly string[]
  readonly https: readonly string[]
  readonly dns: readonly string[]
}

interface Wanted {
  readonly name: PortName
  readonly hosts: readonly string[]
  readonly port: number
  readonly open: (host: string, port: number) => Promise<Listener>
}

/** @throws HanseError LISTEN_FAILED where a configured port is taken; ports opened by then are their servers' to close */
export async function openPorts(
  config: RuntimeConfig,
  servers: {
    readonly http: Pick<HttpServer, 'listen'>
    readonly dns: Pick<DnsServer, 'listen'>
    readonly httpsIdentity: TlsIdentity | undefined
  },
  log: Logger,
): Promise<OpenPorts> {
  const { listen, ports } = config
  const identity = servers.httpsIdentity
  const http = await openAll(
    { name: 'http', hosts: listen.http, port: ports.http, open: (host, port) => servers.http.listen({ host, port }) },
    ports.configured,
    log,
  )
  const secure = identity
    ? await openAll(
        {
          name: 'https',
          hosts: listen.https,
          port: ports.https,
          open: (host, port) => servers.http.listen({ host, port, tls: tlsOptions(config, identity) }),
        },
        ports.configured,
        log,
      )
    : []
  const dns = await openAll(
    { name: 'dns', hosts: listen.dns, port: ports.dns, open: (host, port) => servers.dns.listen({ host, port }) },
    ports.configured,
    log,
  )
  return { http, https: secure, dns }
}

/** What the HTTPS port shows and asks for. */
export function tlsOptions({ tls }: RuntimeConfig, identity: TlsIdentity): NonNullable<ListenAddress['tls']> {
  return {
    ...secureContextOf(identity),
    requestCert: tls.https.verifyIncoming,
    rejectUnauthorized: tls.https.verifyIncoming,
  }
}

async function openAll(wanted: Wanted, configured: readonly PortName[], log: Logger): Promise<readonly string[]> {
  if (wanted.port < 0) return []
  const opened: string[] = []
  for (const host of wanted.hosts) {
    try {
      const listener = await wanted.open(host, wanted.port)
      opened.push(formatHostPort(host, listener.port))
    } catch (error) {
      const taken = codeOf(error) === 'LISTEN_FAILED' || codeOf(error) === 'LISTEN_IN_USE'
      if (!taken || configured.includes(wanted.name)) throw error
      log.warn('a default port is taken and done without', { port: wanted.name, error: messageOf(error) })
    }
  }
  return opened
}

/** The DNS server's settings in the configuration. */
export function dnsSettings(config: RuntimeConfig): DnsSettings {
  const { dnsConfig } = config
  return {
    domain: config.domain,
    altDomain: config.altDomain,
    nodeTtlSeconds: Math.floor(dnsConfig.nodeTtlMs / 1000),
    serviceTtlSeconds: Object.fromEntries(
      Object.entries(dnsConfig.serviceTtlMs).map(([service, ttlMs]) => [service, Math.floor(ttlMs / 1000)]),
    ),
    onlyPassing: dnsConfig.onlyPassing,
    udpAnswerLimit: dnsConfig.udpAnswerLimit,
    aRecordLimit: dnsConfig.aRecordLimit,
    enableTruncate: dnsConfig.enableTruncate,
    enableAdditionalNodeMetaTxt: dnsConfig.nodeMetaTxt,
    disableCompression: dnsConfig.disableCompression,
    soa: dnsConfig.soa,
    recursors: config.recursors,
    recursorTimeoutMs: dnsConfig.recursorTimeoutMs,
    recursorStrategy: dnsConfig.recursorStrategy,
  }
}
