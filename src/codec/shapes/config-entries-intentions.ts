/**
 * Who may call whom: the config entry service-intentions, and intentions one by one, as the API shows them.
 */
import {
  bool,
  bytes,
  int,
  jsonOmitEmpty,
  list as plainList,
  map as plainMap,
  pointer,
  string,
  struct,
  time,
  uint,
  wireOmitEmpty,
} from '../schema.ts'
import { queryMeta, queryOptions } from './common.ts'
import { entryTail } from './config-entries-defaults.ts'
import { constant, list, map, moment, omit, record, text, truth, whole } from './config-entries-kinds.ts'

const JwtClaim = record('IntentionJWTClaimVerification', { Path: omit(list(text)), Value: omit(text) })
export const JwtRequirement = record('IntentionJWTRequirement', {
  Providers: omit(
    list(pointer(record('IntentionJWTProvider', { Name: omit(text), VerifyClaims: omit(list(pointer(JwtClaim))) }))),
  ),
})
export type JwtRequirement = ReturnType<typeof JwtRequirement.of>
const HeaderPermission = record('IntentionHTTPHeaderPermission', {
  Name: text,
  Present: omit(truth),
  Exact: omit(text),
  Prefix: omit(text),
  Suffix: omit(text),
  Contains: omit(text),
  Regex: omit(text),
  Invert: omit(truth),
  IgnoreCase: omit(truth),
})
export const HttpPermission = record('IntentionHTTPPermission', {
  PathExact: omit(text),
  PathPrefix: omit(text),
  PathRegex: omit(text),
  Header: omit(list(HeaderPermission)),
  Methods: omit(list(text)),
})
export type HttpPermission = ReturnType<typeof HttpPermission.of>
export const IntentionPermission = record('IntentionPermission', {
  Action: text,
  HTTP: omit(pointer(HttpPermission)),
  JWT: omit(pointer(JwtRequirement)),
})
export type IntentionPermission = ReturnType<typeof IntentionPermission.of>

export const SourceIntention = record('SourceIntention', {
  Name: text,
  Action: omit(text),
  Permissions: omit(list(pointer(IntentionPermission))),
  Precedence: whole,
  LegacyID: omit(text),
  Type: text,
  Description: omit(text),
  LegacyMeta: omit(map(text)),
  LegacyCreateTime: omit(pointer(moment)),
  LegacyUpdateTime: omit(pointer(moment)),
  Peer: omit(text),
  SamenessGroup: omit(text),
})
export type SourceIntention = ReturnType<typeof SourceIntention.of>

export const ServiceIntentions = record('ServiceIntentionsConfigEntry', {
  Kind: constant('service-intentions'),
  Name: text,
  Sources: list(pointer(SourceIntention)),
  JWT: omit(pointer(JwtRequirement)),
  ...entryTail,
})
export type ServiceIntentions = ReturnType<typeof ServiceIntentions.of>

/** One source and one destination. */
export const Intention = struct('Intention', {
  CreatedAt: jsonOmitEmpty(time),
  UpdatedAt: jsonOmitEmpty(time),
  ID: jsonOmitEmpty(string),
  Description: jsonOmitEmpty(string),
  SourcePeer: jsonOmitEmpty(string),
  SourceSamenessGroup: jsonOmitEmpty(string),
  SourcePartition: jsonOmitEmpty(string),
  SourceNS: string,
  SourceName: string,
  DestinationPartition: jsonOmitEmpty(string),
  DestinationNS: string,
  DestinationName: string,
  SourceType: string,
  Action: jsonOmitEmpty(string),
  Permissions: jsonOmitEmpty(plainList(pointer(IntentionPermission))),
  JWT: jsonOmitEmpty(pointer(JwtRequirement)),
  DefaultAddr: wireOmitEmpty(jsonOmitEmpty(string)),
  DefaultPort: wireOmitEmpty(jsonOmitEmpty(int)),
  Meta: jsonOmitEmpty(plainMap(string)),
  Precedence: int,
  Hash: jsonOmitEmpty(bytes),
  CreateIndex: uint,
  ModifyIndex: uint,
})
export type Intention = ReturnType<typeof Intention.of>

const IntentionServiceName = struct('ServiceName', { Name: string })
/** A change of one source of an entry. */
export const IntentionMutation = struct('IntentionMutation', {
  ID: string,
  Destination: IntentionServiceName,
  Source: IntentionServiceName,
  Value: pointer(SourceIntention),
})
export const IntentionRequest = struct('IntentionRequest', {
  Datacenter: string,
  Op: string,
  Intention: pointer(Intention),
  Mutation: pointer(IntentionMutation),
  Token: string,
})
export type IntentionRequest = ReturnType<typeof IntentionRequest.of>

export const IntentionListRequest = struct('IntentionListRequest', {
  Datacenter: string,
  Legacy: bool,
  ...queryOptions,
})
export type IntentionListRequest = ReturnType<typeof IntentionListRequest.of>
const IntentionQueryMatch = struct('IntentionQueryMatch', {
  Type: string,
  Entries: plainList(struct('IntentionMatchEntry', { Partition: string, Namespace: string, Name: string })),
  WithSamenessGroups: bool,
})
const IntentionQueryCheck = struct('IntentionQueryCheck', {
  SourceNS: string,
  SourceName: string,
  DestinationNS: string,
  DestinationName: string,
  SourcePartition: string,
  DestinationPartition: string,
  SourceType: string,
})
const IntentionQueryExact = struct('IntentionQueryExact', {
  SourceNS: string,
  SourceName: string,
  DestinationNS: string,
  DestinationName: string,
  SourcePeer: string,
  SourcePartition: string,
  DestinationPartition: string,
  SourceSamenessGroup: string,
})
export const IntentionQueryRequest = struct('IntentionQueryRequest', {
  Datacenter: string,
  IntentionID: string,
  Match: pointer(IntentionQueryMatch),
  Check: pointer(IntentionQueryCheck),
  Exact: pointer(IntentionQueryExact),
  ...queryOptions,
})
export type IntentionQueryRequest = ReturnType<typeof IntentionQueryRequest.of>

export const IndexedIntentions = struct('IndexedIntentions', {
  Intentions: plainList(pointer(Intention)),
  DataOrigin: string,
  ...queryMeta,
})
export type IndexedIntentions = ReturnType<typeof IndexedIntentions.of>
export const IndexedIntentionMatches = struct('IndexedIntentionMatches', {
  Matches: plainList(plainList(pointer(Intention))),
  ...queryMeta,
})
export type IndexedIntentionMatches = ReturnType<typeof IndexedIntentionMatches.of>
export const IntentionCheckResponse = struct('IntentionQueryCheckResponse', { Allowed: bool })
export type IntentionCheckResponse = ReturnType<typeof IntentionCheckResponse.of>
