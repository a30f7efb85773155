/**
 * Rights: who asks, and what that one may do. What operations check against, and what the middleware makes of a token.
 */
import { ANONYMOUS_ACCESSOR, type Authorizer, aclError, manageAll } from '#acl'
import type { ReadTx } from '#state'
import type { AclPort } from './acl-port.ts'

/** Shows what is in the tables now, for decisions that depend on what the arguments name. */
export type Look = <T>(query: (tx: ReadTx) => T) => T

/** What a decision may depend on besides arguments and rights. */
export interface Facts {
  readonly look: Look
  readonly acl: AclPort
}

export class Rights {
  /** Of the token; empty for the server itself and where there are no ACLs. */
  readonly accessor: string
  readonly allows: Authorizer
  /** The same for the same set of rules: answers made for one token are good for another with this key. */
  readonly key: string
  /** Whether the caller may be told that something was left out. */
  readonly authenticated: boolean

  constructor(accessor: string, allows: Authorizer, key: string, authenticated: boolean) {
    this.accessor = accessor
    this.allows = allows
    this.key = key
    this.authenticated = authenticated
  }

  /**
   * @param permission - as messages name it: `service:write`
   * @param resource - the name it is about; empty where the permission has none
   * @throws HanseError PERMISSION_DENIED unless `granted`
   */
  need(granted: boolean, permission: string, resource = ''): void {
    if (!granted) throw aclError('PERMISSION_DENIED', { accessor: this.accessor, permission, resource })
  }
}

/** Of the server's own questions, and of everyone where there are no ACLs. */
export const ALL_RIGHTS = new Rights('', manageAll, '', false)

export function isAnonymous(rights: Rights): boolean {
  return rights.accessor === ANONYMOUS_ACCESSOR
}

/** A reply without what the caller may not see. */
export interface Kept<R> {
  readonly reply: R
  /** Whether something was left out. */
  readonly filtered: boolean
}

/** The items that pass; `filtered` tells whether any did not. A null list stays null. */
export function keep<T>(
  items: readonly T[] | null,
  visible: (item: T) => boolean,
): { readonly items: readonly T[] | null; readonly filtered: boolean } {
  if (items === null) return { items, filtered: false }
  const kept = items.filter(visible)
  return kept.length === items.length ? { items, filtered: false } : { items: kept, filtered: true }
}
