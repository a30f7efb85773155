/**
 * Public keys that JWTs are verified with: from a config, from a JWK set at an address, or from an issuer's discovery.
 *
 * Fetched keys are kept for a while. A token that none of them fits makes one new fetch, so that a provider's rotation
 * is seen at once, but not more often than now and then: tokens come from anyone.
 *
 * Source: RFC 7517; OpenID Connect Discovery 1.0 §4.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { type Clock, HANSE_VERSION } from '#base'
import type { JsonValue } from '#codec'
import type { HttpTransport } from './http-transport.ts'
import { jsonObject, textAt, valueAt } from './json-path.ts'

export interface VerificationKey {
  readonly kid: string | undefined
  /** Where the key says what it is for. */
  readonly algorithm: string | undefined
  readonly key: KeyObject
}

/** Where the keys of an auth method are. */
export type KeyPlace =
  | { readonly type: 'keys'; readonly keys: readonly VerificationKey[] }
  /** A JWK set by its address, or an issuer whose discovery document names it. */
  | { readonly type: 'jwks' | 'discovery'; readonly url: string; readonly caPem: string | undefined }

/** How long fetched keys count. */
export const KEYS_KEPT_MS = 5 * 60_000
/** Shortest time between two fetches. */
export const KEYS_REFETCH_MS = 10_000
/** Most keys of a set that are looked at. */
export const MAX_SET_KEYS = 128

const KEY_TYPES: readonly (string | undefined)[] = ['rsa', 'rsa-pss', 'ec', 'ed25519']

/** A public key or certificate in PEM; undefined when it is none, or of no kind that signs JWTs, or a private key. */
export function publicKeyOf(pem: string): KeyObject | undefined {
  if (pem.includes('PRIVATE KEY')) return undefined
  try {
    const key = createPublicKey(pem)
    return KEY_TYPES.includes(key.asymmetricKeyType) ? key : undefined
  } catch {
    return undefined
  }
}

/** The keys of a JWK set that can verify; others (encryption, shared secrets, unknown kinds) are passed over. */
export function keysOfSet(text: string): VerificationKey[] | undefined {
  const set = jsonObject(text)
  const list = set === undefined ? undefined : valueAt(set, ['keys'])
  if (!Array.isArray(list)) return undefined
  return list.slice(0, MAX_SET_KEYS).flatMap((jwk) => keyOfJwk(jwk) ?? [])
}

/** Public members only: a set that shows a private key is used as if it did not. */
const PUBLIC_MEMBERS = ['kty', 'crv', 'x', 'y', 'n', 'e'] as const

function keyOfJwk(jwk: JsonValue): VerificationKey | undefined {
  if (textAt(jwk, ['use']) === 'enc' || textAt(jwk, ['kty']) === 'oct') return undefined
  const members = PUBLIC_MEMBERS.map((name) => [name, textAt(jwk, [name])]).filter(([, value]) => value !== '')
  try {
    const key = createPublicKey({ key: Object.fromEntries(members), format: 'jwk' })
    if (!KEY_TYPES.includes(key.asymmetricKeyType)) return undefined
    return { kid: textAt(jwk, ['kid']) || undefined, algorithm: textAt(jwk, ['alg']) || undefined, key }
  } catch {
    return undefined
  }
}

interface Fetched {
  readonly atMs: number
  readonly keys: readonly VerificationKey[]
}

/** The keys of one auth method. */
export class KeySource {
  readonly #place: KeyPlace
  readonly #transport: HttpTransport
  readonly #clock: Clock
  #fetched: Fetched | undefined
  #fetching: Promise<Fetched> | undefined
  #lastFetchMs = Number.NEGATIVE_INFINITY

  constructor(place: KeyPlace, modules: { readonly transport: HttpTransport; readonly clock: Clock }) {
    this.#place = place
    this.#transport = modules.transport
    this.#clock = modules.clock
  }

  /** @throws Error when keys cannot be fetched */
  async keys(): Promise<readonly VerificationKey[]> {
    if (this.#place.type === 'keys') return this.#place.keys
    const known = this.#fetched
    if (known !== undefined && this.#clock.nowMs() - known.atMs < KEYS_KEPT_MS) return known.keys
    return (await this.#fetch()).keys
  }

  /** Keys that may be newer than those of `keys()`; undefined where asking again is of no use now. */
  async newerKeys(): Promise<readonly VerificationKey[] | undefined> {
    if (this.#place.type === 'keys') return undefined
    if (this.#clock.nowMs() - this.#lastFetchMs < KEYS_REFETCH_MS) return undefined
    return (await this.#fetch()).keys
  }

  /** One at a time, whoever waits. */
  #fetch(): Promise<Fetched> {
    this.#fetching ??= this.#ask().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #ask(): Promise<Fetched> {
    this.#lastFetchMs = this.#clock.nowMs()
    const place = this.#place
    if (place.type === 'keys') return { atMs: this.#lastFetchMs, keys: place.keys }
    const url = place.type === 'jwks' ? place.url : await this.#discover(place.url, place.caPem)
    const keys = keysOfSet(await this.#get(url, place.caPem))
    if (keys === undefined) throw new Error(`"${url}" answered with something that is no JWK set`)
    this.#fetched = { atMs: this.#lastFetchMs, keys }
    return this.#fetched
  }

  async #discover(issuer: string, caPem: string | undefined): Promise<string> {
    const base = issuer.replace(/\/+$/, '')
    const document = jsonObject(await this.#get(`${base}/.well-known/openid-configuration`, caPem))
    if (document === undefined) throw new Error(`"${issuer}" answered with something that is no discovery document`)
    const named = textAt(document, ['issuer'])
    if (named.replace(/\/+$/, '') !== base) throw new Error(`"${issuer}" names another issuer: "${named}"`)
    const url = textAt(document, ['jwks_uri'])
    if (!url.startsWith('https://')) throw new Error(`"${issuer}" names no jwks_uri that begins with https://`)
    return url
  }

  async #get(url: string, caPem: string | undefined): Promise<string> {
    const headers = { Accept: 'application/json', 'User-Agent': `hanse/${HANSE_VERSION}` }
    const ca = caPem === undefined ? {} : { caPem }
    const { status, body } = await this.#transport({ method: 'GET', url, headers, ...ca })
    if (status !== 200) throw new Error(`"${url}" answered with status ${status}`)
    return body
  }
}
