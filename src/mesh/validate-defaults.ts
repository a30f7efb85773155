/**
 * Whether defaults make sense: proxy-defaults, service-defaults, mesh.
 */
import type { EnvoyExtension, Mesh, ProxyDefaults, ServiceDefaults, UpstreamConfig } from '#codec'
import { multierror } from './multierror.ts'

const EXTENSIONS: ReadonlySet<string> = new Set([
  'builtin/aws/lambda',
  'builtin/ext-authz',
  'builtin/http/localratelimit',
  'builtin/lua',
  'builtin/otel-access-logging',
  'builtin/property-override',
  'builtin/wasm',
])
const LOG_TYPES: ReadonlySet<string> = new Set(['', 'stdout', 'stderr', 'file'])
const MUTUAL_TLS_MODES: ReadonlySet<string> = new Set(['', 'strict', 'permissive'])
const PROTOCOLS: ReadonlySet<string> = new Set(['', 'tcp', 'http', 'http2', 'grpc'])
const BALANCE: ReadonlySet<string> = new Set(['', 'exact_balance'])

export function* proxyDefaultsProblems(entry: ProxyDefaults): Generator<string> {
  if (entry.Name !== 'global') yield `invalid name (${JSON.stringify(entry.Name)}), only "global" is supported`
  yield* accessLogProblems(entry.AccessLogs)
  if (!MUTUAL_TLS_MODES.has(entry.MutualTLSMode)) yield mutualTlsMode(entry.MutualTLSMode)
  const extensions = extensionProblems(entry.EnvoyExtensions)
  if (extensions.length > 0) yield multierror(extensions)
}

function* accessLogProblems(logs: ProxyDefaults['AccessLogs']): Generator<string> {
  if (!LOG_TYPES.has(logs.Type)) yield `invalid access log type: ${logs.Type}`
  if (logs.Type === 'file' && logs.Path === '') yield 'path must be specified when using file type access logs'
  if (logs.Type !== 'file' && logs.Path !== '') yield 'path is only valid for file type access logs'
  if (logs.JSONFormat !== '' && logs.TextFormat !== '') {
    yield 'cannot specify both access log JSONFormat and TextFormat'
  }
  if (logs.JSONFormat !== '' && !isJson(logs.JSONFormat)) yield 'invalid access log json: not valid JSON'
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function extensionProblems(extensions: readonly EnvoyExtension[] | null): string[] {
  return (extensions ?? []).flatMap(({ Name }, index) =>
    EXTENSIONS.has(Name)
      ? []
      : [`invalid EnvoyExtensions[${index}][${Name}]: name ${JSON.stringify(Name)} is not a built-in extension`],
  )
}

const mutualTlsMode = (mode: string) =>
  `invalid MutualTLSMode ${JSON.stringify(mode)}: must be "strict" or "permissive"`

export function* serviceDefaultsProblems(entry: ServiceDefaults): Generator<string> {
  if (entry.Name === '*') yield 'service-defaults name must be the name of a service, and not a wildcard'
  const problems = [...fieldProblems(entry)]
  if (problems.length > 0) yield multierror(problems)
}

function* fieldProblems(entry: ServiceDefaults): Generator<string> {
  if (!PROTOCOLS.has(entry.Protocol)) yield `invalid value for protocol: ${entry.Protocol}`
  if (!BALANCE.has(entry.BalanceInboundConnections)) {
    yield `invalid value for balance_inbound_connections: ${entry.BalanceInboundConnections}`
  }
  if (!MUTUAL_TLS_MODES.has(entry.MutualTLSMode)) yield mutualTlsMode(entry.MutualTLSMode)
  for (const upstream of entry.UpstreamConfig?.Overrides ?? []) {
    for (const problem of overrideProblems(upstream)) {
      yield `error in upstream override for ${upstream.Name}:${upstream.Peer}: ${problem}`
    }
  }
  const defaults = entry.UpstreamConfig?.Defaults
  if (defaults) {
    if (defaults.Name !== '') yield 'error in upstream defaults: Name must be empty'
    if (defaults.Peer !== '') yield 'error in upstream defaults: Peer must be empty'
    for (const problem of upstreamProblems(defaults)) yield `error in upstream defaults: ${problem}`
  }
  if (entry.Destination !== null) {
    const { Addresses, Port } = entry.Destination
    if ((Addresses ?? []).length === 0) yield 'Destination must have at least one address'
    if (Port < 1 || Port > 65_535) yield `Invalid Port number ${Port}`
  }
  if (entry.RateLimits !== null) yield 'invalid rate_limits config. Rate limiting is a consul enterprise feature'
  yield* extensionProblems(entry.EnvoyExtensions)
}

function* overrideProblems(upstream: UpstreamConfig): Generator<string> {
  if (upstream.Name === '') yield 'Name is required'
  if (upstream.Name === '*') yield 'Wildcard name is not supported'
  yield* upstreamProblems(upstream)
}

function* upstreamProblems(upstream: UpstreamConfig): Generator<string> {
  if (!PROTOCOLS.has(upstream.Protocol)) yield `invalid value for protocol: ${upstream.Protocol}`
  if (!BALANCE.has(upstream.BalanceOutboundConnections)) {
    yield `invalid value for balance_outbound_connections: ${upstream.BalanceOutboundConnections}`
  }
}

const TLS_VERSIONS: readonly string[] = ['TLS_AUTO', 'TLSv1_0', 'TLSv1_1', 'TLSv1_2', 'TLSv1_3']
const TLS_RANK = new Map(TLS_VERSIONS.map((version, rank) => [version, rank]))

export function* meshProblems(entry: Mesh): Generator<string> {
  for (const direction of ['Incoming', 'Outgoing'] as const) {
    const tls = entry.TLS?.[direction]
    if (!tls) continue
    for (const problem of tlsVersionProblems(tls.TLSMinVersion, tls.TLSMaxVersion)) {
      yield `error in ${direction.toLowerCase()} TLS configuration: ${problem}`
    }
  }
}

function* tlsVersionProblems(min: string, max: string): Generator<string> {
  for (const version of [min, max]) {
    if (version !== '' && !TLS_RANK.has(version)) {
      yield `no matching TLS version found for ${version}, please specify one of [${TLS_VERSIONS.join(', ')}]`
    }
  }
  const rank = (version: string) => TLS_RANK.get(version) ?? -1
  if (rank(min) > 0 && rank(max) > 0 && rank(max) < rank(min)) {
    yield `configuring max version ${max} less than the configured min version ${min} is invalid`
  }
}
