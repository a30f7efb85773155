/**
 * ACL.Role*: policies and identities under one name, for tokens to link to. Written in the primary; secondaries have
 * copies.
 *
 * Source: RPC wire notes §7, §10 "ACL".
 */
import { aclError, checkLookupId, currentLinks, isExpired, prepareRole } from '#acl'
import {
  ACLRole,
  ACLRoleBatchGetRequest,
  ACLRoleDeleteRequest,
  ACLRoleGetRequest,
  ACLRoleListRequest,
  ACLRoleListResponse,
  ACLRoleResponse,
  ACLRoleSetRequest,
  string,
} from '#codec'
import type { ReadTx } from '#state'
import { byName, needsAclRead, needsAclWrite, storedObjects } from './acl-common.ts'
import { readOperation, writeOperation } from './operation.ts'
import { linked } from './token-resolver.ts'

/** The role with today's names of its policies. */
function shown(tx: ReadTx, role: ACLRole): ACLRole {
  return { ...role, Policies: currentLinks(role.Policies, (id) => tx.aclPolicies.get(id)) }
}

/** One role, by ID or by name; none where there is none. */
export const roleRead = readOperation({
  name: 'ACL.RoleRead',
  args: ACLRoleGetRequest,
  reply: ACLRoleResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  check({ RoleID, RoleName }) {
    if (RoleID !== '' || RoleName === '') checkLookupId('role', RoleID)
  },
  query(tx, { RoleID, RoleName }) {
    const found = RoleID === '' ? tx.aclRoles.byName(RoleName) : tx.aclRoles.get(RoleID)
    return ACLRoleResponse.of({ Role: found === undefined ? null : shown(tx, found) })
  },
})

/** All roles, or those that link to `Policy`. */
export const roleList = readOperation({
  name: 'ACL.RoleList',
  args: ACLRoleListRequest,
  reply: ACLRoleListResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query(tx, { Policy }) {
    const roles = Policy === '' ? tx.aclRoles.all() : tx.aclRoles.ofPolicy(Policy)
    return ACLRoleListResponse.of({ Roles: byName(roles).map((role) => shown(tx, role)) })
  },
})

/** The roles with these IDs; those that are not there are left out. */
export const roleBatchRead = readOperation({
  name: 'ACL.RoleBatchRead',
  args: ACLRoleBatchGetRequest,
  reply: ACLRoleListResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx, { RoleIDs }) =>
    ACLRoleListResponse.of({
      Roles: (RoleIDs ?? []).flatMap((id) => tx.aclRoles.get(id) ?? []).map((role) => shown(tx, role)),
    }),
})

/** Of these roles those that the caller's own token links to. */
export const roleResolve = readOperation({
  name: 'ACL.RoleResolve',
  args: ACLRoleBatchGetRequest,
  reply: ACLRoleListResponse,
  scope: 'datacenter',
  anyone: 'a token may read the roles that it links to, and no others',
  query(tx, { RoleIDs, Token }, context) {
    const token = tx.aclTokens.bySecret(Token)
    if (token === undefined || isExpired(token, context.wallMs())) throw aclError('ACL_NOT_FOUND', { subject: '' })
    const own = linked(tx, token).roles
    return ACLRoleListResponse.of({ Roles: own.filter(({ ID }) => RoleIDs?.includes(ID)) })
  },
})

/** Makes a role, or changes the one with this ID. */
export const roleSet = writeOperation({
  name: 'ACL.RoleSet',
  args: ACLRoleSetRequest,
  reply: ACLRole,
  scope: 'primary',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run({ state, random }, { Role }) {
    const { value } = await state.write((tx) => {
      const role = prepareRole(Role, storedObjects(tx), random)
      tx.putAclRole(role)
      return role
    })
    const read = state.read((tx) => {
      const role = tx.aclRoles.get(value.ID)
      return role && shown(tx, role)
    })
    return read.value ?? value
  },
})

/** Links to it stay and grant nothing. */
export const roleDelete = writeOperation({
  name: 'ACL.RoleDelete',
  args: ACLRoleDeleteRequest,
  reply: string,
  scope: 'primary',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run({ state }, { RoleID }) {
    checkLookupId('role', RoleID)
    const { value } = await state.write((tx) => {
      const name = tx.aclRoles.get(RoleID)?.Name
      tx.deleteAclRole(RoleID)
      return name
    })
    if (value === undefined) throw aclError('ACL_DELETE_NOT_FOUND', { kind: 'role' })
    return value
  },
})
