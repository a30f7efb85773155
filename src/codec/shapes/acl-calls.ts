/**
 * Requests and replies of the ACL operations.
 *
 * Source: RPC wire notes §10 "ACL"; JSON as recorded.
 */
import { bool, jsonOmitEmpty, list, map, pointer, string, struct } from '../schema.ts'
import {
  ACLAuthMethod,
  ACLAuthMethodListStub,
  ACLBindingRule,
  ACLPolicy,
  ACLPolicyListStub,
  ACLRole,
  ACLToken,
  ACLTokenListStub,
  aclTokenFields,
} from './acl.ts'
import { queryMeta, queryOptions } from './common.ts'

const read = { Datacenter: string, ...queryOptions }
const write = { Datacenter: string, Token: string }

/** `Create`: the accessor in it is a wish, not the token to change. */
export const ACLTokenSetRequest = struct('ACLTokenSetRequest', { ...write, ACLToken, Create: bool })
export type ACLTokenSetRequest = ReturnType<typeof ACLTokenSetRequest.of>
/** `TokenIDType`: accessor or secret. */
export const ACLTokenGetRequest = struct('ACLTokenGetRequest', {
  ...read,
  TokenID: string,
  TokenIDType: string,
  Expanded: bool,
})
export type ACLTokenGetRequest = ReturnType<typeof ACLTokenGetRequest.of>
export const ACLTokenDeleteRequest = struct('ACLTokenDeleteRequest', { ...write, TokenID: string })
export type ACLTokenDeleteRequest = ReturnType<typeof ACLTokenDeleteRequest.of>
export const ACLTokenListRequest = struct('ACLTokenListRequest', {
  ...read,
  IncludeLocal: bool,
  IncludeGlobal: bool,
  Policy: string,
  Role: string,
  AuthMethod: string,
  ServiceName: string,
})
export type ACLTokenListRequest = ReturnType<typeof ACLTokenListRequest.of>
export const ACLTokenBatchGetRequest = struct('ACLTokenBatchGetRequest', { ...read, AccessorIDs: list(string) })
export type ACLTokenBatchGetRequest = ReturnType<typeof ACLTokenBatchGetRequest.of>

export const ACLTokenListResponse = struct('ACLTokenListResponse', { Tokens: list(ACLTokenListStub), ...queryMeta })
export type ACLTokenListResponse = ReturnType<typeof ACLTokenListResponse.of>
/** `Redacted`: a secret was hidden from this caller. */
export const ACLTokenBatchResponse = struct('ACLTokenBatchResponse', {
  Tokens: list(ACLToken),
  Redacted: bool,
  Removed: bool,
  ...queryMeta,
})
export type ACLTokenBatchResponse = ReturnType<typeof ACLTokenBatchResponse.of>

const expansion = {
  ExpandedPolicies: list(ACLPolicy),
  ExpandedRoles: list(ACLRole),
  NamespaceDefaultPolicyIDs: list(string),
  NamespaceDefaultRoleIDs: list(string),
  AgentACLDefaultPolicy: string,
  AgentACLDownPolicy: string,
  ResolvedByAgent: string,
}
export const ACLTokenResponse = struct('ACLTokenResponse', {
  Token: pointer(ACLToken),
  Redacted: bool,
  SourceDatacenter: string,
  ...expansion,
  ...queryMeta,
})
export type ACLTokenResponse = ReturnType<typeof ACLTokenResponse.of>
/** JSON of `?expanded`: the token's own fields, then what they come to. */
export const ACLTokenExpanded = struct('ACLTokenExpanded', { ...aclTokenFields, ...expansion })
/** JSON of the bootstrap's answer: `ID` is the secret once more, for clients of the first ACL system. */
export const ACLBootstrapToken = struct('ACLBootstrapToken', { ID: string, ...aclTokenFields })

export const ACLPolicySetRequest = struct('ACLPolicySetRequest', { ...write, Policy: ACLPolicy })
export type ACLPolicySetRequest = ReturnType<typeof ACLPolicySetRequest.of>
export const ACLPolicyGetRequest = struct('ACLPolicyGetRequest', { ...read, PolicyID: string, PolicyName: string })
export type ACLPolicyGetRequest = ReturnType<typeof ACLPolicyGetRequest.of>
export const ACLPolicyDeleteRequest = struct('ACLPolicyDeleteRequest', { ...write, PolicyID: string })
export type ACLPolicyDeleteRequest = ReturnType<typeof ACLPolicyDeleteRequest.of>
export const ACLPolicyListRequest = struct('ACLPolicyListRequest', read)
export type ACLPolicyListRequest = ReturnType<typeof ACLPolicyListRequest.of>
export const ACLPolicyBatchGetRequest = struct('ACLPolicyBatchGetRequest', { ...read, PolicyIDs: list(string) })
export type ACLPolicyBatchGetRequest = ReturnType<typeof ACLPolicyBatchGetRequest.of>
export const ACLPolicyResponse = struct('ACLPolicyResponse', { Policy: pointer(ACLPolicy), ...queryMeta })
export type ACLPolicyResponse = ReturnType<typeof ACLPolicyResponse.of>
export const ACLPolicyListResponse = struct('ACLPolicyListResponse', {
  Policies: list(ACLPolicyListStub),
  ...queryMeta,
})
export type ACLPolicyListResponse = ReturnType<typeof ACLPolicyListResponse.of>
export const ACLPolicyBatchResponse = struct('ACLPolicyBatchResponse', { Policies: list(ACLPolicy), ...queryMeta })
export type ACLPolicyBatchResponse = ReturnType<typeof ACLPolicyBatchResponse.of>

export const ACLRoleSetRequest = struct('ACLRoleSetRequest', { ...write, Role: ACLRole })
export type ACLRoleSetRequest = ReturnType<typeof ACLRoleSetRequest.of>
export const ACLRoleGetRequest = struct('ACLRoleGetRequest', { ...read, RoleID: string, RoleName: string })
export type ACLRoleGetRequest = ReturnType<typeof ACLRoleGetRequest.of>
export const ACLRoleDeleteRequest = struct('ACLRoleDeleteRequest', { ...write, RoleID: string })
export type ACLRoleDeleteRequest = ReturnType<typeof ACLRoleDeleteRequest.of>
export const ACLRoleListRequest = struct('ACLRoleListRequest', { ...read, Policy: string })
export type ACLRoleListRequest = ReturnType<typeof ACLRoleListRequest.of>
export const ACLRoleBatchGetRequest = struct('ACLRoleBatchGetRequest', { ...read, RoleIDs: list(string) })
export type ACLRoleBatchGetRequest = ReturnType<typeof ACLRoleBatchGetRequest.of>
export const ACLRoleResponse = struct('ACLRoleResponse', { Role: pointer(ACLRole), ...queryMeta })
export type ACLRoleResponse = ReturnType<typeof ACLRoleResponse.of>
/** Of RoleList, RoleBatchRead and RoleResolve: roles are always sent whole. */
export const ACLRoleListResponse = struct('ACLRoleListResponse', { Roles: list(ACLRole), ...queryMeta })
export type ACLRoleListResponse = ReturnType<typeof ACLRoleListResponse.of>

export const ACLAuthMethodSetRequest = struct('ACLAuthMethodSetRequest', { ...write, AuthMethod: ACLAuthMethod })
export type ACLAuthMethodSetRequest = ReturnType<typeof ACLAuthMethodSetRequest.of>
export const ACLAuthMethodGetRequest = struct('ACLAuthMethodGetRequest', { ...read, AuthMethodName: string })
export type ACLAuthMethodGetRequest = ReturnType<typeof ACLAuthMethodGetRequest.of>
export const ACLAuthMethodDeleteRequest = struct('ACLAuthMethodDeleteRequest', { ...write, AuthMethodName: string })
export type ACLAuthMethodDeleteRequest = ReturnType<typeof ACLAuthMethodDeleteRequest.of>
export const ACLAuthMethodListRequest = struct('ACLAuthMethodListRequest', read)
export type ACLAuthMethodListRequest = ReturnType<typeof ACLAuthMethodListRequest.of>
export const ACLAuthMethodResponse = struct('ACLAuthMethodResponse', {
  AuthMethod: pointer(ACLAuthMethod),
  ...queryMeta,
})
export type ACLAuthMethodResponse = ReturnType<typeof ACLAuthMethodResponse.of>
export const ACLAuthMethodListResponse = struct('ACLAuthMethodListResponse', {
  AuthMethods: list(ACLAuthMethodListStub),
  ...queryMeta,
})
export type ACLAuthMethodListResponse = ReturnType<typeof ACLAuthMethodListResponse.of>

export const ACLBindingRuleSetRequest = struct('ACLBindingRuleSetRequest', { ...write, BindingRule: ACLBindingRule })
export type ACLBindingRuleSetRequest = ReturnType<typeof ACLBindingRuleSetRequest.of>
export const ACLBindingRuleGetRequest = struct('ACLBindingRuleGetRequest', { ...read, BindingRuleID: string })
export type ACLBindingRuleGetRequest = ReturnType<typeof ACLBindingRuleGetRequest.of>
export const ACLBindingRuleDeleteRequest = struct('ACLBindingRuleDeleteRequest', { ...write, BindingRuleID: string })
export type ACLBindingRuleDeleteRequest = ReturnType<typeof ACLBindingRuleDeleteRequest.of>
export const ACLBindingRuleListRequest = struct('ACLBindingRuleListRequest', { ...read, AuthMethod: string })
export type ACLBindingRuleListRequest = ReturnType<typeof ACLBindingRuleListRequest.of>
export const ACLBindingRuleResponse = struct('ACLBindingRuleResponse', {
  BindingRule: pointer(ACLBindingRule),
  ...queryMeta,
})
export type ACLBindingRuleResponse = ReturnType<typeof ACLBindingRuleResponse.of>
export const ACLBindingRuleListResponse = struct('ACLBindingRuleListResponse', {
  BindingRules: list(ACLBindingRule),
  ...queryMeta,
})
export type ACLBindingRuleListResponse = ReturnType<typeof ACLBindingRuleListResponse.of>

/** `BearerToken`: what the outside identity provider gave, such as a Kubernetes service account's JWT. */
export const ACLLoginParams = struct('ACLLoginParams', { AuthMethod: string, BearerToken: string, Meta: map(string) })
export type ACLLoginParams = ReturnType<typeof ACLLoginParams.of>
export const ACLLoginRequest = struct('ACLLoginRequest', { ...write, Auth: pointer(ACLLoginParams) })
export type ACLLoginRequest = ReturnType<typeof ACLLoginRequest.of>
export const ACLLogoutRequest = struct('ACLLogoutRequest', write)
export type ACLLogoutRequest = ReturnType<typeof ACLLogoutRequest.of>

/** `BootstrapSecret`: the wished SecretID; empty makes one. */
export const ACLInitialTokenBootstrapRequest = struct('ACLInitialTokenBootstrapRequest', {
  ...read,
  BootstrapSecret: string,
})
export type ACLInitialTokenBootstrapRequest = ReturnType<typeof ACLInitialTokenBootstrapRequest.of>

const authorization = { Resource: string, Segment: jsonOmitEmpty(string), Access: string }
export const ACLAuthorizationRequest = struct('ACLAuthorizationRequest', authorization)
export type ACLAuthorizationRequest = ReturnType<typeof ACLAuthorizationRequest.of>
export const ACLAuthorizationResponse = struct('ACLAuthorizationResponse', { ...authorization, Allow: bool })
export type ACLAuthorizationResponse = ReturnType<typeof ACLAuthorizationResponse.of>
export const RemoteACLAuthorizationRequest = struct('RemoteACLAuthorizationRequest', {
  ...read,
  Requests: list(ACLAuthorizationRequest),
})
export type RemoteACLAuthorizationRequest = ReturnType<typeof RemoteACLAuthorizationRequest.of>
