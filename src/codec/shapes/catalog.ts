/**
 * What the catalog holds: nodes, services with their proxies, checks, and instances of services.
 */

import {
  any,
  bool,
  int,
  jsonOmitEmpty,
  type Kind,
  list,
  map,
  pointer,
  string,
  struct,
  wireOnly,
  withJson,
} from '../schema.ts'
import { HealthCheckDefinition } from './check-definition.ts'
import { raftIndex } from './common.ts'

export const Locality = struct('Locality', { Region: string, Zone: string })

export const Node = struct('Node', {
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  Partition: jsonOmitEmpty(string),
  PeerName: jsonOmitEmpty(string),
  TaggedAddresses: map(string),
  Meta: map(string),
  Locality: jsonOmitEmpty(pointer(Locality)),
  ...raftIndex,
})
export type Node = ReturnType<typeof Node.of>

export const ServiceAddress = struct('ServiceAddress', { Address: string, Port: int })
export type ServiceAddress = ReturnType<typeof ServiceAddress.of>
export const Weights = struct('Weights', { Passing: int, Warning: int })
export type Weights = ReturnType<typeof Weights.of>

export const MeshGatewayConfig = struct('MeshGatewayConfig', { Mode: jsonOmitEmpty(string) })
export const ExposePath = struct('ExposePath', {
  ListenerPort: jsonOmitEmpty(int),
  Path: jsonOmitEmpty(string),
  LocalPathPort: jsonOmitEmpty(int),
  Protocol: jsonOmitEmpty(string),
  ParsedFromCheck: jsonOmitEmpty(bool),
})
export const ExposeConfig = struct('ExposeConfig', {
  Checks: jsonOmitEmpty(bool),
  Paths: jsonOmitEmpty(list(ExposePath)),
})
export const TransparentProxyConfig = struct('TransparentProxyConfig', {
  OutboundListenerPort: jsonOmitEmpty(int),
  DialedDirectly: jsonOmitEmpty(bool),
})
export const AccessLogsConfig = struct('AccessLogsConfig', {
  Enabled: jsonOmitEmpty(bool),
  DisableListenerLogs: jsonOmitEmpty(bool),
  Type: jsonOmitEmpty(string),
  Path: jsonOmitEmpty(string),
  JSONFormat: jsonOmitEmpty(string),
  TextFormat: jsonOmitEmpty(string),
})
export const Upstream = struct('Upstream', {
  DestinationType: string,
  DestinationNamespace: jsonOmitEmpty(string),
  DestinationPartition: jsonOmitEmpty(string),
  DestinationPeer: jsonOmitEmpty(string),
  DestinationName: string,
  Datacenter: string,
  LocalBindAddress: jsonOmitEmpty(string),
  LocalBindPort: jsonOmitEmpty(int),
  LocalBindSocketPath: jsonOmitEmpty(string),
  LocalBindSocketMode: jsonOmitEmpty(string),
  Config: jsonOmitEmpty(map(any)),
  MeshGateway: MeshGatewayConfig,
  IngressHosts: wireOnly(list(string)),
  CentrallyConfigured: wireOnly(bool),
})
export const ConnectProxyConfig = struct('ConnectProxyConfig', {
  EnvoyExtensions: jsonOmitEmpty(list(any)),
  DestinationServiceName: jsonOmitEmpty(string),
  DestinationServiceID: jsonOmitEmpty(string),
  LocalServiceAddress: jsonOmitEmpty(string),
  LocalServicePort: jsonOmitEmpty(int),
  LocalServiceSocketPath: jsonOmitEmpty(string),
  Mode: string,
  Config: jsonOmitEmpty(map(any)),
  Upstreams: jsonOmitEmpty(list(Upstream)),
  MeshGateway: MeshGatewayConfig,
  Expose: ExposeConfig,
  TransparentProxy: jsonOmitEmpty(TransparentProxyConfig),
  MutualTLSMode: jsonOmitEmpty(string),
  AccessLogs: jsonOmitEmpty(AccessLogsConfig),
})
export type ConnectProxyConfig = ReturnType<typeof ConnectProxyConfig.of>
export const ServiceConnect = struct('ServiceConnect', {
  Native: jsonOmitEmpty(bool),
  SidecarService: jsonOmitEmpty(pointer(any)),
  PeerMeta: jsonOmitEmpty(pointer(any)),
})
export type ServiceConnect = ReturnType<typeof ServiceConnect.of>

export const NodeService = struct('NodeService', {
  Kind: jsonOmitEmpty(string),
  ID: string,
  Service: string,
  Tags: list(string),
  Address: string,
  TaggedAddresses: jsonOmitEmpty(map(ServiceAddress)),
  Meta: map(string),
  Port: jsonOmitEmpty(int),
  SocketPath: jsonOmitEmpty(string),
  Weights: pointer(Weights),
  EnableTagOverride: bool,
  LocallyRegisteredAsSidecar: wireOnly(bool),
  Proxy: ConnectProxyConfig,
  Connect: ServiceConnect,
  Locality: jsonOmitEmpty(pointer(Locality)),
  PeerName: string,
  ...raftIndex,
})
export type NodeService = ReturnType<typeof NodeService.of>

/** What some checks are about: a list that JSON shows as [] when it is nil. */
const emptyListInJson: Kind<readonly string[] | null> = withJson(list(string), {
  toJson: (value) => value ?? [],
  fromJson: list(string).fromJson,
})

export const HealthCheck = struct('HealthCheck', {
  Node: string,
  CheckID: string,
  Name: string,
  Status: string,
  Notes: string,
  Output: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: emptyListInJson,
  Type: string,
  Interval: string,
  Timeout: string,
  ExposedPort: int,
  PeerName: jsonOmitEmpty(string),
  Definition: HealthCheckDefinition,
  ...raftIndex,
})
export type HealthCheck = ReturnType<typeof HealthCheck.of>

export const CheckServiceNode = struct('CheckServiceNode', {
  Node: pointer(Node),
  Service: pointer(NodeService),
  Checks: list(HealthCheck),
})
export type CheckServiceNode = ReturnType<typeof CheckServiceNode.of>

/** One instance as /v1/catalog/service shows it: node and service flattened. */
export const ServiceNode = struct('ServiceNode', {
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  TaggedAddresses: map(string),
  NodeMeta: map(string),
  ServiceKind: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: emptyListInJson,
  ServiceAddress: string,
  ServiceTaggedAddresses: jsonOmitEmpty(map(ServiceAddress)),
  ServiceWeights: Weights,
  ServiceMeta: map(string),
  ServicePort: int,
  ServiceSocketPath: string,
  ServiceEnableTagOverride: bool,
  ServiceProxy: ConnectProxyConfig,
  ServiceConnect: ServiceConnect,
  ServiceLocality: pointer(Locality),
  PeerName: jsonOmitEmpty(string),
  ...raftIndex,
})
export type ServiceNode = ReturnType<typeof ServiceNode.of>

export const NodeServices = struct('NodeServices', { Node: pointer(Node), Services: map(NodeService) })
export type NodeServices = ReturnType<typeof NodeServices.of>
export const NodeServiceList = struct('NodeServiceList', { Node: pointer(Node), Services: list(NodeService) })
export type NodeServiceList = ReturnType<typeof NodeServiceList.of>
