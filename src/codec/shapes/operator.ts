/**
 * Keyring operations and user events as they travel between datacenters.
 */
import { bool, bytes, int, jsonOmitEmpty, list, map, string, struct, uint } from '../schema.ts'
import { queryMeta, queryOptions } from './common.ts'

/** `Operation`: list, install, use, remove. `Forwarded`: do it in this datacenter only. */
export const KeyringRequest = struct('KeyringRequest', {
  Operation: string,
  Key: string,
  Datacenter: string,
  Forwarded: bool,
  RelayFactor: uint,
  LocalOnly: bool,
  ...queryOptions,
})
export type KeyringRequest = ReturnType<typeof KeyringRequest.of>

export const KeyringResponse = struct('KeyringResponse', {
  WAN: bool,
  Datacenter: string,
  Segment: string,
  Partition: jsonOmitEmpty(string),
  Messages: jsonOmitEmpty(map(string)),
  Keys: map(int),
  PrimaryKeys: map(int),
  NumNodes: int,
  Error: jsonOmitEmpty(string),
})
export type KeyringResponse = ReturnType<typeof KeyringResponse.of>
export const KeyringResponses = struct('KeyringResponses', { Responses: list(KeyringResponse), ...queryMeta })
export type KeyringResponses = ReturnType<typeof KeyringResponses.of>

export const EventFireRequest = struct('EventFireRequest', {
  Datacenter: string,
  Name: string,
  Payload: bytes,
  ...queryOptions,
})
export type EventFireRequest = ReturnType<typeof EventFireRequest.of>

/** In front of a snapshot stream. `Op`: SNAPSHOT_OP. */
export const SnapshotRequest = struct('SnapshotRequest', {
  AllowStale: bool,
  Datacenter: string,
  Op: int,
  Token: string,
})
export type SnapshotRequest = ReturnType<typeof SnapshotRequest.of>

export const SNAPSHOT_OP = { save: 0, restore: 1 } as const

export const SnapshotResponse = struct('SnapshotResponse', { Error: string, ...queryMeta })
export type SnapshotResponse = ReturnType<typeof SnapshotResponse.of>
