/**
 * Auth method `jwt`: a token signed by an identity provider, checked with its public keys.
 *
 * The signature first, then who it is from, for whom and when; only then are claims copied. jose does the cryptography.
 *
 * Source: federation wire notes §11; RFC 7519; the public reference of the jwt auth method.
 */
import { compactVerify, decodeProtectedHeader } from 'jose'
import { type HanseError, messageOf } from '#base'
import type { JsonObject, JsonValue } from '#codec'
import type { LoginIdentity } from './bindings.ts'
import { aclError } from './errors.ts'
import { jsonObject, valueAt } from './json-path.ts'
import type { JwtConfig, Leeways } from './jwt-config.ts'
import type { KeySource, VerificationKey } from './jwt-keys.ts'

/**
 * Who the bearer of a JWT is.
 *
 * @param method - the auth method's name, for refusals
 * @throws HanseError LOGIN_REFUSED when the token is not good, LOGIN_UNAVAILABLE when keys cannot be fetched
 */
export async function jwtLogin(
  method: string,
  config: JwtConfig,
  bearerToken: string,
  keys: KeySource,
  wallMs: number,
): Promise<LoginIdentity> {
  const claims = await verifiedClaims(method, config, bearerToken, keys)
  const problem = claimsProblem(claims, config, wallMs)
  if (problem !== undefined) throw refused(method, problem)
  return identityOf(claims, config)
}

async function verifiedClaims(
  method: string,
  config: JwtConfig,
  bearerToken: string,
  source: KeySource,
): Promise<JsonObject> {
  const header = headerOf(bearerToken)
  if (header === undefined) throw refused(method, 'it is not a JWT')
  if (!config.algorithms.includes(header.algorithm)) {
    throw refused(method, `its signature algorithm "${header.algorithm}" is not one of ${config.algorithms.join(', ')}`)
  }
  const verified =
    (await verifyWith(await fetched(method, () => source.keys()), header, bearerToken)) ??
    (await verifyWith((await fetched(method, () => source.newerKeys())) ?? [], header, bearerToken))
  if (verified === undefined) throw refused(method, 'no known key successfully validated the token signature')
  const claims = jsonObject(verified)
  if (claims === undefined) throw refused(method, 'its payload is no JSON object')
  return claims
}

interface Header {
  readonly algorithm: string
  readonly kid: string | undefined
}

function headerOf(bearerToken: string): Header | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(bearerToken)
    if (bearerToken.split('.').length !== 3) return undefined
    return { algorithm: typeof alg === 'string' ? alg : '', kid: typeof kid === 'string' ? kid : undefined }
  } catch {
    return undefined
  }
}

/** The payload, once a key fits; a key that names another `kid` or algorithm is not tried. */
async function verifyWith(
  keys: readonly VerificationKey[],
  { algorithm, kid }: Header,
  bearerToken: string,
): Promise<string | undefined> {
  for (const candidate of keys) {
    if (candidate.kid !== undefined && kid !== undefined && candidate.kid !== kid) continue
    if (candidate.algorithm !== undefined && candidate.algorithm !== algorithm) continue
    try {
      const { payload } = await compactVerify(bearerToken, candidate.key, { algorithms: [algorithm] })
      return Buffer.from(payload).toString('utf8')
    } catch {
      // The next key may fit; if none does, the token is refused.
    }
  }
  return undefined
}

async function fetched<T>(method: string, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch()
  } catch (thrown) {
    throw aclError('LOGIN_UNAVAILABLE', { method, reason: messageOf(thrown) }, thrown)
  }
}

/** What is wrong with a verified token; undefined when nothing is. */
export function claimsProblem(
  claims: JsonObject,
  config: Pick<JwtConfig, 'boundIssuer' | 'boundAudiences' | 'leeways'>,
  wallMs: number,
): string | undefined {
  const { boundIssuer, boundAudiences, leeways } = config
  if (boundIssuer !== '' && claims['iss'] !== boundIssuer) return 'its issuer (iss) is not the bound one'
  const audiences = listOf(claims['aud'] ?? null)
  if (boundAudiences.length > 0 && !audiences.some((audience) => boundAudiences.includes(audience))) {
    return 'its audience (aud) is none of the bound ones'
  }
  return timesProblem(claims, leeways, wallMs)
}

const MS_PER_S = 1000

function timesProblem(claims: JsonObject, leeways: Leeways, wallMs: number): string | undefined {
  const times: (number | undefined)[] = []
  for (const name of ['exp', 'nbf', 'iat']) {
    const value = claims[name] ?? null
    if (value !== null && typeof value !== 'number') return `its time "${name}" is not a number`
    times.push(value === null ? undefined : value * MS_PER_S)
  }
  const [expires, begins, issued] = times
  if (expires === undefined && begins === undefined && issued === undefined) {
    return 'it has no time: one of exp, nbf and iat is needed'
  }
  const notBefore = begins ?? issued ?? 0
  const end = expires ?? Math.max(begins ?? 0, issued ?? 0) + leeways.withoutExpirationMs
  const skew = leeways.skewMs
  if (wallMs - skew - (expires === undefined ? 0 : leeways.expirationMs) >= end) return 'it is expired (exp)'
  if (wallMs + skew + (begins === undefined ? 0 : leeways.notBeforeMs) < notBefore) return 'it is not valid yet (nbf)'
  if (issued !== undefined && wallMs + skew < issued) return 'it was issued in the future (iat)'
  return undefined
}

/** Claims → variables and lists, as the config maps them. A claim that is missing, or is no single value, is left out. */
export function identityOf(claims: JsonObject, config: Pick<JwtConfig, 'claims' | 'listClaims'>): LoginIdentity {
  const value: Record<string, string> = {}
  const variables = new Map<string, string>()
  for (const [claim, name] of config.claims) {
    const text = singleText(claimAt(claims, claim))
    if (text === undefined) continue
    value[name] = text
    variables.set(`value.${name}`, text)
  }
  const list: Record<string, readonly string[]> = {}
  for (const [claim, name] of config.listClaims) list[name] = listOf(claimAt(claims, claim) ?? null)
  return { selectable: { value, list }, variables }
}

/** `sub`, or a JSON pointer such as `/org/team` (RFC 6901). */
function claimAt(claims: JsonObject, claim: string): JsonValue | undefined {
  if (!claim.startsWith('/')) return Object.hasOwn(claims, claim) ? claims[claim] : undefined
  const path = claim.slice(1).split('/')
  return valueAt(
    claims,
    path.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')),
  )
}

function singleText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

function listOf(value: JsonValue): readonly string[] {
  return (Array.isArray(value) ? value : [value]).flatMap((item) => singleText(item ?? undefined) ?? [])
}

function refused(method: string, reason: string): HanseError {
  return aclError('LOGIN_REFUSED', { method, reason })
}
