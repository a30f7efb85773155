/**
 * Refusing: an authorizer's no → the text that Consul's clients know.
 *
 * Source: HTTP recordings.
 */
import type { HanseError } from '#base'
import { aclError } from './errors.ts'

/**
 * The refusal of one permission.
 *
 * @param accessor - of the caller's token; the anonymous one has a text of its own
 * @param permission - `key:write`
 * @param resource - the name that was asked for; empty where a permission has none
 */
export function permissionDenied(accessor: string, permission: string, resource = ''): HanseError {
  return aclError('PERMISSION_DENIED', { accessor, permission, resource })
}

/**
 * Lets an allowed caller pass.
 *
 * @example
 * requirePermission(caller.accessor, caller.authorizer.keyWrite(key), 'key:write', key)
 * @throws HanseError PERMISSION_DENIED
 */
export function requirePermission(accessor: string, allowed: boolean, permission: string, resource = ''): void {
  if (!allowed) throw permissionDenied(accessor, permission, resource)
}
