/**
 * Objects of the access control lists: tokens, policies, roles, auth methods, binding rules, and how they link.
 *
 * A token's and a role's links say an ID on the wire and both ID and name in answers; identities are links to policies
 * that exist only while they are evaluated.
 *
 * Source: RPC wire notes §10 "ACL"; JSON as recorded.
 */
import { formatDuration, parseDuration } from '#base'
import { goJsonError } from '../go-json-errors.ts'
import {
  any,
  bool,
  bytes,
  jsonName,
  jsonOmitEmpty,
  type Kind,
  list,
  map,
  pointer,
  string,
  struct,
  time,
  uint,
  withJson,
} from '../schema.ts'
import { durationNs, raftIndex } from './common.ts'

/**
 * Nanoseconds, also beyond 2^53 (104 days), rounded there; "1h30m" in JSON, where a bare number is nanoseconds too.
 * Refused in Go's words, as recorded.
 */
const ttlNs: Kind<number> = {
  ...durationNs,
  write: (writer, value) => writer.int(Number.isSafeInteger(value) ? value : BigInt(Math.trunc(value))),
  read: (reader) => (reader.nil() ? 0 : Number(reader.integer())),
}
const ttl: Kind<number> = withJson(ttlNs, {
  toJson: formatDuration,
  fromJson: (json, path) => {
    if (json === null) return 0
    if (typeof json === 'number') return Math.trunc(json)
    const ns = typeof json === 'string' ? (json === '' ? 0 : parseDuration(json)) : undefined
    if (ns !== undefined) return ns
    const problem =
      typeof json === 'string' ? `time: invalid duration ${JSON.stringify(json)}` : `${path} must be a duration`
    throw goJsonError('JSON_DECODE', { problem })
  },
})

/** A link by ID, by name, or both; answers carry both. */
export const ACLLink = struct('ACLLink', { ID: jsonOmitEmpty(string), Name: jsonOmitEmpty(string) })
export type ACLLink = ReturnType<typeof ACLLink.of>

/** The right to register a service and its sidecar; everywhere, or in the named datacenters. */
export const ACLServiceIdentity = struct('ACLServiceIdentity', {
  ServiceName: string,
  Datacenters: jsonOmitEmpty(list(string)),
})
export type ACLServiceIdentity = ReturnType<typeof ACLServiceIdentity.of>

/** The right to be a node of one datacenter. */
export const ACLNodeIdentity = struct('ACLNodeIdentity', { NodeName: string, Datacenter: string })
export type ACLNodeIdentity = ReturnType<typeof ACLNodeIdentity.of>

export const ACLTemplatedPolicyVariables = struct('ACLTemplatedPolicyVariables', {
  Name: jsonName('name', jsonOmitEmpty(string)),
})
export type ACLTemplatedPolicyVariables = ReturnType<typeof ACLTemplatedPolicyVariables.of>

/** A builtin template with its variables. */
export const ACLTemplatedPolicy = struct('ACLTemplatedPolicy', {
  TemplateID: jsonOmitEmpty(string),
  TemplateName: jsonOmitEmpty(string),
  TemplateVariables: jsonOmitEmpty(pointer(ACLTemplatedPolicyVariables)),
  Datacenters: jsonOmitEmpty(list(string)),
})
export type ACLTemplatedPolicy = ReturnType<typeof ACLTemplatedPolicy.of>

/** What both tokens and roles can be linked to. */
const identityLinks = {
  ServiceIdentities: jsonOmitEmpty(list(ACLServiceIdentity)),
  NodeIdentities: jsonOmitEmpty(list(ACLNodeIdentity)),
  TemplatedPolicies: jsonOmitEmpty(list(ACLTemplatedPolicy)),
}

const tokenFields = {
  AccessorID: string,
  SecretID: string,
  Description: string,
  Policies: jsonOmitEmpty(list(ACLLink)),
  Roles: jsonOmitEmpty(list(ACLLink)),
  ...identityLinks,
  Local: bool,
  AuthMethod: jsonOmitEmpty(string),
  ExpirationTime: jsonOmitEmpty(pointer(time)),
}

/** `ExpirationTTL` is only asked for: a stored token has `ExpirationTime`. */
export const aclTokenFields = {
  ...tokenFields,
  ExpirationTTL: jsonOmitEmpty(ttl),
  CreateTime: time,
  Hash: bytes,
  ...raftIndex,
}
export const ACLToken = struct('ACLToken', aclTokenFields)
export type ACLToken = ReturnType<typeof ACLToken.of>

export const ACLTokenListStub = struct('ACLTokenListStub', {
  ...tokenFields,
  CreateTime: time,
  Hash: bytes,
  ...raftIndex,
})
export type ACLTokenListStub = ReturnType<typeof ACLTokenListStub.of>

/** `Datacenters`: where the policy is in force; none means everywhere. */
export const ACLPolicy = struct('ACLPolicy', {
  ID: string,
  Name: string,
  Description: string,
  Rules: string,
  Datacenters: jsonOmitEmpty(list(string)),
  Hash: bytes,
  ...raftIndex,
})
export type ACLPolicy = ReturnType<typeof ACLPolicy.of>

export const ACLPolicyListStub = struct('ACLPolicyListStub', {
  ID: string,
  Name: string,
  Description: string,
  Datacenters: list(string),
  Hash: bytes,
  ...raftIndex,
})
export type ACLPolicyListStub = ReturnType<typeof ACLPolicyListStub.of>

export const ACLRole = struct('ACLRole', {
  ID: string,
  Name: string,
  Description: string,
  Policies: jsonOmitEmpty(list(ACLLink)),
  ...identityLinks,
  Hash: bytes,
  ...raftIndex,
})
export type ACLRole = ReturnType<typeof ACLRole.of>

const authMethodFields = {
  Name: string,
  Type: string,
  DisplayName: jsonOmitEmpty(string),
  Description: string,
  MaxTokenTTL: jsonOmitEmpty(ttl),
  /** `local` (also empty) or `global`. */
  TokenLocality: jsonOmitEmpty(string),
}

export const ACLAuthMethod = struct('ACLAuthMethod', { ...authMethodFields, Config: map(any), ...raftIndex })
export type ACLAuthMethod = ReturnType<typeof ACLAuthMethod.of>
export const ACLAuthMethodListStub = struct('ACLAuthMethodListStub', { ...authMethodFields, ...raftIndex })
export type ACLAuthMethodListStub = ReturnType<typeof ACLAuthMethodListStub.of>

/** `BindType`: service, node, role, policy or templated-policy. */
export const ACLBindingRule = struct('ACLBindingRule', {
  ID: string,
  Description: string,
  AuthMethod: string,
  Selector: string,
  BindType: string,
  BindName: string,
  BindVars: jsonOmitEmpty(pointer(ACLTemplatedPolicyVariables)),
  ...raftIndex,
})
export type ACLBindingRule = ReturnType<typeof ACLBindingRule.of>

/** How far a secondary's copies are; `ReplicationType`: tokens or policies. */
export const ACLReplicationStatus = struct('ACLReplicationStatus', {
  Enabled: bool,
  Running: bool,
  SourceDatacenter: string,
  ReplicationType: string,
  ReplicatedIndex: uint,
  ReplicatedRoleIndex: uint,
  ReplicatedTokenIndex: uint,
  LastSuccess: time,
  LastError: time,
  LastErrorMessage: string,
})
export type ACLReplicationStatus = ReturnType<typeof ACLReplicationStatus.of>
