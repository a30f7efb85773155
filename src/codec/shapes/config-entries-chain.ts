/**
 * The compiled discovery chain: a graph of nodes from a service's name to targets, as it travels and as JSON shows it.
 */
import { bool, jsonOmitEmpty, list, map, pointer, string, struct } from '../schema.ts'
import { Locality } from './catalog.ts'
import { durationNs, queryMeta, queryOptions } from './common.ts'
import { EnvoyExtension, FailoverPolicy, MeshGatewayMode, TransparentProxySettings } from './config-entries-defaults.ts'
import { duration, durationNumber, float32, record, text } from './config-entries-kinds.ts'
import { LoadBalancer, ResolverSubset, ServiceRoute, ServiceSplit } from './config-entries-routing.ts'

export const DiscoveryTarget = struct('DiscoveryTarget', {
  ConnectTimeout: duration,
  ID: string,
  Service: jsonOmitEmpty(string),
  ServiceSubset: jsonOmitEmpty(string),
  Namespace: jsonOmitEmpty(string),
  Partition: jsonOmitEmpty(string),
  Datacenter: jsonOmitEmpty(string),
  Peer: jsonOmitEmpty(string),
  Locality: jsonOmitEmpty(pointer(Locality)),
  MeshGateway: MeshGatewayMode,
  Subset: ResolverSubset,
  TransparentProxy: TransparentProxySettings,
  External: jsonOmitEmpty(bool),
  SNI: jsonOmitEmpty(string),
  Name: jsonOmitEmpty(string),
  PrioritizeByLocality: jsonOmitEmpty(
    pointer(struct('DiscoveryPrioritizeByLocality', { Mode: jsonOmitEmpty(string) })),
  ),
})
export type DiscoveryTarget = ReturnType<typeof DiscoveryTarget.of>

export const DiscoveryFailover = struct('DiscoveryFailover', {
  Targets: list(string),
  Policy: jsonOmitEmpty(pointer(FailoverPolicy)),
  Regions: jsonOmitEmpty(list(string)),
})
export const DiscoveryResolver = struct('DiscoveryResolver', {
  ConnectTimeout: duration,
  Default: jsonOmitEmpty(bool),
  RequestTimeout: jsonOmitEmpty(durationNumber),
  Target: string,
  Failover: jsonOmitEmpty(pointer(DiscoveryFailover)),
})
export type DiscoveryResolver = ReturnType<typeof DiscoveryResolver.of>
export const DiscoveryRoute = struct('DiscoveryRoute', {
  Definition: jsonOmitEmpty(pointer(ServiceRoute)),
  NextNode: jsonOmitEmpty(string),
})
export type DiscoveryRoute = ReturnType<typeof DiscoveryRoute.of>
export const DiscoverySplit = struct('DiscoverySplit', {
  Definition: jsonOmitEmpty(pointer(ServiceSplit)),
  Weight: jsonOmitEmpty(float32),
  NextNode: jsonOmitEmpty(string),
})
export type DiscoverySplit = ReturnType<typeof DiscoverySplit.of>
export const DiscoveryGraphNode = struct('DiscoveryGraphNode', {
  Type: string,
  Name: string,
  Routes: jsonOmitEmpty(list(pointer(DiscoveryRoute))),
  Splits: jsonOmitEmpty(list(pointer(DiscoverySplit))),
  Resolver: jsonOmitEmpty(pointer(DiscoveryResolver)),
  LoadBalancer: jsonOmitEmpty(pointer(LoadBalancer)),
})
export type DiscoveryGraphNode = ReturnType<typeof DiscoveryGraphNode.of>

export const CompiledDiscoveryChain = struct('CompiledDiscoveryChain', {
  ServiceName: string,
  Namespace: string,
  Partition: string,
  Datacenter: string,
  CustomizationHash: jsonOmitEmpty(string),
  Default: jsonOmitEmpty(bool),
  Protocol: string,
  ServiceMeta: jsonOmitEmpty(map(string)),
  EnvoyExtensions: jsonOmitEmpty(list(EnvoyExtension)),
  StartNode: jsonOmitEmpty(string),
  Nodes: jsonOmitEmpty(map(pointer(DiscoveryGraphNode))),
  Targets: jsonOmitEmpty(map(pointer(DiscoveryTarget))),
  AutoVirtualIPs: list(string),
  ManualVirtualIPs: list(string),
})
export type CompiledDiscoveryChain = ReturnType<typeof CompiledDiscoveryChain.of>

/** What a caller may override, as the body of a question says it. */
export const ChainOverrides = record('CompileDiscoveryChainOptions', {
  OverrideMeshGateway: MeshGatewayMode,
  OverrideProtocol: text,
  OverrideConnectTimeout: duration,
})
export type ChainOverrides = ReturnType<typeof ChainOverrides.of>

export const DiscoveryChainRequest = struct('DiscoveryChainRequest', {
  Name: string,
  EvaluateInDatacenter: string,
  EvaluateInNamespace: string,
  EvaluateInPartition: string,
  OverrideMeshGateway: MeshGatewayMode,
  OverrideProtocol: string,
  OverrideConnectTimeout: durationNs,
  Datacenter: string,
  ...queryOptions,
})
export type DiscoveryChainRequest = ReturnType<typeof DiscoveryChainRequest.of>
export const DiscoveryChainResponse = struct('DiscoveryChainResponse', {
  Chain: pointer(CompiledDiscoveryChain),
  ...queryMeta,
})
export type DiscoveryChainResponse = ReturnType<typeof DiscoveryChainResponse.of>
