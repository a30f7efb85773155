/**
 * A token → everything that it grants, and where.
 *
 * Links to what has been deleted grant nothing. A policy with datacenters is in force only there, so the same token may
 * mean different things in two datacenters.
 */
import type { ACLLink, ACLPolicy, ACLRole, ACLToken } from '#codec'
import { identityPolicies } from './identities.ts'

/** Where stored policies and roles are looked up. */
export interface LinkedObjects {
  policy(id: string): ACLPolicy | undefined
  role(id: string): ACLRole | undefined
}

/** All policies of a token, its roles' and its identities' ones included, each once; wherever they are in force. */
export interface ExpandedToken {
  readonly policies: readonly ACLPolicy[]
  readonly roles: readonly ACLRole[]
}

export function expandToken(token: ACLToken, stored: LinkedObjects): ExpandedToken {
  const roles = linked(token.Roles, (id) => stored.role(id))
  const policyLinks = [token, ...roles].flatMap((holder) => holder.Policies ?? [])
  const policies = linked(policyLinks, (id) => stored.policy(id))
  return { policies: [...policies, ...identityPolicies([token, ...roles])], roles }
}

/** Those that count in this datacenter. */
export function policiesInForce(policies: readonly ACLPolicy[], datacenter: string): ACLPolicy[] {
  return policies.filter(({ Datacenters }) => {
    return Datacenters === null || Datacenters.length === 0 || Datacenters.includes(datacenter)
  })
}

/** Links with today's names, without those to what has been deleted: what answers show. */
export function currentLinks(
  links: readonly ACLLink[] | null,
  find: (id: string) => { readonly Name: string } | undefined,
): readonly ACLLink[] | null {
  if (links === null) return null
  const current = links.flatMap(({ ID }) => {
    const target = find(ID)
    return target === undefined ? [] : [{ ID, Name: target.Name }]
  })
  return current.length === 0 ? null : current
}

/** Whether a token has ended. */
export function isExpired(token: Pick<ACLToken, 'ExpirationTime'>, wallMs: number): boolean {
  return token.ExpirationTime !== null && Date.parse(token.ExpirationTime) <= wallMs
}

/** What answers show instead of a secret to those who may not see it. */
export const HIDDEN_SECRET = '<hidden>'

function linked<T>(links: readonly ACLLink[] | null, find: (id: string) => T | undefined): T[] {
  const ids = new Set((links ?? []).map(({ ID }) => ID))
  return [...ids].flatMap((id) => find(id) ?? [])
}
