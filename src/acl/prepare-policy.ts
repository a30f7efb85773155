/**
 * A policy or role that someone writes → what is stored, or why not.
 *
 * Source: HTTP recordings "acl policy", "acl role".
 */
import { type Random, uuid } from '#base'
import type { ACLPolicy, ACLRole } from '#codec'
import { builtinPolicyById } from './builtin.ts'
import { checkIdentities } from './check-identities.ts'
import { aclError } from './errors.ts'
import { policyHash, roleHash } from './hashes.ts'
import { policyNameProblem, roleNameProblem } from './names.ts'
import { parseRules } from './rules.ts'
import { resolveLinks, type StoredObjects } from './stored-objects.ts'

/**
 * @param given - an empty ID makes a new policy, any other changes that one
 * @throws HanseError ACL_UPDATE_NOT_FOUND, POLICY_INVALID, BUILTIN_IMMUTABLE, RULES_SYNTAX, RULES_INVALID
 */
export function preparePolicy(given: ACLPolicy, stored: StoredObjects, random: Random): ACLPolicy {
  const before = given.ID === '' ? undefined : stored.policyById(given.ID)
  if (given.ID !== '' && before === undefined) throw aclError('ACL_UPDATE_NOT_FOUND', { kind: 'policy', id: given.ID })
  const problem = policyNameProblem(given.Name) ?? nameTaken(given, stored.policyByName(given.Name), 'Policy')
  if (problem !== undefined) throw aclError('POLICY_INVALID', { problem })
  if (before !== undefined) checkBuiltin(given, before)
  parseRules(given.Rules)
  const datacenters = (given.Datacenters ?? []).length === 0 ? null : given.Datacenters
  if (datacenters?.includes('')) throw aclError('POLICY_INVALID', { problem: 'a name in Datacenters is empty' })
  const policy = {
    ...given,
    ID: before?.ID ?? freshId(random, (id) => stored.policyById(id)),
    Datacenters: datacenters,
  }
  return { ...policy, Hash: policyHash(policy) }
}

/** @throws HanseError BUILTIN_IMMUTABLE */
export function checkPolicyDelete(id: string): void {
  const builtin = builtinPolicyById(id)
  if (builtin === undefined) return
  throw aclError('BUILTIN_IMMUTABLE', { text: `Delete operation not permitted on the builtin ${builtin.Name} policy` })
}

/** Descriptions of builtin policies may change; what they grant and what they are called may not. */
function checkBuiltin(given: ACLPolicy, before: ACLPolicy): void {
  const builtin = builtinPolicyById(before.ID)
  if (builtin === undefined) return
  const changed =
    given.Rules !== builtin.Rules
      ? 'Rules'
      : (given.Datacenters ?? []).length > 0
        ? 'Datacenters'
        : given.Name !== builtin.Name
          ? 'Name'
          : undefined
  if (changed === undefined) return
  throw aclError('BUILTIN_IMMUTABLE', {
    text: `Changing the ${changed} for the builtin ${builtin.Name} policy is not permitted`,
  })
}

/**
 * @param given - an empty ID makes a new role, any other changes that one
 * @throws HanseError ACL_UPDATE_NOT_FOUND, ROLE_INVALID, LINK_UNKNOWN, IDENTITY_INVALID
 */
export function prepareRole(given: ACLRole, stored: StoredObjects, random: Random): ACLRole {
  const before = given.ID === '' ? undefined : stored.roleById(given.ID)
  if (given.ID !== '' && before === undefined) throw aclError('ACL_UPDATE_NOT_FOUND', { kind: 'role', id: given.ID })
  const problem = roleNameProblem(given.Name) ?? nameTaken(given, stored.roleByName(given.Name), 'Role')
  if (problem !== undefined) throw aclError('ROLE_INVALID', { problem })
  const role = {
    ...given,
    ...checkIdentities(given, { kind: 'role', local: false }),
    ID: before?.ID ?? freshId(random, (id) => stored.roleById(id)),
    Policies: resolveLinks(
      given.Policies,
      { byId: (id) => stored.policyById(id), byName: (name) => stored.policyByName(name) },
      {
        unknownId: (id) => `Failed to apply role upsert request: No such policy with ID: ${id}`,
        unknownName: (name) => `No such ACL policy with name "${name}"`,
      },
    ),
  }
  return { ...role, Hash: roleHash(role) }
}

type Named = { readonly ID: string; readonly Name: string }

function nameTaken(given: Named, holder: Named | undefined, kind: string): string | undefined {
  return holder === undefined || holder.ID === given.ID
    ? undefined
    : `A ${kind} with Name "${given.Name}" already exists`
}

/** A new identifier that no object has. */
export function freshId(random: Random, taken: (id: string) => unknown): string {
  for (;;) {
    const id = uuid(random)
    if (taken(id) === undefined) return id
  }
}
