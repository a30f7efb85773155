/**
 * `merge-central-config`: a proxy's registration with what config entries say about it filled in, as the proxy itself
 * will run. What was registered stands above what is said centrally.
 */
import { type ConnectProxyConfig, MeshGatewayMode, type NodeService, PeeredServiceName } from '#codec'
import { resolveServiceConfig } from '#mesh'
import type { ReadTx } from '#state'
import { entrySource } from './entry-source.ts'

type Central = ReturnType<typeof resolveServiceConfig>
type Upstream = NonNullable<ConnectProxyConfig['Upstreams']>[number]

const PROXY_KINDS: ReadonlySet<string> = new Set([
  'connect-proxy',
  'mesh-gateway',
  'terminating-gateway',
  'ingress-gateway',
  'api-gateway',
])
const ANY_UPSTREAM = '*'

/** The service as it is, unless it is a proxy. */
export function withCentralConfig(tx: ReadTx, service: NodeService): NodeService {
  if (!PROXY_KINDS.has(service.Kind)) return service
  const { Proxy: proxy } = service
  const central = resolveServiceConfig(entrySource(tx), {
    service: service.Kind === 'connect-proxy' ? proxy.DestinationServiceName : service.Service,
    mode: proxy.Mode,
    meshGatewayMode: proxy.MeshGateway.Mode,
    upstreams: (proxy.Upstreams ?? [])
      .filter(isService)
      .map(({ DestinationName, DestinationPeer }) =>
        PeeredServiceName.of({ ServiceName: { Name: DestinationName }, Peer: DestinationPeer }),
      ),
  })
  return { ...service, Proxy: merged(proxy, central) }
}

const isService = ({ DestinationType }: Upstream): boolean => DestinationType === '' || DestinationType === 'service'

function merged(own: ConnectProxyConfig, central: Central): ConnectProxyConfig {
  const exposes = own.Expose.Checks || (own.Expose.Paths?.length ?? 0) > 0
  const config = { ...central.ProxyConfig, ...own.Config }
  return {
    ...own,
    Config: Object.keys(config).length === 0 ? null : config,
    Mode: own.Mode || central.Mode,
    MutualTLSMode: own.MutualTLSMode || central.MutualTLSMode,
    MeshGateway: own.MeshGateway.Mode === '' ? central.MeshGateway : own.MeshGateway,
    Expose: exposes ? own.Expose : central.Expose,
    TransparentProxy: {
      OutboundListenerPort: own.TransparentProxy.OutboundListenerPort || central.TransparentProxy.OutboundListenerPort,
      DialedDirectly: own.TransparentProxy.DialedDirectly || central.TransparentProxy.DialedDirectly,
    },
    AccessLogs: central.AccessLogs,
    Upstreams: own.Upstreams?.map((upstream) => withUpstreamConfig(upstream, central)) ?? null,
  }
}

/** What is said about this upstream, below what its registration says. */
function withUpstreamConfig(upstream: Upstream, central: Central): Upstream {
  const said = central.UpstreamConfigs?.find(
    ({ Upstream: { ServiceName, Peer } }) =>
      ServiceName.Name === upstream.DestinationName &&
      ServiceName.Name !== ANY_UPSTREAM &&
      Peer === upstream.DestinationPeer,
  )
  if (said === undefined || !isService(upstream)) return upstream
  const { mesh_gateway: gateway, ...rest } = said.Config ?? {}
  const Config = { ...rest, ...upstream.Config }
  return {
    ...upstream,
    Config: Object.keys(Config).length === 0 ? null : Config,
    MeshGateway: upstream.MeshGateway.Mode === '' ? modeIn(gateway) : upstream.MeshGateway,
  }
}

function modeIn(gateway: unknown): Upstream['MeshGateway'] {
  const mode = typeof gateway === 'object' && gateway !== null && 'Mode' in gateway ? gateway.Mode : ''
  return MeshGatewayMode.of({ Mode: typeof mode === 'string' ? mode : '' })
}
