/**
 * What the proxy of one service is told by all defaults together: question and answer of ConfigEntry.ResolveServiceConfig.
 */
import type { Kind } from '../kind.ts'
import { any, list, map, string, struct } from '../schema.ts'
import { queryMeta, queryOptions } from './common.ts'
import { rawBody } from './config-entries-body.ts'
import {
  AccessLogs,
  DestinationConfig,
  EnvoyExtension,
  ExposeSettings,
  MeshGatewayMode,
  RateLimits,
  TransparentProxySettings,
} from './config-entries-defaults.ts'

export const PeeredServiceName = struct('PeeredServiceName', {
  ServiceName: struct('ServiceName', { Name: string }),
  Peer: string,
})
export type PeeredServiceName = ReturnType<typeof PeeredServiceName.of>
export const ServiceConfigRequest = struct('ServiceConfigRequest', {
  Name: string,
  Datacenter: string,
  MeshGateway: MeshGatewayMode,
  Mode: string,
  UpstreamServiceNames: list(PeeredServiceName),
  ...queryOptions,
})
export type ServiceConfigRequest = ReturnType<typeof ServiceConfigRequest.of>
export const OpaqueUpstreamConfig = struct('OpaqueUpstreamConfig', { Upstream: PeeredServiceName, Config: map(any) })
export type OpaqueUpstreamConfig = ReturnType<typeof OpaqueUpstreamConfig.of>

const resolved = struct('ServiceConfigResponse', {
  ProxyConfig: map(any),
  UpstreamConfigs: list(OpaqueUpstreamConfig),
  MeshGateway: MeshGatewayMode,
  Expose: ExposeSettings,
  TransparentProxy: TransparentProxySettings,
  MutualTLSMode: string,
  Mode: string,
  Destination: DestinationConfig,
  AccessLogs: AccessLogs,
  RateLimits: RateLimits,
  Meta: map(string),
  EnvoyExtensions: list(EnvoyExtension),
  ...queryMeta,
})
export type ServiceConfigResponse = ReturnType<typeof resolved.of>
/** ConfigEntry.ResolveServiceConfig: the plain map, in a raw string. */
export const ServiceConfigResponse: Kind<ServiceConfigResponse> & { of: typeof resolved.of } = {
  ...rawBody('ServiceConfigResponse', resolved.zero, resolved.write, resolved.read),
  of: resolved.of,
}
