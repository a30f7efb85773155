/**
 * The opaque `Config` of an auth method → typed values. Keys match whatever their case; an unknown key is refused,
 * because a misspelt one would leave a check out.
 */
import { type HanseError, parseDuration } from '#base'
import { type ACLAuthMethod, certificatesFromPem } from '#codec'
import { aclError } from './errors.ts'

type Config = NonNullable<ACLAuthMethod['Config']>
type ConfigValue = Config[string]

/** A refusal of a config. */
export function configInvalid(problem: string): HanseError {
  return aclError('AUTH_METHOD_INVALID', { problem })
}

export class ConfigReader {
  readonly #values = new Map<string, ConfigValue>()

  /** @throws HanseError AUTH_METHOD_INVALID when a key is none of `known` */
  constructor(config: Config | null, known: readonly string[]) {
    for (const [key, value] of Object.entries(config ?? {})) {
      const name = known.find((candidate) => candidate.toLowerCase() === key.toLowerCase())
      if (name === undefined) throw configInvalid(`Config has an unknown key "${key}"`)
      this.#values.set(name, value)
    }
  }

  /** Empty when not given. */
  text(key: string): string {
    const value = this.#values.get(key) ?? ''
    if (typeof value !== 'string') throw configInvalid(`Config.${key} should be a string`)
    return value
  }

  texts(key: string): readonly string[] {
    const value = this.#values.get(key) ?? []
    if (!isList(value)) throw configInvalid(`Config.${key} should be a list of strings`)
    return value.map((item) => {
      if (typeof item !== 'string') throw configInvalid(`Config.${key} should be a list of strings`)
      return item
    })
  }

  /** Certificates in PEM, as given; undefined when not given. */
  certificates(key: string): string | undefined {
    const pem = this.text(key)
    if (pem === '') return undefined
    try {
      certificatesFromPem(pem, key)
      return pem
    } catch {
      throw configInvalid(`error parsing Config.${key}: it has no certificate in PEM that can be read`)
    }
  }

  /** Text by text: claim → name. */
  mapping(key: string): ReadonlyMap<string, string> {
    const value = this.#values.get(key) ?? {}
    if (typeof value !== 'object' || isList(value) || value instanceof Uint8Array) {
      throw configInvalid(`Config.${key} should be a map of strings`)
    }
    return new Map(
      Object.entries(value).map(([from, to]) => {
        if (typeof to !== 'string') throw configInvalid(`Config.${key} should be a map of strings`)
        return [from, to]
      }),
    )
  }

  /** Nanoseconds; a number is nanoseconds too; 0 when not given. */
  duration(key: string): number {
    const value = this.#values.get(key) ?? 0
    const ns = typeof value === 'string' ? (value === '' ? 0 : parseDuration(value)) : Number(value)
    if (ns === undefined || !Number.isFinite(ns)) throw configInvalid(`Config.${key} should be a duration`)
    return ns
  }
}

function isList(value: ConfigValue): value is readonly ConfigValue[] {
  return Array.isArray(value)
}
