/**
 * The tables of access control: tokens, policies, roles, auth methods, binding rules, and what is remembered of the
 * bootstrap.
 *
 * Tokens stand under their accessor; the secret is an index only, so that no key of the store and no name of a topic
 * that leaves this folder holds it.
 */
import { ACLAuthMethod, ACLBindingRule, ACLPolicy, ACLRole, ACLToken, string, struct, uint } from '#codec'
import { foldCase, joinKey } from './keys.ts'
import type { TableDeclaration } from './table.ts'

export const tokenKey = (accessor: string): string => joinKey('acl-tokens', foldCase(accessor))
export const policyKey = (id: string): string => joinKey('acl-policies', foldCase(id))
export const roleKey = (id: string): string => joinKey('acl-roles', foldCase(id))
export const authMethodKey = (name: string): string => joinKey('acl-auth-methods', name)
export const bindingRuleKey = (id: string): string => joinKey('acl-binding-rules', foldCase(id))

type Links = ACLToken['Policies']

const linked = (links: Links): readonly string[] => [...new Set(links?.map(({ ID }) => foldCase(ID)))]

/** A copy: the bytes as decoded hold on to the message they came in. */
function ownHash<T extends { readonly Hash: ACLToken['Hash'] }>(record: T): T {
  return { ...record, Hash: record.Hash === null ? null : Buffer.from(record.Hash) }
}

export const aclTokensTable: TableDeclaration<ACLToken> = {
  name: 'acl-tokens',
  shape: ACLToken,
  fits: ({ AccessorID }, key) => foldCase(AccessorID) === key,
  indexes: {
    secret: { of: ({ SecretID }) => [SecretID], slot: () => 'acl-tokens' },
    policy: { of: ({ Policies }) => linked(Policies) },
    role: { of: ({ Roles }) => linked(Roles) },
    method: { of: ({ AuthMethod }) => (AuthMethod === '' ? [] : [AuthMethod]) },
  },
  compact: ownHash,
}

export const aclPoliciesTable: TableDeclaration<ACLPolicy> = {
  name: 'acl-policies',
  shape: ACLPolicy,
  fits: ({ ID }, key) => foldCase(ID) === key,
  indexes: { name: { of: ({ Name }) => [foldCase(Name)] } },
  compact: ownHash,
}

export const aclRolesTable: TableDeclaration<ACLRole> = {
  name: 'acl-roles',
  shape: ACLRole,
  fits: ({ ID }, key) => foldCase(ID) === key,
  indexes: {
    name: { of: ({ Name }) => [foldCase(Name)] },
    policy: { of: ({ Policies }) => linked(Policies) },
  },
  compact: ownHash,
}

export const aclAuthMethodsTable: TableDeclaration<ACLAuthMethod> = {
  name: 'acl-auth-methods',
  shape: ACLAuthMethod,
  fits: ({ Name }, key) => Name === key,
  indexes: {},
}

export const aclBindingRulesTable: TableDeclaration<ACLBindingRule> = {
  name: 'acl-binding-rules',
  shape: ACLBindingRule,
  fits: ({ ID }, key) => foldCase(ID) === key,
  indexes: { method: { of: ({ AuthMethod }) => [AuthMethod] } },
}

/** That a bootstrap token was made; `ModifyIndex` is the index that resets it. */
export const ACLBootstrap = struct('ACLBootstrap', { Key: string, CreateIndex: uint, ModifyIndex: uint, Resets: uint })
export type ACLBootstrap = ReturnType<typeof ACLBootstrap.of>

export const BOOTSTRAP_KEY = 'bootstrap'

export const aclMetaTable: TableDeclaration<ACLBootstrap> = {
  name: 'acl-meta',
  shape: ACLBootstrap,
  fits: ({ Key }, key) => Key === key,
  indexes: {},
}
