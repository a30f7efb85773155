/**
 * What the proxy of one service is told to do by everyone's and its own defaults: ConfigEntry.ResolveServiceConfig.
 *
 * The service's own defaults come over those for all (proxy-defaults). For each upstream: what the service says about
 * all of them, what it says about this one, and the protocol that the upstream itself speaks.
 */
import {
  type MsgpackValue,
  OpaqueUpstreamConfig,
  PeeredServiceName,
  type ProxyDefaults,
  ServiceConfigResponse,
  type ServiceDefaults,
  type UpstreamConfig,
} from '#codec'
import { serviceProtocol } from './chain-context.ts'
import type { EntrySource } from './entry-source.ts'

type Config = Readonly<Record<string, MsgpackValue>>

export interface ServiceConfigQuestion {
  readonly service: string
  /** As the proxy is registered; `transparent` asks about upstreams that no one named. */
  readonly mode: string
  /** As the proxy is registered: its gateway mode is stronger than that of the defaults. */
  readonly meshGatewayMode: string
  readonly upstreams: readonly PeeredServiceName[]
}

/** Merges what entries say; facts about the answer are the caller's. */
export function resolveServiceConfig(source: EntrySource, question: ServiceConfigQuestion): ServiceConfigResponse {
  const everyone = source.get('proxy-defaults', 'global')
  const own = source.get('service-defaults', question.service)
  const proxyConfig = { ...everyone?.Config, ...ownConfig(own) }
  const extensions = [...(everyone?.EnvoyExtensions ?? []), ...(own?.EnvoyExtensions ?? [])]
  const base = ServiceConfigResponse.of({
    ProxyConfig: Object.keys(proxyConfig).length === 0 ? null : proxyConfig,
    Meta: own?.Meta ?? null,
    MeshGateway: { Mode: own?.MeshGateway.Mode || everyone?.MeshGateway.Mode || '' },
    Mode: own?.Mode || everyone?.Mode || '',
    MutualTLSMode: own?.MutualTLSMode || everyone?.MutualTLSMode || '',
    EnvoyExtensions: extensions.length === 0 ? null : extensions,
    ...merged(everyone, own),
  })
  return { ...base, UpstreamConfigs: upstreamConfigs(source, question, base, own) }
}

/** Sections that are one thing each. */
function merged(everyone: ProxyDefaults | undefined, own: ServiceDefaults | undefined): Partial<ServiceConfigResponse> {
  const tproxy = own?.TransparentProxy
  const base = everyone?.TransparentProxy
  const exposes = own !== undefined && (own.Expose.Checks || (own.Expose.Paths ?? []).length > 0)
  const expose = exposes ? own.Expose : everyone?.Expose
  return {
    TransparentProxy: {
      OutboundListenerPort: tproxy?.OutboundListenerPort || base?.OutboundListenerPort || 0,
      DialedDirectly: tproxy?.DialedDirectly || base?.DialedDirectly || false,
    },
    ...(expose === undefined ? {} : { Expose: expose }),
    ...(everyone === undefined ? {} : { AccessLogs: everyone.AccessLogs }),
    ...(own?.Destination ? { Destination: own.Destination } : {}),
    ...(own?.RateLimits ? { RateLimits: own.RateLimits } : {}),
  }
}

/** What service-defaults say, under the names that a proxy's configuration has. */
function ownConfig(own: ServiceDefaults | undefined): Config {
  if (own === undefined) return {}
  return said({
    protocol: own.Protocol,
    max_inbound_connections: integer(own.MaxInboundConnections),
    local_connect_timeout_ms: integer(own.LocalConnectTimeoutMs),
    local_request_timeout_ms: integer(own.LocalRequestTimeoutMs),
    balance_inbound_connections: own.BalanceInboundConnections,
  })
}

/** Integers of typed fields stay integers on the wire. */
const integer = (value: number | null | undefined) => (value === null || value === undefined ? null : BigInt(value))

/** Without what is empty or zero. */
function said(config: Config): Config {
  const empty = (value: MsgpackValue) => value === null || value === '' || value === 0n
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !empty(value)))
}

/** Under this name stands what counts for upstreams that no one named. */
const ANY_UPSTREAM = '*'

function upstreamConfigs(
  source: EntrySource,
  question: ServiceConfigQuestion,
  base: ServiceConfigResponse,
  own: ServiceDefaults | undefined,
): OpaqueUpstreamConfig[] | null {
  const overrides = (own?.UpstreamConfig?.Overrides ?? []).filter((override) => override !== null)
  const defaults = own?.UpstreamConfig?.Defaults ?? undefined
  const transparent = question.mode === 'transparent' || base.Mode === 'transparent'
  const named = new Map<string, PeeredServiceName>()
  const ask = (service: string, peer: string) => {
    named.set(JSON.stringify([service, peer]), PeeredServiceName.of({ ServiceName: { Name: service }, Peer: peer }))
  }
  for (const { ServiceName, Peer } of question.upstreams) ask(ServiceName.Name, Peer)
  if (transparent) for (const { Name, Peer } of overrides) ask(Name, Peer)
  const wildcard = defaults === undefined ? {} : upstreamConfig(defaults)
  const configs = [...named.values()].flatMap((upstream) => {
    const override = overrides.find(({ Name, Peer }) => Name === upstream.ServiceName.Name && Peer === upstream.Peer)
    const Config = oneUpstream(source, question, base, upstream, wildcard, override)
    return Object.keys(Config).length === 0 ? [] : [OpaqueUpstreamConfig.of({ Upstream: upstream, Config })]
  })
  if (transparent && Object.keys(wildcard).length > 0) {
    const Upstream = PeeredServiceName.of({ ServiceName: { Name: ANY_UPSTREAM } })
    configs.push(OpaqueUpstreamConfig.of({ Upstream, Config: wildcard }))
  }
  return configs.length === 0 ? null : configs
}

function oneUpstream(
  source: EntrySource,
  question: ServiceConfigQuestion,
  base: ServiceConfigResponse,
  upstream: PeeredServiceName,
  wildcard: Config,
  override: UpstreamConfig | undefined,
): Config {
  const protocol = upstream.Peer === '' ? serviceProtocol(source, upstream.ServiceName.Name) : ''
  const mode = question.meshGatewayMode || base.MeshGateway.Mode
  return {
    ...(protocol === '' || protocol === 'tcp' ? {} : { protocol }),
    ...(mode === '' ? {} : { mesh_gateway: { Mode: mode } }),
    ...wildcard,
    ...(override === undefined ? {} : upstreamConfig(override)),
  }
}

function upstreamConfig(upstream: UpstreamConfig): Config {
  const limits = upstream.Limits
  const health = upstream.PassiveHealthCheck
  return said({
    envoy_listener_json: upstream.EnvoyListenerJSON,
    envoy_cluster_json: upstream.EnvoyClusterJSON,
    protocol: upstream.Protocol,
    connect_timeout_ms: integer(upstream.ConnectTimeoutMs),
    balance_outbound_connections: upstream.BalanceOutboundConnections,
    mesh_gateway: upstream.MeshGateway.Mode === '' ? null : { Mode: upstream.MeshGateway.Mode },
    limits:
      limits === null
        ? null
        : present({
            MaxConnections: integer(limits.MaxConnections),
            MaxPendingRequests: integer(limits.MaxPendingRequests),
            MaxConcurrentRequests: integer(limits.MaxConcurrentRequests),
          }),
    passive_health_check:
      health === null
        ? null
        : present({
            Interval: integer(health.Interval),
            MaxFailures: integer(health.MaxFailures),
            EnforcingConsecutive5xx: integer(health.EnforcingConsecutive5xx),
            MaxEjectionPercent: integer(health.MaxEjectionPercent),
            BaseEjectionTime: integer(health.BaseEjectionTime),
          }),
  })
}

/** A nil inside an opaque map is never sent. */
function present(config: Config): Config {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null))
}
