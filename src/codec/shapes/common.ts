/**
 * Fields that most requests and replies share: query options, write options, the facts about an answer.
 *
 * Source: RPC wire notes §6.
 */
import { bool, int, type Kind, map, string, struct, uint, wireOnly } from '../schema.ts'

/** Nanoseconds on the wire. */
export const durationNs: Kind<number> = { ...int, kindName: 'duration' }

/** Who asks, for sorting by distance. */
export const QuerySource = struct('QuerySource', {
  Datacenter: string,
  Segment: string,
  Node: string,
  NodePartition: string,
  Ip: string,
  DisableNode: bool,
})
export type QuerySource = ReturnType<typeof QuerySource.of>

/** How a read may be answered; flattened into each request. */
export const queryOptions = {
  Token: string,
  MinQueryIndex: uint,
  MaxQueryTime: durationNs,
  AllowStale: bool,
  RequireConsistent: bool,
  UseCache: bool,
  MaxStaleDuration: durationNs,
  MaxAge: durationNs,
  MustRevalidate: bool,
  StaleIfError: durationNs,
  Filter: string,
  AllowNotModifiedResponse: bool,
}

/** Facts about an answer; flattened into each reply, headers in HTTP. */
export const queryMeta = {
  Index: wireOnly(uint),
  LastContact: wireOnly(durationNs),
  KnownLeader: wireOnly(bool),
  ConsistencyLevel: wireOnly(string),
  NotModified: wireOnly(bool),
  Backend: wireOnly(int),
  ResultsFilteredByACLs: wireOnly(bool),
}

export const QueryOptions = struct('QueryOptions', queryOptions)
export type QueryOptions = ReturnType<typeof QueryOptions.of>
export const QueryMeta = struct('QueryMeta', queryMeta)
export type QueryMeta = ReturnType<typeof QueryMeta.of>

export const raftIndex = { CreateIndex: uint, ModifyIndex: uint }

export const DCSpecificRequest = struct('DCSpecificRequest', {
  Datacenter: string,
  NodeMetaFilters: map(string),
  PeerName: string,
  Source: QuerySource,
  ...queryOptions,
})
export type DCSpecificRequest = ReturnType<typeof DCSpecificRequest.of>

/** A request that says nothing but how it may be answered. */
export const EmptyReadRequest = struct('EmptyReadRequest', { Datacenter: string, ...queryOptions })
export type EmptyReadRequest = ReturnType<typeof EmptyReadRequest.of>

/** `{}`: replies that say only that it worked. */
export const Empty = struct('Empty', {})
export type Empty = ReturnType<typeof Empty.of>
