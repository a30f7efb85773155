/**
 * The token that a login makes, before it is stored.
 *
 * Source: RPC wire notes §10 "Login"; RPC recordings.
 */
import type { Random } from '#base'
import { type ACLAuthMethod, ACLToken, goJson } from '#codec'
import type { LoginLinks } from './bindings.ts'
import { aclError } from './errors.ts'
import { tokenHash } from './hashes.ts'
import { freshId } from './prepare-policy.ts'
import { timeText } from './prepare-token.ts'
import type { StoredObjects } from './stored-objects.ts'

const NS_PER_MS = 1e6
/** Most entries in a login's meta, and the longest key or value, in characters. */
export const MAX_LOGIN_META_ENTRIES = 64
export const MAX_LOGIN_META_CHARACTERS = 512

export interface LoginTokenModules {
  readonly stored: Pick<StoredObjects, 'tokenByAccessor' | 'tokenBySecret'>
  readonly random: Random
  readonly wallMs: number
}

/**
 * @param meta - goes into the description, by which `kubernetes` finds the tokens of a pod
 * @returns a global token when the method says so, else one of this datacenter
 * @throws HanseError LOGIN_INVALID
 */
export function loginToken(
  method: ACLAuthMethod,
  links: LoginLinks,
  meta: Readonly<Record<string, string>> | null,
  { stored, random, wallMs }: LoginTokenModules,
): ACLToken {
  checkLoginMeta(meta)
  const token = ACLToken.of({
    ...links,
    AccessorID: freshId(random, (id) => stored.tokenByAccessor(id)),
    SecretID: freshId(random, (id) => stored.tokenBySecret(id)),
    Description: loginDescription(meta),
    Local: method.TokenLocality !== 'global',
    AuthMethod: method.Name,
    CreateTime: timeText(wallMs),
    ExpirationTime: method.MaxTokenTTL === 0 ? null : timeText(wallMs + method.MaxTokenTTL / NS_PER_MS),
  })
  return { ...token, Hash: tokenHash(token) }
}

/** `token created via login: {"pod":"default/x"}` */
export function loginDescription(meta: Readonly<Record<string, string>> | null): string {
  const entries = Object.entries(meta ?? {})
  return entries.length === 0 ? 'token created via login' : `token created via login: ${goJson(new Map(entries))}`
}

/** @throws HanseError LOGIN_INVALID */
export function checkLoginMeta(meta: Readonly<Record<string, string>> | null): void {
  const entries = Object.entries(meta ?? {})
  if (entries.length > MAX_LOGIN_META_ENTRIES) {
    throw aclError('LOGIN_INVALID', {
      problem: `Meta has ${entries.length} entries and the limit is ${MAX_LOGIN_META_ENTRIES}`,
    })
  }
  if (entries.some(([key, value]) => Math.max(key.length, value.length) > MAX_LOGIN_META_CHARACTERS)) {
    throw aclError('LOGIN_INVALID', {
      problem: `an entry of Meta is longer than ${MAX_LOGIN_META_CHARACTERS} characters`,
    })
  }
}
