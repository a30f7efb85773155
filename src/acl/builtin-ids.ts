/**
 * Identifiers that are the same in every datacenter of every installation.
 *
 * Source: RPC wire notes §10 "ACL".
 */

/** Identifiers that begin so are never given to users' objects. */
export const RESERVED_ID_PREFIX = '00000000-0000-0000-0000-0000000000'

export const ANONYMOUS_ACCESSOR = '00000000-0000-0000-0000-000000000002'
/** What an empty token stands for; no UUID, so that no made token can have it. */
export const ANONYMOUS_SECRET = 'anonymous'

export const GLOBAL_MANAGEMENT_ID = '00000000-0000-0000-0000-000000000001'
export const GLOBAL_READ_ONLY_ID = '00000000-0000-0000-0000-000000000002'

const UUID = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

export function isUuid(text: string): boolean {
  return UUID.test(text)
}
