/**
 * Requests to the catalog and to health.
 */

import { bool, int, list, map, pointer, string, struct, wireOnly } from '../schema.ts'
import { HealthCheck, Locality, NodeService } from './catalog.ts'
import { QuerySource, queryOptions, raftIndex } from './common.ts'

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
