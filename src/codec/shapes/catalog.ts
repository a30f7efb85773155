/**
 * Nodes, services, checks, and the catalog's and health's requests and replies.
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
import { QuerySource, queryMeta, queryOptions, raftIndex } from './common.ts'

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
  Port: int,
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

export const NodeSpecificRequest = struct('NodeSpecificRequest', {
  Datacenter: string,
  Node: string,
  PeerName: string,
  MergeCentralConfig: bool,
  ...queryOptions,
})
export type NodeSpecificRequest = ReturnType<typeof NodeSpecificRequest.of>

export const ServiceSpecificRequest = struct('ServiceSpecificRequest', {
  Datacenter: string,
  NodeMetaFilters: map(string),
  ServiceName: string,
  PeerName: string,
  SamenessGroup: string,
  ServiceKind: string,
  ServiceTag: string,
  ServiceTags: list(string),
  ServiceAddress: string,
  TagFilter: bool,
  HealthFilterType: int,
  Source: QuerySource,
  Connect: bool,
  Ingress: bool,
  MergeCentralConfig: bool,
  ...queryOptions,
})
export type ServiceSpecificRequest = ReturnType<typeof ServiceSpecificRequest.of>

export const ChecksInStateRequest = struct('ChecksInStateRequest', {
  Datacenter: string,
  NodeMetaFilters: map(string),
  State: string,
  PeerName: string,
  Source: QuerySource,
  ...queryOptions,
})
export type ChecksInStateRequest = ReturnType<typeof ChecksInStateRequest.of>

export const ServiceDumpRequest = struct('ServiceDumpRequest', {
  Datacenter: string,
  ServiceKind: string,
  UseServiceKind: bool,
  NodesOnly: bool,
  Source: QuerySource,
  PeerName: string,
  ...queryOptions,
})
export type ServiceDumpRequest = ReturnType<typeof ServiceDumpRequest.of>

export const RegisterRequest = struct('RegisterRequest', {
  Datacenter: string,
  ID: string,
  Node: string,
  Address: string,
  TaggedAddresses: map(string),
  NodeMeta: map(string),
  Service: pointer(NodeService),
  Check: pointer(HealthCheck),
  Checks: list(HealthCheck),
  Locality: pointer(Locality),
  SkipNodeUpdate: bool,
  PeerName: string,
  Token: wireOnly(string),
  ...raftIndex,
})
export type RegisterRequest = ReturnType<typeof RegisterRequest.of>

export const DeregisterRequest = struct('DeregisterRequest', {
  Datacenter: string,
  Node: string,
  ServiceID: string,
  CheckID: string,
  PeerName: string,
  Token: wireOnly(string),
})
export type DeregisterRequest = ReturnType<typeof DeregisterRequest.of>

export const DatacentersRequest = struct('DatacentersRequest', { ...queryOptions })
export type DatacentersRequest = ReturnType<typeof DatacentersRequest.of>

export const IndexedNodes = struct('IndexedNodes', { Nodes: list(Node), ...queryMeta })
export type IndexedNodes = ReturnType<typeof IndexedNodes.of>
export const IndexedServices = struct('IndexedServices', { Services: map(list(string)), ...queryMeta })
export type IndexedServices = ReturnType<typeof IndexedServices.of>
export const ServiceName = struct('ServiceName', { Name: string })
export const IndexedServiceList = struct('IndexedServiceList', { Services: list(ServiceName), ...queryMeta })
export type IndexedServiceList = ReturnType<typeof IndexedServiceList.of>
export const IndexedServiceNodes = struct('IndexedServiceNodes', { ServiceNodes: list(ServiceNode), ...queryMeta })
export type IndexedServiceNodes = ReturnType<typeof IndexedServiceNodes.of>
export const IndexedNodeServices = struct('IndexedNodeServices', { NodeServices: pointer(NodeServices), ...queryMeta })
export type IndexedNodeServices = ReturnType<typeof IndexedNodeServices.of>
export const IndexedNodeServiceList = struct('IndexedNodeServiceList', { NodeServices: NodeServiceList, ...queryMeta })
export type IndexedNodeServiceList = ReturnType<typeof IndexedNodeServiceList.of>
export const IndexedHealthChecks = struct('IndexedHealthChecks', { HealthChecks: list(HealthCheck), ...queryMeta })
export type IndexedHealthChecks = ReturnType<typeof IndexedHealthChecks.of>
export const IndexedCheckServiceNodes = struct('IndexedCheckServiceNodes', {
  Nodes: list(CheckServiceNode),
  ...queryMeta,
})
export type IndexedCheckServiceNodes = ReturnType<typeof IndexedCheckServiceNodes.of>

/** A link from a gateway to a service; empty until gateways other than mesh gateways are served. */
export const GatewayService = struct('GatewayService', {
  Gateway: ServiceName,
  Service: ServiceName,
  GatewayKind: string,
  ...raftIndex,
})
export const IndexedNodesWithGateways = struct('IndexedNodesWithGateways', {
  Nodes: list(CheckServiceNode),
  ImportedNodes: list(CheckServiceNode),
  Gateways: list(GatewayService),
  ...queryMeta,
})
export type IndexedNodesWithGateways = ReturnType<typeof IndexedNodesWithGateways.of>
export const IndexedGatewayServices = struct('IndexedGatewayServices', { Services: list(GatewayService), ...queryMeta })
export type IndexedGatewayServices = ReturnType<typeof IndexedGatewayServices.of>

/** A node with all that runs on it, for the UI and for dumps. */
export const NodeInfo = struct('NodeInfo', {
  ID: string,
  Node: string,
  Partition: jsonOmitEmpty(string),
  PeerName: jsonOmitEmpty(string),
  Address: string,
  TaggedAddresses: map(string),
  Meta: map(string),
  Services: list(NodeService),
  Checks: list(HealthCheck),
})
export type NodeInfo = ReturnType<typeof NodeInfo.of>
export const IndexedNodeDump = struct('IndexedNodeDump', {
  Dump: list(NodeInfo),
  ImportedDump: list(NodeInfo),
  ...queryMeta,
})
export type IndexedNodeDump = ReturnType<typeof IndexedNodeDump.of>

/** How many of something are healthy; `Name` is empty where all nodes are meant. */
export const HealthSummary = struct('HealthSummary', {
  Name: jsonOmitEmpty(string),
  Total: int,
  Passing: int,
  Warning: int,
  Critical: int,
})
export type HealthSummary = ReturnType<typeof HealthSummary.of>

/** The health of the whole catalog in numbers. */
export const CatalogSummary = struct('CatalogSummary', {
  Nodes: list(HealthSummary),
  Services: list(HealthSummary),
  Checks: list(HealthSummary),
})
export type CatalogSummary = ReturnType<typeof CatalogSummary.of>
