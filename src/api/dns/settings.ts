/**
 * How DNS answers: the options of `dns_config`, with their defaults.
 */

export interface DnsSettings {
  /** `domain`, without dots at the ends. */
  readonly domain: string
  /** `alt_domain`; empty: none. */
  readonly altDomain: string
  readonly nodeTtlSeconds: number
  /** By service name; "web*" matches a prefix, "*" everything. */
  readonly serviceTtlSeconds: Readonly<Record<string, number>>
  /** Instances with a warning are left out. */
  readonly onlyPassing: boolean
  /** Most answers over UDP without EDNS. */
  readonly udpAnswerLimit: number
  /** Most A and AAAA answers over any transport; 0: no limit. */
  readonly aRecordLimit: number
  /** Sets TC where an answer was cut. */
  readonly enableTruncate: boolean
  readonly enableAdditionalNodeMetaTxt: boolean
  readonly disableCompression: boolean
  readonly soa: {
    readonly refreshSeconds: number
    readonly retrySeconds: number
    readonly expireSeconds: number
    readonly minTtlSeconds: number
  }
  /** "host:port" of servers asked for names outside our domains; empty: those are refused. */
  readonly recursors: readonly string[]
  readonly recursorTimeoutMs: number
  /** In the order in which they are named, or each time in another. */
  readonly recursorStrategy: 'sequential' | 'random'
}

export const DEFAULT_DNS_SETTINGS: DnsSettings = {
  domain: 'consul',
  altDomain: '',
  nodeTtlSeconds: 0,
  serviceTtlSeconds: {},
  onlyPassing: false,
  udpAnswerLimit: 3,
  aRecordLimit: 0,
  enableTruncate: false,
  enableAdditionalNodeMetaTxt: true,
  disableCompression: false,
  soa: { refreshSeconds: 3600, retrySeconds: 600, expireSeconds: 86_400, minTtlSeconds: 0 },
  recursors: [],
  recursorTimeoutMs: 2000,
  recursorStrategy: 'sequential',
}

/** The TTL of a service: by its name, else by the longest prefix, else "*". */
export function serviceTtl(settings: DnsSettings, service: string): number {
  const table = settings.serviceTtlSeconds
  const exact = Object.hasOwn(table, service) ? table[service] : undefined
  if (exact !== undefined) return exact
  let best = ''
  let ttl = 0
  for (const [pattern, seconds] of Object.entries(table)) {
    const matches = pattern.endsWith('*') && service.startsWith(pattern.slice(0, -1))
    if (matches && pattern.length > best.length) {
      best = pattern
      ttl = seconds
    }
  }
  return ttl
}
