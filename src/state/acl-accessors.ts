/**
 * Accessors of the access control tables: what a ReadTx shows of them, what a WriteTx does with them.
 *
 * Names of policies and roles are unique whatever their case, over several servers too: who takes a name touches its
 * guard. What an object may be is the operations' business.
 */
import type { ACLAuthMethod, ACLBindingRule, ACLPolicy, ACLRole, ACLToken } from '#codec'
import {
  ACLBootstrap,
  authMethodKey,
  BOOTSTRAP_KEY,
  bindingRuleKey,
  policyKey,
  roleKey,
  tokenKey,
} from './acl-declarations.ts'
import { foldCase } from './keys.ts'
import type { Plan } from './plan.ts'
import type { Table } from './table.ts'
import type { Tables } from './tables.ts'
import type { Topic } from './watches.ts'

interface Source {
  tables(): Tables
  see(topic: Topic): void
}

/** Lists are sorted by accessor. */
export interface AclTokensReader {
  get(accessor: string): ACLToken | undefined
  bySecret(secret: string): ACLToken | undefined
  all(): readonly ACLToken[]
  ofPolicy(policyId: string): readonly ACLToken[]
  ofRole(roleId: string): readonly ACLToken[]
  ofAuthMethod(name: string): readonly ACLToken[]
}

/** Lists are sorted by ID; names are compared without regard to case. */
export interface AclPoliciesReader {
  get(id: string): ACLPolicy | undefined
  byName(name: string): ACLPolicy | undefined
  all(): readonly ACLPolicy[]
}

export interface AclRolesReader {
  get(id: string): ACLRole | undefined
  byName(name: string): ACLRole | undefined
  all(): readonly ACLRole[]
  ofPolicy(policyId: string): readonly ACLRole[]
}

export interface AclAuthMethodsReader {
  get(name: string): ACLAuthMethod | undefined
  all(): readonly ACLAuthMethod[]
}

export interface AclBindingRulesReader {
  get(id: string): ACLBindingRule | undefined
  all(): readonly ACLBindingRule[]
  ofAuthMethod(name: string): readonly ACLBindingRule[]
}

export interface AclReads {
  readonly aclTokens: AclTokensReader
  readonly aclPolicies: AclPoliciesReader
  readonly aclRoles: AclRolesReader
  readonly aclAuthMethods: AclAuthMethodsReader
  readonly aclBindingRules: AclBindingRulesReader
  /** The index of the last bootstrap; undefined before the first. */
  aclBootstrapIndex(): number | undefined
}

/** Puts and deletes return as those of the other tables. */
export interface AclWrites {
  putAclToken(token: ACLToken): boolean
  deleteAclToken(accessor: string): boolean
  putAclPolicy(policy: ACLPolicy): boolean
  deleteAclPolicy(id: string): boolean
  putAclRole(role: ACLRole): boolean
  deleteAclRole(id: string): boolean
  putAclAuthMethod(method: ACLAuthMethod): boolean
  deleteAclAuthMethod(name: string): boolean
  putAclBindingRule(rule: ACLBindingRule): boolean
  deleteAclBindingRule(id: string): boolean
  /** Remembers that the bootstrap happened, in this transaction, once more if it was reset. */
  putAclBootstrap(): boolean
}

export function aclReads(source: Source): AclReads {
  const one = <T extends object>(table: Table<T>, key: string): T | undefined => {
    source.see(table.recordTopic(key))
    return table.get(key)?.value
  }
  const every = <T extends object>(table: Table<T>): readonly T[] => {
    source.see(table.allTopic())
    return table.rows.map((row) => row.value)
  }
  const under = <T extends object>(table: Table<T>, index: string, value: string): readonly T[] => {
    source.see(table.bucketTopic(index, value))
    return table.bucket(index, value)?.map((row) => row.value) ?? []
  }
  const tables = () => source.tables()
  return {
    aclTokens: {
      get: (accessor) => one(tables().aclTokens, tokenKey(accessor)),
      bySecret: (secret) => under(tables().aclTokens, 'secret', secret)[0],
      all: () => every(tables().aclTokens),
      ofPolicy: (id) => under(tables().aclTokens, 'policy', foldCase(id)),
      ofRole: (id) => under(tables().aclTokens, 'role', foldCase(id)),
      ofAuthMethod: (name) => under(tables().aclTokens, 'method', name),
    },
    aclPolicies: {
      get: (id) => one(tables().aclPolicies, policyKey(id)),
      byName: (name) => under(tables().aclPolicies, 'name', foldCase(name))[0],
      all: () => every(tables().aclPolicies),
    },
    aclRoles: {
      get: (id) => one(tables().aclRoles, roleKey(id)),
      byName: (name) => under(tables().aclRoles, 'name', foldCase(name))[0],
      all: () => every(tables().aclRoles),
      ofPolicy: (id) => under(tables().aclRoles, 'policy', foldCase(id)),
    },
    aclAuthMethods: {
      get: (name) => one(tables().aclAuthMethods, authMethodKey(name)),
      all: () => every(tables().aclAuthMethods),
    },
    aclBindingRules: {
      get: (id) => one(tables().aclBindingRules, bindingRuleKey(id)),
      all: () => every(tables().aclBindingRules),
      ofAuthMethod: (name) => under(tables().aclBindingRules, 'method', name),
    },
    aclBootstrapIndex: () => one(tables().aclMeta, BOOTSTRAP_KEY)?.ModifyIndex,
  }
}

export function aclWrites(plan: Plan): AclWrites {
  /** Two servers cannot give one name to two objects at a time. */
  const putNamed = <T extends { readonly Name: string }>(table: Table<T>, key: string, record: T): boolean => {
    const old = table.get(key)?.value.Name
    if (old === undefined || foldCase(old) !== foldCase(record.Name)) {
      plan.takeGuard(`${table.name}:${foldCase(record.Name)}`)
    }
    return plan.put(table, key, record)
  }
  return {
    putAclToken: (token) => plan.put(plan.tables().aclTokens, tokenKey(token.AccessorID), token),
    deleteAclToken: (accessor) => plan.delete(plan.tables().aclTokens, tokenKey(accessor)),
    putAclPolicy: (policy) => putNamed(plan.tables().aclPolicies, policyKey(policy.ID), policy),
    deleteAclPolicy: (id) => plan.delete(plan.tables().aclPolicies, policyKey(id)),
    putAclRole: (role) => putNamed(plan.tables().aclRoles, roleKey(role.ID), role),
    deleteAclRole: (id) => plan.delete(plan.tables().aclRoles, roleKey(id)),
    putAclAuthMethod: (method) => plan.put(plan.tables().aclAuthMethods, authMethodKey(method.Name), method),
    deleteAclAuthMethod: (name) => plan.delete(plan.tables().aclAuthMethods, authMethodKey(name)),
    putAclBindingRule: (rule) => plan.put(plan.tables().aclBindingRules, bindingRuleKey(rule.ID), rule),
    deleteAclBindingRule: (id) => plan.delete(plan.tables().aclBindingRules, bindingRuleKey(id)),
    putAclBootstrap() {
      const { aclMeta } = plan.tables()
      const Resets = (aclMeta.get(BOOTSTRAP_KEY)?.value.Resets ?? 0) + 1
      return plan.put(aclMeta, BOOTSTRAP_KEY, ACLBootstrap.of({ Key: BOOTSTRAP_KEY, Resets }))
    },
  }
}
