/**
 * What `?filter=` may name: the fields of each record that a list can be narrowed by.
 *
 * Written down, not derived from the schemas: what may be filtered by is a promise to users, as Consul's API pages list
 * it, and a field that travels is not thereby promised.
 */
import type { FilterFields } from '#codec'

const meshGateway: FilterFields = { Mode: 'string' }
const serviceAddresses: FilterFields = { '*': { Address: 'string', Port: 'number' } }
const weights: FilterFields = { Passing: 'number', Warning: 'number' }

const upstream: FilterFields = {
  Datacenter: 'string',
  DestinationName: 'string',
  DestinationNamespace: 'string',
  DestinationPartition: 'string',
  DestinationPeer: 'string',
  DestinationType: 'string',
  LocalBindAddress: 'string',
  LocalBindPort: 'number',
  LocalBindSocketMode: 'string',
  LocalBindSocketPath: 'string',
  MeshGateway: meshGateway,
}

const proxy: FilterFields = {
  DestinationServiceID: 'string',
  DestinationServiceName: 'string',
  LocalServiceAddress: 'string',
  LocalServicePort: 'number',
  LocalServiceSocketPath: 'string',
  MeshGateway: meshGateway,
  Mode: 'string',
  TransparentProxy: { DialedDirectly: 'bool', OutboundListenerPort: 'number' },
  Upstreams: [upstream],
}

export const nodeFields: FilterFields = {
  Address: 'string',
  Datacenter: 'string',
  ID: 'string',
  Meta: 'map',
  Node: 'string',
  Partition: 'string',
  PeerName: 'string',
  TaggedAddresses: 'map',
}

export const nodeServiceFields: FilterFields = {
  Address: 'string',
  Connect: { Native: 'bool' },
  EnableTagOverride: 'bool',
  ID: 'string',
  Kind: 'string',
  Meta: 'map',
  PeerName: 'string',
  Port: 'number',
  Proxy: proxy,
  Service: 'string',
  SocketPath: 'string',
  TaggedAddresses: serviceAddresses,
  Tags: 'list',
  Weights: weights,
}

export const healthCheckFields: FilterFields = {
  CheckID: 'string',
  ExposedPort: 'number',
  Interval: 'string',
  Name: 'string',
  Node: 'string',
  Notes: 'string',
  Output: 'string',
  PeerName: 'string',
  ServiceID: 'string',
  ServiceName: 'string',
  ServiceTags: 'list',
  Status: 'string',
  Timeout: 'string',
  Type: 'string',
}

export const checkServiceNodeFields: FilterFields = {
  Checks: [healthCheckFields],
  Node: nodeFields,
  Service: nodeServiceFields,
}

export const serviceNodeFields: FilterFields = {
  Address: 'string',
  Datacenter: 'string',
  ID: 'string',
  Node: 'string',
  NodeMeta: 'map',
  PeerName: 'string',
  ServiceAddress: 'string',
  ServiceConnect: { Native: 'bool' },
  ServiceEnableTagOverride: 'bool',
  ServiceID: 'string',
  ServiceKind: 'string',
  ServiceMeta: 'map',
  ServiceName: 'string',
  ServicePort: 'number',
  ServiceProxy: proxy,
  ServiceSocketPath: 'string',
  ServiceTaggedAddresses: serviceAddresses,
  ServiceTags: 'list',
  ServiceWeights: weights,
  TaggedAddresses: 'map',
}

export const nodeInfoFields: FilterFields = {
  Address: 'string',
  Checks: [healthCheckFields],
  ID: 'string',
  Meta: 'map',
  Node: 'string',
  Partition: 'string',
  PeerName: 'string',
  Services: [nodeServiceFields],
  TaggedAddresses: 'map',
}

/** What entries of all kinds have. */
export const configEntryFields: FilterFields = {
  CreateIndex: 'number',
  Kind: 'string',
  Meta: 'map',
  ModifyIndex: 'number',
  Name: 'string',
}

export const intentionFields: FilterFields = {
  Action: 'string',
  CreateIndex: 'number',
  Description: 'string',
  DestinationNS: 'string',
  DestinationName: 'string',
  DestinationPartition: 'string',
  ID: 'string',
  Meta: 'map',
  ModifyIndex: 'number',
  Precedence: 'number',
  SourceNS: 'string',
  SourceName: 'string',
  SourcePartition: 'string',
  SourcePeer: 'string',
  SourceType: 'string',
}
