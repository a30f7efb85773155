/**
 * What the ACL operations share: who may use them, and the tables as checks of new objects see them.
 */
import { aclError, type StoredObjects } from '#acl'
import type { ReadTx } from '#state'
import { endpointError } from './errors.ts'
import type { CallContext } from './operation.ts'
import type { Facts, Rights } from './rights.ts'

/** @throws HanseError ACL_DISABLED, PERMISSION_DENIED */
export function needsAclRead(rights: Rights, { acl }: Facts): void {
  if (!acl.enabled) throw aclError('ACL_DISABLED', {})
  rights.need(rights.allows.aclRead(), 'acl:read')
}

/** @throws HanseError ACL_DISABLED, PERMISSION_DENIED */
export function needsAclWrite(rights: Rights, { acl }: Facts): void {
  if (!acl.enabled) throw aclError('ACL_DISABLED', {})
  rights.need(rights.allows.aclWrite(), 'acl:write')
}

/** The tables as the writing transaction sees them, so that check and write are one. */
export function storedObjects(tx: ReadTx): StoredObjects {
  return {
    policyById: (id) => tx.aclPolicies.get(id),
    policyByName: (name) => tx.aclPolicies.byName(name),
    roleById: (id) => tx.aclRoles.get(id),
    roleByName: (name) => tx.aclRoles.byName(name),
    tokenByAccessor: (accessor) => tx.aclTokens.get(accessor),
    tokenBySecret: (secret) => tx.aclTokens.bySecret(secret),
    authMethodByName: (name) => tx.aclAuthMethods.get(name),
    bindingRuleById: (id) => tx.aclBindingRules.get(id),
  }
}

export function byName<T extends { readonly Name: string }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (a.Name < b.Name ? -1 : 1))
}

/** Logins make tokens, and local ones need copies of the global ones. @throws HanseError ACL_DISABLED, INVALID_REQUEST */
export function needsTokens(context: CallContext): void {
  if (!context.acl.enabled) throw aclError('ACL_DISABLED', {})
  if (keepsTokens(context)) return
  throw endpointError('INVALID_REQUEST', { text: 'Token replication is required for auth methods to function' })
}

/** Where local tokens and logins are possible: the primary, and a secondary that copies tokens. */
export function keepsTokens({ datacenter, primaryDatacenter, acl }: CallContext): boolean {
  return datacenter === primaryDatacenter || (acl.replicatesTokens && acl.replicationToken() !== '')
}
