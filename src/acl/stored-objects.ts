/**
 * What a check of a new or changed object needs to know of those that exist.
 *
 * Whoever writes gives the tables as the writing transaction sees them, so that check and write are one.
 */
import type { HanseError } from '#base'
import type { ACLAuthMethod, ACLBindingRule, ACLLink, ACLPolicy, ACLRole, ACLToken } from '#codec'
import { aclError } from './errors.ts'

export interface StoredObjects {
  policyById(id: string): ACLPolicy | undefined
  policyByName(name: string): ACLPolicy | undefined
  roleById(id: string): ACLRole | undefined
  roleByName(name: string): ACLRole | undefined
  tokenByAccessor(accessor: string): ACLToken | undefined
  tokenBySecret(secret: string): ACLToken | undefined
  authMethodByName(name: string): ACLAuthMethod | undefined
  bindingRuleById(id: string): ACLBindingRule | undefined
}

type Target = { readonly ID: string; readonly Name: string }

/**
 * Completes links by ID or by name, each target once.
 *
 * @param unknownId - the refusal of an ID that no object has; tokens and roles word it differently
 * @throws HanseError LINK_UNKNOWN
 */
export function resolveLinks(
  links: readonly ACLLink[] | null,
  find: { byId(id: string): Target | undefined; byName(name: string): Target | undefined },
  refusals: { unknownId(id: string): string; unknownName(name: string): string },
): readonly ACLLink[] | null {
  const targets = new Map<string, ACLLink>()
  for (const link of links ?? []) {
    const target = link.ID === '' ? find.byName(link.Name) : find.byId(link.ID)
    if (target === undefined) {
      throw linkUnknown(link.ID === '' ? refusals.unknownName(link.Name) : refusals.unknownId(link.ID))
    }
    targets.set(target.ID, { ID: target.ID, Name: target.Name })
  }
  return targets.size === 0 ? null : [...targets.values()]
}

function linkUnknown(text: string): HanseError {
  return aclError('LINK_UNKNOWN', { text })
}

const ID_CHARACTERS = 36

/**
 * Refuses an ID that cannot be one, as lookups by ID do.
 *
 * @param kind - `token`, `policy`, `role`, `binding rule`
 * @throws HanseError LOOKUP_ID_INVALID
 */
export function checkLookupId(kind: string, id: string): void {
  if (id.length !== ID_CHARACTERS) throw aclError('LOOKUP_ID_INVALID', { kind })
}
