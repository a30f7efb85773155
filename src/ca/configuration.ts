/**
 * The certificate authority's configuration: what operators write (`connect ca set-config`, `ca_config`), checked once
 * and turned into values with units.
 *
 * Keys are accepted in the API's spelling and in that of configuration files (`LeafCertTTL`, `leaf_cert_ttl`). A private
 * key that is given here goes into the settings and nowhere else: the configuration that is kept and shown has none.
 *
 * Source: recorded bodies of /v1/connect/ca/configuration; the public reference of the built-in CA provider.
 */
import { formatDuration, parseDuration } from '#base'
import { CAConfiguration } from '#codec'
import { caError } from './errors.ts'

export const PROVIDER = 'consul'
const HOUR_MS = 3_600_000
const NS_PER_MS = 1e6
/** Shortest life of a leaf: renewal and rotation must have time. */
export const MIN_LEAF_TTL_MS = HOUR_MS
/** An intermediate is renewed at half of its life, and leafs must not outlive it. */
const INTERMEDIATE_PER_LEAF = 3
/** X.509 dates end in the year 9999; nobody needs more than 100 years. */
const MAX_TTL_MS = 100 * 8760 * HOUR_MS
const EC_BITS = [224, 256, 384, 521]
const RSA_BITS = [2048, 4096]
const DEFAULT_TTLS = { IntermediateCertTTL: '8760h', LeafCertTTL: '72h', RootCertTTL: '87600h' } as const

export interface KeyShape {
  readonly type: 'ec' | 'rsa'
  readonly bits: number
}

/** The configuration as values. */
export interface CASettings {
  readonly leafTtlMs: number
  readonly intermediateTtlMs: number
  readonly rootTtlMs: number
  readonly key: KeyShape
  /** Leafs signed per second at most; 0: no limit. */
  readonly csrMaxPerSecond: number
  readonly forceWithoutCrossSigning: boolean
  /** A root of the operator's own, or only a key to make one with. The key is a secret. */
  readonly given: { readonly rootPem: string; readonly keyPem: string } | undefined
}

export interface CheckedConfiguration {
  readonly settings: CASettings
  /** What is kept and shown: with the TTLs in force, without a private key. */
  readonly shown: CAConfiguration
}

/** What a federation begins with. */
export const DEFAULT_CONFIGURATION: CAConfiguration = CAConfiguration.of({ Provider: PROVIDER, Config: DEFAULT_TTLS })

const KEYS = [
  'LeafCertTTL',
  'IntermediateCertTTL',
  'RootCertTTL',
  'PrivateKeyType',
  'PrivateKeyBits',
  'PrivateKey',
  'RootCert',
  'CSRMaxPerSecond',
  'CSRMaxConcurrent',
  'SkipValidate',
  'RotationPeriod',
] as const
type Key = (typeof KEYS)[number]
const BY_SPELLING = new Map(KEYS.map((key) => [key.toLowerCase(), key]))

type Values = Partial<Record<Key, NonNullable<CAConfiguration['Config']>[string]>>

function badConfig(reason: string) {
  return caError('CA_BAD_CONFIG', { reason })
}

function decodeProblem(problem: string) {
  return badConfig(`error decoding config: 1 error(s) decoding:\n\n* ${problem}`)
}

function valuesOf(config: CAConfiguration['Config']): Values {
  const values: Values = {}
  for (const [spelling, value] of Object.entries(config ?? {})) {
    const key = BY_SPELLING.get(spelling.toLowerCase().replaceAll('_', ''))
    if (key === undefined) throw decodeProblem(`'' has invalid keys: ${spelling}`)
    values[key] = value
  }
  return values
}

function textOf(values: Values, key: Key): string {
  const value = values[key] ?? ''
  if (typeof value !== 'string') throw decodeProblem(`'${key}' expected type 'string', got ${typeof value}`)
  return value
}

function numberOf(values: Values, key: Key, fallback: number): number {
  const value = values[key] ?? ''
  if (value === '') return fallback
  const number = typeof value === 'boolean' ? Number.NaN : Number(value)
  if (!Number.isFinite(number)) throw decodeProblem(`cannot parse '${key}' as a number`)
  return number
}

/** Go's decoder words what is wrong with a duration in three ways; clients show the text. */
function durationProblem(text: string): string {
  const number = /^[+-]?(?:\d+\.?\d*|\.\d+)$/
  if (number.test(text)) return `time: missing unit in duration ${JSON.stringify(text)}`
  const unit = /^[+-]?(?:\d+\.?\d*|\.\d+)([^\d.]+)/.exec(text)?.[1]
  if (unit !== undefined) return `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`
  return `time: invalid duration ${JSON.stringify(text)}`
}

function ttlOf(values: Values, key: keyof typeof DEFAULT_TTLS): number {
  const text = textOf(values, key) || DEFAULT_TTLS[key]
  const ns = parseDuration(text)
  if (ns === undefined) throw decodeProblem(`error decoding '${key}': ${durationProblem(text)}`)
  const ms = Math.floor(ns / NS_PER_MS)
  if (ms > MAX_TTL_MS) throw badConfig(`${key} must be at most ${inWords(MAX_TTL_MS)}`)
  return ms
}

function inWords(ms: number): string {
  return formatDuration(ms * NS_PER_MS)
}

function ttlsOf(values: Values): Pick<CASettings, 'leafTtlMs' | 'intermediateTtlMs' | 'rootTtlMs'> {
  const leafTtlMs = ttlOf(values, 'LeafCertTTL')
  const intermediateTtlMs = ttlOf(values, 'IntermediateCertTTL')
  const rootTtlMs = ttlOf(values, 'RootCertTTL')
  if (leafTtlMs < MIN_LEAF_TTL_MS) {
    throw badConfig(`leaf cert TTL must be greater or equal than ${inWords(MIN_LEAF_TTL_MS)}`)
  }
  const least = INTERMEDIATE_PER_LEAF * leafTtlMs
  if (intermediateTtlMs < least) {
    throw badConfig(`intermediate cert TTL must be greater or equal than 3 * leaf cert TTL (${inWords(least)})`)
  }
  if (rootTtlMs < intermediateTtlMs) {
    throw badConfig(`root cert TTL must be greater or equal than intermediate cert TTL (${inWords(intermediateTtlMs)})`)
  }
  return { leafTtlMs, intermediateTtlMs, rootTtlMs }
}

function keyShapeOf(values: Values): KeyShape {
  const type = textOf(values, 'PrivateKeyType') || 'ec'
  if (type !== 'ec' && type !== 'rsa') throw badConfig("private key type must be either 'ec' or 'rsa'")
  const allowed = type === 'ec' ? EC_BITS : RSA_BITS
  const asked = numberOf(values, 'PrivateKeyBits', 0)
  const bits = asked === 0 ? (type === 'ec' ? 256 : 2048) : asked
  if (!allowed.includes(bits)) {
    throw badConfig(`${type.toUpperCase()} key length must be one of (${allowed.join(', ')}) bits`)
  }
  return { type, bits }
}

function givenOf(values: Values): CASettings['given'] {
  const [rootPem, keyPem] = [textOf(values, 'RootCert'), textOf(values, 'PrivateKey')]
  return rootPem === '' && keyPem === '' ? undefined : { rootPem, keyPem }
}

/**
 * Checks a configuration as it came from an operator, a file or another datacenter.
 *
 * @throws CA_UNKNOWN_PROVIDER, CA_BAD_CONFIG
 */
export function checkConfiguration(configuration: CAConfiguration): CheckedConfiguration {
  const { Provider, Config, ForceWithoutCrossSigning } = configuration
  if (Provider !== PROVIDER) throw caError('CA_UNKNOWN_PROVIDER', { provider: Provider })
  const values = valuesOf(Config)
  const csrMaxPerSecond = numberOf(values, 'CSRMaxPerSecond', 50)
  if (csrMaxPerSecond < 0) throw badConfig('CSRMaxPerSecond must not be negative')
  const settings: CASettings = {
    ...ttlsOf(values),
    key: keyShapeOf(values),
    csrMaxPerSecond,
    forceWithoutCrossSigning: ForceWithoutCrossSigning,
    given: givenOf(values),
  }
  const { PrivateKey: _secret, ...kept } = values
  return {
    settings,
    shown: CAConfiguration.of({ ...configuration, Config: { ...DEFAULT_TTLS, ...withoutEmpty(kept) } }),
  }
}

function withoutEmpty(values: Values): NonNullable<CAConfiguration['Config']> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== null))
}
