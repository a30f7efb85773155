/**
 * A token that someone writes → what is stored, or why not.
 *
 * Source: HTTP recordings "acl token".
 */
import { formatDuration, type Random } from '#base'
import type { ACLToken } from '#codec'
import { ANONYMOUS_ACCESSOR, isUuid, RESERVED_ID_PREFIX } from './builtin-ids.ts'
import { checkIdentities } from './check-identities.ts'
import { aclError } from './errors.ts'
import { tokenHash } from './hashes.ts'
import { freshId } from './prepare-policy.ts'
import { isExpired } from './resolve.ts'
import { resolveLinks, type StoredObjects } from './stored-objects.ts'

const NS_PER_MS = 1e6

/** How long a token may live, in nanoseconds. */
export interface ExpirationBounds {
  readonly minTtlNs: number
  readonly maxTtlNs: number
}
/** As recorded: a token may live for a minute or for centuries. */
export const EXPIRATION_BOUNDS: ExpirationBounds = { minTtlNs: 60e9, maxTtlNs: 2 ** 63 }

export interface TokenModules {
  readonly stored: StoredObjects
  readonly random: Random
  /** Milliseconds since 1970. */
  readonly wallMs: number
  readonly bounds: ExpirationBounds
  /** Whether this datacenter keeps tokens of its own: the primary, and a secondary that replicates tokens. */
  readonly localTokens: boolean
}

/**
 * A new token; accessor and secret may be wished.
 *
 * @throws HanseError TOKEN_INVALID, TOKEN_EXPIRATION_INVALID, LINK_UNKNOWN, IDENTITY_INVALID, LOCAL_TOKENS_DISABLED
 */
export function prepareNewToken(given: ACLToken, modules: TokenModules): ACLToken {
  const { stored, random, wallMs } = modules
  checkWishedId('AccessorID', given.AccessorID, given.AccessorID !== '' && stored.tokenByAccessor(given.AccessorID))
  checkWishedId('SecretID', given.SecretID, given.SecretID !== '' && stored.tokenBySecret(given.SecretID))
  if (given.Local && !modules.localTokens) throw aclError('LOCAL_TOKENS_DISABLED', {})
  const createTime = timeText(wallMs)
  return finished(
    {
      ...given,
      AccessorID: given.AccessorID || freshId(random, (id) => stored.tokenByAccessor(id)),
      SecretID: given.SecretID || freshId(random, (id) => stored.tokenBySecret(id)),
      CreateTime: createTime,
      ExpirationTime: expirationTime(given, wallMs, modules.bounds),
      ExpirationTTL: 0,
    },
    stored,
  )
}

/**
 * A changed token: what is not given is taken away, but for what never changes.
 *
 * @throws HanseError ACL_UPDATE_NOT_FOUND, TOKEN_CHANGE_REFUSED, LINK_UNKNOWN, IDENTITY_INVALID
 */
export function prepareChangedToken(given: ACLToken, modules: Pick<TokenModules, 'stored' | 'wallMs'>): ACLToken {
  const { stored } = modules
  const before = stored.tokenByAccessor(given.AccessorID)
  if (before === undefined || isExpired(before, modules.wallMs)) {
    throw aclError('ACL_UPDATE_NOT_FOUND', { kind: 'token', id: given.AccessorID })
  }
  const refused = refusedChange(given, before)
  if (refused !== undefined) throw aclError('TOKEN_CHANGE_REFUSED', { text: refused })
  const { SecretID, Local, AuthMethod, CreateTime, ExpirationTime } = before
  return finished({ ...given, SecretID, Local, AuthMethod, CreateTime, ExpirationTime, ExpirationTTL: 0 }, stored)
}

/**
 * A copy with the same rights and an identity of its own; it lives as long as the one it was made of.
 *
 * @throws HanseError TOKEN_CHANGE_REFUSED for tokens made by login, whose copies would outlive a logout
 */
export function prepareClone(source: ACLToken, description: string, modules: TokenModules): ACLToken {
  if (source.AuthMethod !== '') {
    throw aclError('TOKEN_CHANGE_REFUSED', { text: 'Cannot clone a token created from an auth method' })
  }
  if (source.AccessorID === ANONYMOUS_ACCESSOR) {
    throw aclError('TOKEN_CHANGE_REFUSED', { text: 'Cannot clone the anonymous token' })
  }
  const { stored, random, wallMs } = modules
  const clone = {
    ...source,
    AccessorID: freshId(random, (id) => stored.tokenByAccessor(id)),
    SecretID: freshId(random, (id) => stored.tokenBySecret(id)),
    Description: description === '' ? source.Description : description,
    CreateTime: timeText(wallMs),
    CreateIndex: 0,
    ModifyIndex: 0,
  }
  return { ...clone, Hash: tokenHash(clone) }
}

/**
 * @param caller - accessor of the token that asks
 * @throws HanseError BUILTIN_IMMUTABLE, TOKEN_CHANGE_REFUSED
 */
export function checkTokenDelete(accessor: string, caller: string): void {
  if (accessor === ANONYMOUS_ACCESSOR) {
    throw aclError('BUILTIN_IMMUTABLE', { text: 'Delete operation not permitted on the anonymous token' })
  }
  if (accessor === caller) {
    throw aclError('TOKEN_CHANGE_REFUSED', {
      text: "Deletion of the request's authorization token is not permitted",
    })
  }
}

const UUID_CHARACTERS = 36

/** @throws HanseError BOOTSTRAP_SECRET_INVALID */
export function checkBootstrapSecret(secret: string): void {
  if (secret === '' || isUuid(secret)) return
  const text = secret.length === UUID_CHARACTERS ? 'uuid is improperly formatted' : 'uuid string is wrong length'
  throw aclError('BOOTSTRAP_SECRET_INVALID', { text })
}

/** RFC 3339 in UTC as Go prints it: no zeros at the end of the fraction. */
export function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.?0+Z$/, 'Z')
}

function finished(token: ACLToken, stored: StoredObjects): ACLToken {
  const linked = {
    ...token,
    ...checkIdentities(token, { kind: 'token', local: token.Local }),
    Policies: resolveLinks(
      token.Policies,
      { byId: (id) => stored.policyById(id), byName: (name) => stored.policyByName(name) },
      {
        unknownId: (id) => `No such ACL policy with ID "${id}"`,
        unknownName: (name) => `No such ACL policy with name "${name}"`,
      },
    ),
    Roles: resolveLinks(
      token.Roles,
      { byId: (id) => stored.roleById(id), byName: (name) => stored.roleByName(name) },
      {
        unknownId: (id) => `No such ACL role with ID "${id}"`,
        unknownName: (name) => `No such ACL role with name "${name}"`,
      },
    ),
  }
  return { ...linked, Hash: tokenHash(linked) }
}

function checkWishedId(field: 'AccessorID' | 'SecretID', id: string, taken: unknown): void {
  if (id === '') return
  const problem = !isUuid(id)
    ? `${field} - not a valid UUID`
    : id.startsWith(RESERVED_ID_PREFIX)
      ? `${field} - UUIDs with the prefix "${RESERVED_ID_PREFIX}" are reserved`
      : taken
        ? `${field} is already in use`
        : undefined
  if (problem !== undefined) throw aclError('TOKEN_INVALID', { problem })
}

function expirationTime(given: ACLToken, wallMs: number, bounds: ExpirationBounds): string | null {
  const { ExpirationTTL, ExpirationTime } = given
  if (ExpirationTTL === 0 && ExpirationTime === null) return null
  if (ExpirationTTL !== 0 && ExpirationTime !== null) {
    throw expirationInvalid('ExpirationTTL and ExpirationTime cannot both be set')
  }
  if (ExpirationTTL < 0) throw expirationInvalid(`ExpirationTTL should be > 0 (was ${formatDuration(ExpirationTTL)})`)
  const endMs = ExpirationTime === null ? wallMs + ExpirationTTL / NS_PER_MS : Date.parse(ExpirationTime)
  if (endMs <= wallMs) throw expirationInvalid('ExpirationTime cannot be before CreateTime')
  const ttlNs = ExpirationTime === null ? ExpirationTTL : (endMs - wallMs) * NS_PER_MS
  if (ttlNs < bounds.minTtlNs) throw expirationOutside('less', bounds.minTtlNs, ttlNs)
  if (ttlNs > bounds.maxTtlNs || endMs > LAST_WALL_MS) throw expirationOutside('more', bounds.maxTtlNs, ttlNs)
  return ExpirationTime ?? timeText(endMs)
}

/** The end of the last year that has four digits. */
const LAST_WALL_MS = Date.UTC(9999, 11, 31)

function expirationOutside(side: 'less' | 'more', boundNs: number, ttlNs: number) {
  return expirationInvalid(
    `ExpirationTime cannot be ${side} than ${formatDuration(boundNs)} in the future (was ${formatDuration(ttlNs)})`,
  )
}

function expirationInvalid(text: string) {
  return aclError('TOKEN_EXPIRATION_INVALID', { text })
}

function refusedChange(given: ACLToken, before: ACLToken): string | undefined {
  if (given.SecretID !== '' && given.SecretID !== before.SecretID) return "Changing a token's SecretID is not permitted"
  if (given.Local !== before.Local) return `Cannot toggle local mode of ${before.AccessorID}`
  if (given.AuthMethod !== '' && given.AuthMethod !== before.AuthMethod) {
    return `Cannot change AuthMethod of ${before.AccessorID}`
  }
  const wanted = given.ExpirationTime
  const moved = wanted !== null && Date.parse(wanted) !== Date.parse(before.ExpirationTime ?? '')
  return moved || given.ExpirationTTL !== 0 ? `Cannot change expiration time of ${before.AccessorID}` : undefined
}
