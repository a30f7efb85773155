/**
 * The config of auth method `jwt`, checked when it is written and again when it is used.
 *
 * Source: federation wire notes §11; the public reference of the jwt auth method.
 */
import type { ACLAuthMethod } from '#codec'
import type { IdentityShape } from './bindings.ts'
import { ConfigReader, configInvalid } from './config-reader.ts'
import { type KeyPlace, publicKeyOf } from './jwt-keys.ts'

/** Signature algorithms with public keys; never `none`, never one with a shared secret. */
export const SIGNATURE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
] as const

/** Most keys in a config. */
export const MAX_CONFIG_KEYS = 64

export interface JwtConfig {
  readonly keys: KeyPlace
  readonly algorithms: readonly string[]
  /** Empty: any issuer that has the keys. */
  readonly boundIssuer: string
  /** Any of them; empty: any audience. */
  readonly boundAudiences: readonly string[]
  /** Claim, or JSON pointer to one → the variable `value.<x>`. */
  readonly claims: ReadonlyMap<string, string>
  /** Claim → the list `list.<x>`. */
  readonly listClaims: ReadonlyMap<string, string>
  readonly leeways: Leeways
}

/** Milliseconds. */
export interface Leeways {
  /** How long a token without `exp` is good after its other time. */
  readonly withoutExpirationMs: number
  /** On top of the clock skew, where the config asks for it. */
  readonly expirationMs: number
  readonly notBeforeMs: number
  /** How far the issuer's clock may be off. */
  readonly skewMs: number
}

const KEYS = [
  'JWTSupportedAlgs',
  'JWTValidationPubKeys',
  'JWKSURL',
  'JWKSCACert',
  'OIDCDiscoveryURL',
  'OIDCDiscoveryCACert',
  'BoundIssuer',
  'BoundAudiences',
  'ClaimMappings',
  'ListClaimMappings',
  'ExpirationLeeway',
  'NotBeforeLeeway',
  'ClockSkewLeeway',
]

/** @throws HanseError AUTH_METHOD_INVALID */
export function jwtConfig(config: ACLAuthMethod['Config']): JwtConfig {
  const reader = new ConfigReader(config, KEYS)
  const keys = keyPlace(reader)
  return {
    keys,
    algorithms: algorithms(reader, keys),
    boundIssuer: reader.text('BoundIssuer'),
    boundAudiences: reader.texts('BoundAudiences'),
    claims: mappings(reader, 'ClaimMappings'),
    listClaims: mappings(reader, 'ListClaimMappings'),
    leeways: leeways(reader),
  }
}

/** What selectors and names of a method's binding rules may refer to. */
export function jwtShape({ claims, listClaims }: Pick<JwtConfig, 'claims' | 'listClaims'>): IdentityShape {
  const values = [...claims.values()]
  return {
    fields: {
      value: Object.fromEntries(values.map((name) => [name, 'string'])),
      list: Object.fromEntries([...listClaims.values()].map((name) => [name, 'list'])),
    },
    variables: values.map((name) => `value.${name}`),
  }
}

function keyPlace(reader: ConfigReader): KeyPlace {
  const pems = reader.texts('JWTValidationPubKeys')
  const jwks = reader.text('JWKSURL')
  const discovery = reader.text('OIDCDiscoveryURL')
  const given = [pems.length > 0, jwks !== '', discovery !== ''].filter(Boolean).length
  if (given !== 1) {
    throw configInvalid("exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' must be set")
  }
  if (jwks !== '') {
    return { type: 'jwks', url: secureUrl('JWKSURL', jwks), caPem: reader.certificates('JWKSCACert') }
  }
  if (discovery !== '') {
    const url = secureUrl('OIDCDiscoveryURL', discovery)
    return { type: 'discovery', url, caPem: reader.certificates('OIDCDiscoveryCACert') }
  }
  if (pems.length > MAX_CONFIG_KEYS) {
    throw configInvalid(`${pems.length} JWTValidationPubKeys, the limit is ${MAX_CONFIG_KEYS}`)
  }
  const keys = pems.map((pem, index) => {
    const key = publicKeyOf(pem)
    if (key !== undefined) return { kid: undefined, algorithm: undefined, key }
    throw configInvalid(
      `error parsing public key JWTValidationPubKeys[${index}]: data does not contain any valid RSA, ECDSA, or ED25519 public keys`,
    )
  })
  return { type: 'keys', keys }
}

function secureUrl(key: string, url: string): string {
  if (URL.canParse(url) && new URL(url).protocol === 'https:') return url
  throw configInvalid(`Config.${key} should be a URL that begins with https://`)
}

/** A key given here fits only its own algorithms; one that is fetched could be of any kind, so RS256 is the default. */
function algorithms(reader: ConfigReader, keys: KeyPlace): readonly string[] {
  const wanted = reader.texts('JWTSupportedAlgs')
  const known: readonly string[] = SIGNATURE_ALGORITHMS
  const unknown = wanted.find((name) => !known.includes(name))
  if (unknown !== undefined) throw configInvalid(`Invalid supported algorithm "${unknown}"`)
  if (wanted.length > 0) return wanted
  return keys.type === 'keys' ? known : ['RS256']
}

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/

function mappings(reader: ConfigReader, key: string): ReadonlyMap<string, string> {
  const mapping = reader.mapping(key)
  const names = [...mapping.values()]
  const bad = names.find((name) => !VARIABLE_NAME.test(name))
  if (bad !== undefined) throw configInvalid(`Config.${key} has a name that cannot be a variable: "${bad}"`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw configInvalid(`Config.${key} contains multiple mappings for key "${twice}"`)
  return mapping
}

const NS_PER_MS = 1e6
const LEEWAY_DEFAULT_MS = 150_000
const SKEW_DEFAULT_MS = 60_000

/** 0 is the default, -1 none. */
function leeways(reader: ConfigReader): Leeways {
  const of = (key: string, defaultMs: number) => {
    const ns = reader.duration(key)
    return ns === 0 ? defaultMs : Math.max(0, ns / NS_PER_MS)
  }
  return {
    withoutExpirationMs: of('ExpirationLeeway', LEEWAY_DEFAULT_MS),
    expirationMs: of('ExpirationLeeway', 0),
    notBeforeMs: of('NotBeforeLeeway', 0),
    skewMs: of('ClockSkewLeeway', SKEW_DEFAULT_MS),
  }
}
