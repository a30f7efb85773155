/**
 * Refusals of the access control lists. Texts that Consul's clients match on stay as they are, byte for byte.
 *
 * No message carries a secret: tokens are named by their accessor, bearer tokens not at all.
 */
import { errorTable } from '#base'
import { ANONYMOUS_ACCESSOR } from './builtin-ids.ts'

const text = (facts: { text: string }) => facts.text

function lacks(facts: { accessor: string; permission: string; resource: string }): string {
  const on = facts.resource === '' ? '' : ` on "${facts.resource}"`
  return facts.accessor === ANONYMOUS_ACCESSOR
    ? `Permission denied: anonymous token lacks permission '${facts.permission}'${on}. The anonymous token is used implicitly when a request does not specify a token.`
    : `Permission denied: token with AccessorID '${facts.accessor}' lacks permission '${facts.permission}'${on}`
}

export const aclError = errorTable({
  PERMISSION_DENIED: {
    status: 403,
    message: lacks,
    hint: ({ permission }: { accessor: string; permission: string; resource: string }) =>
      `give the token a policy that grants ${permission}: \`hanse acl token update -append-policy-name …\``,
  },
  PERMISSION_REFUSED: {
    status: 403,
    message: ({ reason }: { reason: string }) => (reason === '' ? 'Permission denied' : `Permission denied: ${reason}`),
  },
  ACL_NOT_FOUND: {
    status: 403,
    message: ({ subject }: { subject: string }) => (subject === '' ? 'ACL not found' : `${subject}: ACL not found`),
    hint: () => 'the token was deleted, has expired, or has not been replicated to this datacenter',
  },
  ACL_REQUESTED_NOT_FOUND: {
    status: 404,
    message: ({ kind }: { kind: string }) => `Requested ${kind} does not exist: ACL not found`,
  },
  ACL_DELETE_NOT_FOUND: { status: 404, message: ({ kind }: { kind: string }) => `Cannot find ${kind} to delete` },
  ACL_UPDATE_NOT_FOUND: {
    status: 500,
    message: ({ kind, id }: { kind: string; id: string }) => `cannot find ${kind} ${id}`,
  },
  AUTH_METHOD_NOT_FOUND: {
    status: 403,
    message: ({ name }: { name: string }) => `ACL not found: auth method "${name}" not found`,
  },
  ACL_DISABLED: { status: 401, message: () => 'ACL support disabled' },
  BOOTSTRAP_NOT_PRIMARY: {
    status: 500,
    message: (_: { primaryDatacenter: string }) => 'ACL support disabled',
    hint: ({ primaryDatacenter }: { primaryDatacenter: string }) =>
      `ACLs are bootstrapped in the primary datacenter "${primaryDatacenter}"`,
  },
  BOOTSTRAP_DONE: {
    status: 403,
    message: ({ resetIndex }: { resetIndex: number }) => `ACL bootstrap no longer allowed (reset index: ${resetIndex})`,
    hint: () => 'write the reset index into the file acl-bootstrap-reset in the data directory and try again',
  },
  BOOTSTRAP_SECRET_INVALID: { status: 500, message: text },
  LOGOUT_UNKNOWN_TOKEN: { status: 401, message: () => 'Supplied token does not exist' },
  LOOKUP_ID_INVALID: {
    status: 500,
    message: ({ kind }: { kind: string }) => `failed acl ${kind} lookup: index error: UUID must be 36 characters`,
  },
  RULES_SYNTAX: {
    status: 500,
    message: (facts: { line: number; column: number; problem: string }) =>
      `Failed to parse ACL rules: At ${facts.line}:${facts.column}: ${facts.problem}`,
  },
  RULES_INVALID: { status: 500, message: text },
  RULES_TOO_LARGE: {
    status: 413,
    message: ({ size, limit }: { size: number; limit: number }) =>
      `Failed to parse ACL rules: ${size} characters, the limit is ${limit}`,
  },
  RESOURCE_UNKNOWN: {
    status: 400,
    message: ({ resource }: { resource: string }) => `Invalid ACL resource requested: "${resource}"`,
  },
  ACCESS_UNKNOWN: {
    status: 400,
    message: ({ resource, access }: { resource: string; access: string }) =>
      `Invalid access level for ACL resource "${resource}": "${access}"`,
  },
  TOKEN_INVALID: { status: 500, message: ({ problem }: { problem: string }) => `Invalid Token: ${problem}` },
  TOKEN_EXPIRATION_INVALID: { status: 500, message: text },
  TOKEN_CHANGE_REFUSED: { status: 500, message: text },
  LOCAL_TOKENS_DISABLED: {
    status: 500,
    message: () => 'Local tokens are disabled',
    hint: () => 'set acl.enable_token_replication and the replication token in this secondary datacenter',
  },
  POLICY_INVALID: { status: 500, message: ({ problem }: { problem: string }) => `Invalid Policy: ${problem}` },
  ROLE_INVALID: { status: 500, message: ({ problem }: { problem: string }) => `Invalid Role: ${problem}` },
  LINK_UNKNOWN: { status: 500, message: text },
  IDENTITY_INVALID: { status: 500, message: text },
  TEMPLATED_POLICY_UNKNOWN: { status: 400, message: text },
  TEMPLATED_POLICY_INVALID: {
    status: 400,
    message: ({ name, problem }: { name: string; problem: string }) =>
      `validation error for templated policy: "${name}": ${problem}`,
  },
  CREATE_WITH_ID: {
    status: 400,
    message: ({ kind }: { kind: string }) => `Cannot specify the ID when creating a new ${kind}`,
  },
  BUILTIN_IMMUTABLE: { status: 500, message: text },
  AUTH_METHOD_INVALID: {
    status: 500,
    message: ({ problem }: { problem: string }) => `Invalid Auth Method: ${problem}`,
  },
  BINDING_RULE_INVALID: {
    status: 500,
    message: ({ problem }: { problem: string }) => `Invalid Binding Rule: ${problem}`,
  },
  BINDING_RULE_NO_METHOD: {
    status: 500,
    message: ({ name }: { name: string }) => `cannot find auth method with name "${name}"`,
  },
  BIND_NAME_INVALID: {
    status: 500,
    message: ({ bindType, name }: { bindType: string; name: string }) =>
      `computed "${bindType}" bind name for bind target is invalid: "${name}"`,
  },
  LOGIN_INVALID: { status: 400, message: ({ problem }: { problem: string }) => `Invalid login: ${problem}` },
  LOGIN_REFUSED: {
    status: 403,
    message: ({ method, reason }: { method: string; reason: string }) =>
      `Permission denied: auth method "${method}" refused the bearer token: ${reason}`,
  },
  LOGIN_UNAVAILABLE: {
    status: 500,
    message: ({ method, reason }: { method: string; reason: string }) =>
      `Cannot check the bearer token with auth method "${method}": ${reason}`,
    hint: () =>
      'the servers of this datacenter must reach what the auth method names: Host, JWKSURL or OIDCDiscoveryURL',
  },
})
