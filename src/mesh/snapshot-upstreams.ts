/**
 * What a sidecar asks about its upstreams: one chain for each, with what the registration and the defaults override.
 */
import type { CompiledDiscoveryChain, MsgpackValue, NodeService, ServiceConfigResponse } from '#codec'
import type { ChainRequest } from './chain-context.ts'
import type { UpstreamListener } from './proxy-snapshot.ts'
import { gatewayOf } from './snapshot-endpoints.ts'

type Config = Readonly<Record<string, MsgpackValue>>

export interface UpstreamQuestion {
  /** `web`, `web?dc=dc1`: the key of its chain. */
  readonly id: string
  readonly name: string
  /** Where its targets are, unless an entry says otherwise. */
  readonly datacenter: string
  readonly chain: ChainRequest
  readonly listener: UpstreamListener
  readonly config: Config
}

export interface UpstreamContext {
  readonly datacenter: string
  readonly trustDomain: string
  readonly proxy: NodeService
  /** What the defaults say, resolved for this proxy. */
  readonly defaults: ServiceConfigResponse
}

/** Where upstreams listen when the registration does not say: for the application alone. */
const BIND_ADDRESS_DEFAULT = '127.0.0.1'

/** The upstreams of a registration. Prepared queries and services of peers have no chain here and are left out. */
export function upstreamQuestions(context: UpstreamContext): UpstreamQuestion[] {
  const { proxy, datacenter } = context
  const upstreams = (proxy.Proxy.Upstreams ?? []).filter(
    ({ DestinationType, DestinationPeer }) => DestinationType !== 'prepared_query' && DestinationPeer === '',
  )
  return upstreams.map((upstream) => {
    const away = upstream.Datacenter !== '' && upstream.Datacenter !== datacenter
    const id = `${upstream.DestinationName}${away ? `?dc=${upstream.Datacenter}` : ''}`
    const Address = upstream.LocalBindAddress || BIND_ADDRESS_DEFAULT
    const config: Config = {
      ...centralConfig(context, upstream.DestinationName),
      ...upstream.Config,
    }
    return {
      id,
      name: upstream.DestinationName,
      datacenter: upstream.Datacenter || datacenter,
      chain: {
        service: upstream.DestinationName,
        datacenter: upstream.Datacenter || datacenter,
        trustDomain: context.trustDomain,
        overrideMeshGatewayMode:
          upstream.MeshGateway.Mode ||
          gatewayMode(config) ||
          proxy.Proxy.MeshGateway.Mode ||
          context.defaults.MeshGateway.Mode,
        overrideProtocol: textOf(config, 'protocol'),
        overrideConnectTimeoutNs: numberOf(config, 'connect_timeout_ms') * 1e6,
      },
      listener: {
        Name: upstream.LocalBindSocketPath
          ? `${id}:${upstream.LocalBindSocketPath}`
          : `${id}:${Address}:${upstream.LocalBindPort}`,
        Address,
        Port: upstream.LocalBindPort,
        SocketPath: upstream.LocalBindSocketPath,
        SocketMode: upstream.LocalBindSocketMode,
      },
      config,
    }
  })
}

function centralConfig({ defaults }: UpstreamContext, service: string): Config {
  const found = (name: string) =>
    defaults.UpstreamConfigs?.find(({ Upstream }) => Upstream.ServiceName.Name === name && Upstream.Peer === '')
  return (found(service) ?? found('*'))?.Config ?? {}
}

/** Text under a key of people's configuration; empty when there is none. */
export function textOf(config: Config, key: string): string {
  const value = config[key]
  return typeof value === 'string' ? value : ''
}

/** A number under a key of people's configuration; 0 when there is none. Text is read too. */
export function numberOf(config: Config, key: string): number {
  const value = config[key]
  const number = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? Number(value) : 0
  return Number.isFinite(number) ? number : 0
}

function gatewayMode(config: Config): string {
  const value = config['mesh_gateway']
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) return ''
  const mode = Object.entries(value).find(([key]) => key.toLowerCase() === 'mode')?.[1]
  return typeof mode === 'string' ? mode : ''
}

/** The datacenters whose gateways a proxy of `datacenter` needs for a chain. */
export function gatewayDatacenters(chain: CompiledDiscoveryChain, datacenter: string): string[] {
  const needed = new Set<string>()
  for (const target of Object.values(chain.Targets ?? {})) {
    if (target === null) continue
    const gateway = gatewayOf(target, datacenter)
    if (gateway === 'local') needed.add(datacenter)
    if (gateway === 'remote') needed.add(target.Datacenter)
  }
  return [...needed].sort()
}
