/**
 * A JSON body → a struct, the way Go decodes: keys match whatever their case, an unknown key and a wrong type are errors
 * in Go's words, `null` leaves a field at its zero value.
 *
 * For the few bodies that no schema type describes. Shapes are told with `JsonFields`; values are checked, not changed.
 */
import { goJsonError } from './go-json-errors.ts'
import type { JsonObject, JsonValue } from './go-json-reader.ts'

/** `any` takes everything; a list holds one kind; an object nests. */
export type JsonField = 'string' | 'bool' | 'int' | 'uint64' | 'float64' | 'any' | readonly [JsonField] | JsonStruct
export interface JsonStruct {
  /** Go's name of the struct, as it stands in errors. */
  readonly type: string
  readonly fields: Readonly<Record<string, JsonField>>
}

const GO_NAMES = { string: 'string', bool: 'bool', int: 'int', uint64: 'uint64', float64: 'float64' } as const

/**
 * Checks a body against a struct.
 *
 * @param goType - the Go type named when the body itself is no object (`structs.RegisterRequest`)
 * @returns the members under their canonical names, as they came
 * @throws HanseError JSON_DECODE: `json: unknown field "x"`, `json: cannot unmarshal number into Go struct field
 *   RegisterRequest.Node of type string`
 */
export function decodeJsonFields(value: JsonValue, struct: JsonStruct, goType: string = struct.type): JsonObject {
  if (value === null) return {}
  if (!isObject(value)) {
    throw goJsonError('JSON_DECODE', {
      problem: `json: cannot unmarshal ${jsonKind(value)} into Go value of type ${goType}`,
    })
  }
  return decodeStruct(value, struct, struct.type, '')
}

function decodeStruct(value: JsonObject, struct: JsonStruct, root: string, path: string): JsonObject {
  const out: JsonObject = {}
  for (const [key, member] of Object.entries(value)) {
    const name = matchField(Object.keys(struct.fields), key)
    const field = name === undefined ? undefined : struct.fields[name]
    if (name === undefined || field === undefined) {
      throw goJsonError('JSON_DECODE', { problem: `json: unknown field ${JSON.stringify(key)}` })
    }
    if (member === null) continue
    out[name] = decodeField(member, field, root, path === '' ? name : `${path}.${name}`)
  }
  return out
}

/** The canonical name of a key: exact first, then whatever its case; undefined when nothing matches. */
export function matchField(names: readonly string[], key: string): string | undefined {
  if (names.includes(key)) return key
  const folded = key.toLowerCase()
  return names.find((name) => name.toLowerCase() === folded)
}

function decodeField(value: JsonValue, field: JsonField, root: string, path: string): JsonValue {
  if (field === 'any') return value
  if (typeof field === 'string') {
    if (!fits(value, field)) throw mismatch(jsonDetail(value, field), root, path, GO_NAMES[field])
    return value
  }
  if (isList(field)) {
    if (!Array.isArray(value)) throw mismatch(jsonKind(value), root, path, goTypeName(field))
    return value.map((item) => (item === null ? item : decodeField(item, field[0], root, path)))
  }
  if (!isObject(value)) throw mismatch(jsonKind(value), root, path, field.type)
  return decodeStruct(value, field, root, path)
}

function fits(value: JsonValue, field: keyof typeof GO_NAMES): boolean {
  if (field === 'string') return typeof value === 'string'
  if (field === 'bool') return typeof value === 'boolean'
  if (typeof value !== 'number' && typeof value !== 'bigint') return false
  if (field === 'float64') return true
  if (typeof value === 'number') return Number.isSafeInteger(value) && (field === 'int' || value >= 0)
  return field === 'uint64' ? value >= 0n && value < 1n << 64n : value >= -(1n << 63n) && value < 1n << 63n
}

function mismatch(kind: string, root: string, path: string, type: string) {
  return goJsonError('JSON_DECODE', {
    problem: `json: cannot unmarshal ${kind} into Go struct field ${root}.${path} of type ${type}`,
  })
}

/** A number that is of the wrong sort is named with its digits, as Go does. */
function jsonDetail(value: JsonValue, field: string): string {
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  return isNumber && field !== 'string' && field !== 'bool' ? `number ${value}` : jsonKind(value)
}

function jsonKind(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'bigint' ? 'number' : typeof value
}

function goTypeName(field: JsonField): string {
  if (field === 'any') return 'interface {}'
  if (typeof field === 'string') return GO_NAMES[field]
  return isList(field) ? `[]${goTypeName(field[0])}` : field.type
}

function isList(field: JsonField): field is readonly [JsonField] {
  return Array.isArray(field)
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
