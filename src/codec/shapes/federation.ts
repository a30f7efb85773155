/**
 * Federation states: which mesh gateways each datacenter has.
 *
 * Source: federation wire notes §5.
 */
import { list, map, pointer, string, struct, time, uint } from '../schema.ts'
import { CheckServiceNode } from './catalog.ts'
import { queryMeta, queryOptions, raftIndex } from './common.ts'

export const FederationState = struct('FederationState', {
  Datacenter: string,
  MeshGateways: list(CheckServiceNode),
  UpdatedAt: time,
  PrimaryModifyIndex: uint,
  ...raftIndex,
})
export type FederationState = ReturnType<typeof FederationState.of>

/** `Op`: upsert or delete. */
export const FederationStateRequest = struct('FederationStateRequest', {
  Datacenter: string,
  Op: string,
  State: pointer(FederationState),
  Token: string,
})
export type FederationStateRequest = ReturnType<typeof FederationStateRequest.of>

export const FederationStateQuery = struct('FederationStateQuery', {
  Datacenter: string,
  TargetDatacenter: string,
  ...queryOptions,
})
export type FederationStateQuery = ReturnType<typeof FederationStateQuery.of>

export const FederationStateResponse = struct('FederationStateResponse', {
  State: pointer(FederationState),
  ...queryMeta,
})
export type FederationStateResponse = ReturnType<typeof FederationStateResponse.of>
export const IndexedFederationStates = struct('IndexedFederationStates', {
  States: list(FederationState),
  ...queryMeta,
})
export type IndexedFederationStates = ReturnType<typeof IndexedFederationStates.of>
export const DatacenterIndexedCheckServiceNodes = struct('DatacenterIndexedCheckServiceNodes', {
  DatacenterNodes: map(list(CheckServiceNode)),
  ...queryMeta,
})
export type DatacenterIndexedCheckServiceNodes = ReturnType<typeof DatacenterIndexedCheckServiceNodes.of>
