/**
 * Defaults of the mesh: proxy-defaults, service-defaults, mesh.
 *
 * Fields in the order in which Consul's JSON shows them.
 */
import { jsonOnly, pointer, wireOnly } from '../schema.ts'
import {
  constant,
  duration,
  list,
  map,
  natural,
  natural64,
  omit,
  opaque,
  record,
  text,
  truth,
  whole,
} from './config-entries-kinds.ts'

/** What every entry ends with. */
export const entryTail = {
  Meta: omit(map(text)),
  Hash: omit(natural64),
  CreateIndex: natural,
  ModifyIndex: natural,
}

export const MeshGatewayMode = record('MeshGatewayConfig', { Mode: omit(text) })
const ExposePaths = record('ExposePath', {
  ListenerPort: omit(whole),
  Path: omit(text),
  LocalPathPort: omit(whole),
  Protocol: omit(text),
  ParsedFromCheck: omit(truth),
})
export const ExposeSettings = record('ExposeConfig', { Checks: omit(truth), Paths: omit(list(ExposePaths)) })
export const TransparentProxySettings = record('TransparentProxyConfig', {
  OutboundListenerPort: omit(whole),
  DialedDirectly: omit(truth),
})
export const AccessLogs = record('AccessLogsConfig', {
  Enabled: omit(truth),
  DisableListenerLogs: omit(truth),
  Type: omit(text),
  Path: omit(text),
  JSONFormat: omit(text),
  TextFormat: omit(text),
})
export const EnvoyExtension = record('EnvoyExtension', {
  Name: text,
  Required: truth,
  Arguments: opaque,
  ConsulVersion: text,
  EnvoyVersion: text,
})
export type EnvoyExtension = ReturnType<typeof EnvoyExtension.of>
export const FailoverPolicy = record('ServiceResolverFailoverPolicy', {
  Mode: omit(text),
  Regions: omit(list(text)),
})
export const PrioritizeByLocality = record('ServiceResolverPrioritizeByLocality', { Mode: omit(text) })

export const ProxyDefaults = record('ProxyConfigEntry', {
  Kind: constant('proxy-defaults'),
  Name: text,
  Config: omit(opaque),
  /** What `Config.protocol` says: told to readers of the wire, not asked from people. */
  Protocol: wireOnly(text),
  Mode: omit(text),
  TransparentProxy: TransparentProxySettings,
  MutualTLSMode: omit(text),
  MeshGateway: MeshGatewayMode,
  Expose: ExposeSettings,
  AccessLogs: AccessLogs,
  EnvoyExtensions: omit(list(EnvoyExtension)),
  FailoverPolicy: omit(pointer(FailoverPolicy)),
  PrioritizeByLocality: omit(pointer(PrioritizeByLocality)),
  ...entryTail,
})
export type ProxyDefaults = ReturnType<typeof ProxyDefaults.of>

export const UpstreamLimits = record('UpstreamLimits', {
  MaxConnections: omit(pointer(whole)),
  MaxPendingRequests: omit(pointer(whole)),
  MaxConcurrentRequests: omit(pointer(whole)),
})
export const PassiveHealthCheck = record('PassiveHealthCheck', {
  Interval: duration,
  BaseEjectionTime: omit(pointer(duration)),
  MaxFailures: omit(natural),
  EnforcingConsecutive5xx: omit(pointer(natural)),
  MaxEjectionPercent: omit(pointer(natural)),
})
export const UpstreamConfig = record('UpstreamConfig', {
  Name: omit(text),
  Peer: omit(text),
  EnvoyListenerJSON: omit(text),
  EnvoyClusterJSON: omit(text),
  Protocol: omit(text),
  ConnectTimeoutMs: omit(whole),
  Limits: omit(pointer(UpstreamLimits)),
  PassiveHealthCheck: omit(pointer(PassiveHealthCheck)),
  MeshGateway: MeshGatewayMode,
  BalanceOutboundConnections: omit(text),
})
export type UpstreamConfig = ReturnType<typeof UpstreamConfig.of>
const UpstreamConfiguration = record('UpstreamConfiguration', {
  Overrides: omit(list(UpstreamConfig)),
  Defaults: omit(pointer(UpstreamConfig)),
})
export const DestinationConfig = record('DestinationConfig', { Addresses: omit(list(text)), Port: omit(whole) })
const RouteRateLimits = record('InstanceLevelRouteRateLimits', {
  PathExact: omit(text),
  PathPrefix: omit(text),
  PathRegex: omit(text),
  RequestsPerSecond: omit(whole),
  RequestsMaxBurst: omit(whole),
})
export const RateLimits = record('RateLimits', {
  InstanceLevel: record('InstanceLevelRateLimits', {
    RequestsPerSecond: omit(whole),
    RequestsMaxBurst: omit(whole),
    Routes: omit(list(RouteRateLimits)),
  }),
})

export const ServiceDefaults = record('ServiceConfigEntry', {
  Kind: constant('service-defaults'),
  Name: text,
  Protocol: omit(text),
  Mode: omit(text),
  TransparentProxy: TransparentProxySettings,
  MutualTLSMode: omit(text),
  MeshGateway: MeshGatewayMode,
  Expose: ExposeSettings,
  ExternalSNI: omit(text),
  UpstreamConfig: omit(pointer(UpstreamConfiguration)),
  Destination: omit(pointer(DestinationConfig)),
  MaxInboundConnections: omit(whole),
  LocalConnectTimeoutMs: omit(whole),
  LocalRequestTimeoutMs: omit(whole),
  BalanceInboundConnections: omit(text),
  RateLimits: omit(pointer(RateLimits)),
  EnvoyExtensions: omit(list(EnvoyExtension)),
  ...entryTail,
})
export type ServiceDefaults = ReturnType<typeof ServiceDefaults.of>

const DirectionalTls = record('MeshDirectionalTLSConfig', {
  TLSMinVersion: omit(text),
  TLSMaxVersion: omit(text),
  CipherSuites: omit(list(text)),
})
const RequestNormalization = record('RequestNormalizationMeshConfig', {
  InsecureDisablePathNormalization: truth,
  MergeSlashes: truth,
  PathWithEscapedSlashesAction: text,
  HeadersWithUnderscoresAction: text,
})

/** There is one per datacenter, and it has no name on the wire; its kind is in JSON only. */
export const Mesh = record('MeshConfigEntry', {
  Kind: jsonOnly(constant('mesh')),
  TransparentProxy: record('TransparentProxyMeshConfig', { MeshDestinationsOnly: truth }),
  AllowEnablingPermissiveMutualTLS: omit(truth),
  TLS: omit(
    pointer(
      record('MeshTLSConfig', { Incoming: omit(pointer(DirectionalTls)), Outgoing: omit(pointer(DirectionalTls)) }),
    ),
  ),
  HTTP: omit(
    pointer(
      record('MeshHTTPConfig', {
        SanitizeXForwardedClientCert: truth,
        Incoming: omit(
          pointer(record('MeshDirectionalHTTPConfig', { RequestNormalization: omit(pointer(RequestNormalization)) })),
        ),
      }),
    ),
  ),
  Peering: omit(pointer(record('PeeringMeshConfig', { PeerThroughMeshGateways: truth }))),
  ValidateClusters: omit(truth),
  ...entryTail,
})
export type Mesh = ReturnType<typeof Mesh.of>
