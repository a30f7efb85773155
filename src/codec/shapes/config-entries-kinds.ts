/**
 * Kinds of the fields of config entries: strict on the wire, lenient in JSON.
 *
 * People write entries as JSON and HCL, in CamelCase and snake_case, numbers as text, one block where a list is meant;
 * Consul takes all of that. What cannot be taken is collected, all of it, because a person repairs a file in one go.
 * The wire and the JSON that is shown are those of schema.ts.
 */
import { formatDuration, parseDuration } from '#base'
import { codecError } from '../errors.ts'
import { goJsonError } from '../go-json-errors.ts'
import { type JsonReadOptions, type Kind, setKey } from '../kind.ts'
import type { MsgpackValue } from '../msgpack-value.ts'
import * as schema from '../schema.ts'

/** What was wrong with a body: keys that no field has, and values that no field can hold, both with their paths. */
export interface ReadProblems {
  readonly unknown: string[]
  readonly errors: string[]
}

export interface LenientReadOptions extends JsonReadOptions {
  readonly problems: ReadProblems
}

function report(options: JsonReadOptions, text: string): void {
  if (isLenient(options)) options.problems.errors.push(text)
  else throw goJsonError('JSON_DECODE', { problem: text })
}

function isLenient(options: JsonReadOptions): options is LenientReadOptions {
  return 'problems' in options
}

function lenient<T>(kind: Kind<T>, read: (json: unknown, path: string, options: JsonReadOptions) => T): Kind<T> {
  return { ...kind, fromJson: (json, path, options) => (isNothing(json) ? kind.zero() : read(json, path, options)) }
}

function isNothing(json: unknown): json is null | undefined {
  return json === null || json === undefined
}

type Scalar = string | number | bigint | boolean
const isScalar = (json: unknown): json is Scalar => json !== null && typeof json !== 'object' && json !== undefined

function unconvertible(options: JsonReadOptions, path: string, wanted: string, json: unknown): void {
  const got = Array.isArray(json) ? '[]interface {}' : isScalar(json) ? goType(json) : 'map[string]interface {}'
  report(options, `'${path}' expected type '${wanted}', got unconvertible type '${got}'`)
}

function goType(json: Scalar): string {
  return typeof json === 'boolean' ? 'bool' : typeof json === 'string' ? 'string' : 'float64'
}

function unparsable(options: JsonReadOptions, path: string, as: string, call: string, text: string): void {
  report(options, `cannot parse '${path}' as ${as}: strconv.${call}: parsing ${JSON.stringify(text)}: invalid syntax`)
}

/** Text; numbers and booleans are taken for it. */
export const text: Kind<string> = lenient(schema.string, (json, path, options) => {
  if (!isScalar(json)) unconvertible(options, path, 'string', json)
  else return typeof json === 'boolean' ? (json ? '1' : '0') : String(json)
  return ''
})

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE = new Set(['', '0', 'f', 'F', 'FALSE', 'false', 'False'])

export const truth: Kind<boolean> = lenient(schema.bool, (json, path, options) => {
  if (typeof json === 'string') {
    if (!TRUE.has(json) && !FALSE.has(json)) unparsable(options, path, 'bool', 'ParseBool', json)
    return TRUE.has(json)
  }
  if (isScalar(json)) return typeof json === 'boolean' ? json : Number(json) !== 0
  unconvertible(options, path, 'bool', json)
  return false
})

function readNumber(json: unknown, path: string, options: JsonReadOptions, type: string, call: string): number {
  if (typeof json === 'string') {
    const number = json.trim() === '' ? Number.NaN : Number(json)
    if (!Number.isNaN(number)) return number
    unparsable(options, path, type.startsWith('float') ? 'float' : type, call, json)
    return 0
  }
  if (isScalar(json)) return Number(json)
  unconvertible(options, path, type, json)
  return 0
}

/** A whole number; digits behind the point are cut off. */
export const whole: Kind<number> = lenient(schema.int, (json, path, options) => {
  const number = Math.trunc(readNumber(json, path, options, 'int', 'ParseInt'))
  if (Number.isSafeInteger(number)) return number
  report(options, `cannot parse '${path}' as int: ${String(json)} is out of range`)
  return 0
})

export const natural: Kind<number> = lenient(schema.uint, (json, path, options) => {
  const number = Math.trunc(readNumber(json, path, options, 'uint', 'ParseUint'))
  if (Number.isSafeInteger(number) && number >= 0) return number
  report(options, `cannot parse '${path}', ${String(json)} overflows uint`)
  return 0
})

/** Hashes use all 64 bits. */
export const natural64: Kind<number | bigint> = lenient(schema.uint64, (json, path, options) =>
  typeof json === 'bigint' && json >= 0n ? json : natural.fromJson(json, path, options),
)

/** 32-bit floats: five bytes on the wire, the shortest decimal in JSON. */
export const float32: Kind<number> = {
  ...lenient(schema.float, (json, path, options) => {
    const number = Math.fround(readNumber(json, path, options, 'float32', 'ParseFloat'))
    return Number.isFinite(number) ? number : 0
  }),
  kindName: 'float32',
  write: (writer, value) => {
    const encoded = Buffer.alloc(5)
    encoded[0] = 0xca
    encoded.writeFloatBE(value, 1)
    writer.append(encoded)
  },
  toJson: shortestFloat32,
}

/** The shortest decimal that is the same 32-bit float: 100.001, never 100.00099945068359. */
export function shortestFloat32(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return value
}

function readDuration(json: unknown, path: string, options: JsonReadOptions): number {
  if (typeof json !== 'string') return Math.trunc(readNumber(json, path, options, 'time.Duration', 'ParseInt'))
  const ns = parseDuration(json)
  if (ns !== undefined && Number.isSafeInteger(ns)) return ns
  const problem = /^[+-]?\d+(\.\d*)?$/.test(json) ? 'missing unit in' : 'invalid'
  report(options, `error decoding '${path}': time: ${problem} duration ${JSON.stringify(json)}`)
  return 0
}

/** Nanoseconds on the wire, "5s" in JSON; left out of JSON when zero. */
export const duration: Kind<number> = {
  ...lenient(schema.int, readDuration),
  kindName: 'duration',
  toJson: formatDuration,
  traits: { jsonOmitEmpty: true },
}
/** Nanoseconds on the wire and, unlike its neighbours, in JSON. */
export const durationNumber: Kind<number> = { ...lenient(schema.int, readDuration), kindName: 'duration' }

export const moment: Kind<string> = lenient(schema.time, (json, path, options) => {
  try {
    return schema.time.fromJson(json, path, options)
  } catch {
    report(options, `error decoding '${path}': not an RFC 3339 time`)
    return schema.ZERO_TIME
  }
})

/** Left out of JSON when empty. */
export const omit = <T>(kind: Kind<T>): Kind<T> => schema.jsonOmitEmpty(kind)

/** A list; a single value stands for a list of one. */
export function list<T>(item: Kind<T>): Kind<readonly T[] | null> {
  return lenient(schema.list(item), (json, path, options) => {
    const items: readonly unknown[] = Array.isArray(json) ? json : [json]
    return items.map((entry, index) => item.fromJson(entry, `${path}[${index}]`, options))
  })
}

/** A map; a list of maps (repeated blocks of HCL) is merged. */
export function map<T>(item: Kind<T>): Kind<Readonly<Record<string, T>> | null> {
  return lenient(schema.map(item), (json, path, options) => {
    const out: Record<string, T> = {}
    for (const part of Array.isArray(json) ? json : [json]) {
      if (!isObject(part)) {
        report(options, `'${path}' expected a map, got '${isScalar(part) ? goType(part) : 'slice'}'`)
        continue
      }
      for (const [key, entry] of Object.entries(part)) {
        setKey(out, key, item.fromJson(entry, `${path}[${key}]`, options))
      }
    }
    return out
  })
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** The name that all spellings of a key have in common: MeshGateway, meshGateway, mesh_gateway. */
const spelling = (key: string) => key.replaceAll('_', '').toLowerCase()

/** A struct whose JSON is read leniently. Fields in JSON order. */
export function record<F extends Readonly<Record<string, Kind<unknown>>>>(
  name: string,
  declared: F,
): schema.Struct<schema.Shape<F>> {
  const base = schema.struct(name, declared)
  const byKey = new Map(
    Object.entries(base.fields)
      .filter(([, kind]) => kind.traits?.json !== false)
      .map(([field, kind]) => [spelling(kind.traits?.jsonName ?? field), { field, kind }]),
  )
  const read: typeof base.fromJson = (json, path, options) => {
    const given = Array.isArray(json) && json.length === 1 ? json[0] : json
    if (isNothing(given)) return base.zero()
    if (!isObject(given)) {
      report(options, `'${path}' expected a map, got '${Array.isArray(given) ? 'slice' : typeof given}'`)
      return base.zero()
    }
    const out: Record<string, unknown> = {}
    for (const [key, member] of Object.entries(given)) {
      const at = path === '' ? key : `${path}.${key}`
      const found = byKey.get(spelling(key))
      if (found) out[found.field] = found.kind.fromJson(member, at, options)
      else if (isLenient(options)) options.problems.unknown.push(at)
      else if (options.unknownKeys === 'refuse') throw codecError('JSON_UNKNOWN_FIELD', { field: key })
    }
    return base.of(out as Partial<schema.Shape<F>>)
  }
  return { ...base, fromJson: read }
}

/** Maps without a schema, as people give them to Envoy. */
export const opaque: Kind<Readonly<Record<string, MsgpackValue>> | null> = lenient(
  schema.map(schema.any),
  (json, path, options) => {
    const given: unknown = Array.isArray(json) && json.length === 1 ? json[0] : json
    if (isObject(given)) return schema.map(schema.any).fromJson(withoutNull(given), path, options)
    report(options, `'${path}' expected a map, got '${Array.isArray(given) ? 'slice' : typeof given}'`)
    return null
  },
)

/** A nil inside an opaque map stops a real server for good, so none is ever taken in. Integers are floats there. */
function withoutNull(json: unknown): unknown {
  if (typeof json === 'bigint') return Number(json)
  if (Array.isArray(json)) return json.filter((item) => !isNothing(item)).map(withoutNull)
  if (!isObject(json)) return json
  const out: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(json)) {
    if (!isNothing(member)) setKey(out, key, withoutNull(member))
  }
  return out
}

/** The kind of an entry: a field of JSON and, for most kinds, of the wire, where some callers leave it empty. */
export function constant<K extends string>(value: K): Kind<K> {
  return {
    kindName: 'string',
    zero: () => value,
    isEmpty: () => false,
    write: (writer) => writer.string(value),
    read: (reader) => {
      if (!reader.nil()) reader.string()
      return value
    },
    toJson: () => value,
    fromJson: () => value,
  }
}
