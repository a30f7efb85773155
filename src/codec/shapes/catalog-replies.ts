/**
 * Replies of the catalog, of health, and of dumps.
 */

import { int, jsonOmitEmpty, list, map, pointer, string, struct } from '../schema.ts'
import {
  CheckServiceNode,
  HealthCheck,
  Node,
  NodeService,
  NodeServiceList,
  NodeServices,
  ServiceNode,
} from './catalog.ts'
import { queryMeta, raftIndex } from './common.ts'

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
