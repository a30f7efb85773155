/**
 * One schema per type: its fields, how each is written on the wire and in JSON, and when it is left out.
 *
 * The msgpack codec, the JSON codec and the TypeScript type are derived from it, so that a shape is written down once.
 * Fields are declared in the order in which Consul's JSON shows them; on the wire they are sorted by name, as its
 * peers write them. What a peer may send as nil (lists, maps, byte strings, pointers) is `null` here, because nil and
 * empty are different bytes and different JSON.
 *
 * Source: gossip wire notes §1 (reading rules), RPC wire notes §4.
 */
import { codecError } from './errors.ts'
import { deeper, type FieldTraits, type Json, type JsonReadOptions, jsonType, type Kind } from './kind.ts'
import { MsgpackReader } from './msgpack-reader.ts'
import { MsgpackWriter } from './msgpack-writer.ts'

export type { FieldTraits, Infer, Json, JsonReadOptions, Kind } from './kind.ts'
export { any } from './kind-any.ts'
export { list, map, pointer } from './kind-containers.ts'
export { bool, bytes, float, int, string, uint, uint64 } from './kind-scalars.ts'
export { time, timeFromBytes, timeToBytes, ZERO_TIME } from './kind-time.ts'

function withTraits<T>(kind: Kind<T>, traits: FieldTraits): Kind<T> {
  return { ...kind, traits: { ...kind.traits, ...traits } }
}

/** A field that is not sent when empty. */
export const wireOmitEmpty = <T>(kind: Kind<T>): Kind<T> => withTraits(kind, { wireOmitEmpty: true })
/** A field that JSON leaves out when empty. */
export const jsonOmitEmpty = <T>(kind: Kind<T>): Kind<T> => withTraits(kind, { jsonOmitEmpty: true })
/** A field that JSON calls otherwise. */
export const jsonName = <T>(name: string, kind: Kind<T>): Kind<T> => withTraits(kind, { jsonName: name })
/** A field of the wire that JSON never shows. */
export const wireOnly = <T>(kind: Kind<T>): Kind<T> => withTraits(kind, { json: false })
/** A field of JSON that never travels. */
export const jsonOnly = <T>(kind: Kind<T>): Kind<T> => withTraits(kind, { wire: false })

const mayBeLeftOut = (kind: Kind<unknown>): boolean => kind.traits?.wireOmitEmpty === true

function encodedName(field: string): Uint8Array {
  const writer = new MsgpackWriter()
  writer.string(field)
  return writer.finish()
}

type Fields = Readonly<Record<string, Kind<unknown>>>
/** The object type that a set of fields describes. */
export type Shape<F> = { readonly [K in keyof F]: F[K] extends Kind<infer T> ? T : never }

/** The schema of an object; `of()` makes one, with zero values for what is not given. */
export interface Struct<T> extends Kind<T> {
  readonly fields: Readonly<Record<string, Kind<unknown>>>
  of(given?: Partial<T>): T
}

/** Declares a type. Fields in JSON order; on the wire they are sorted by name. */
export function struct<F extends Fields>(name: string, declared: F): Struct<Shape<F>> {
  type T = Shape<F>
  // A field's kind is looked up by the field's own name, so value and kind always belong together.
  const fields: Fields = declared
  const entries = Object.entries(fields)
  const wire = entries
    .filter(([, kind]) => kind.traits?.wire !== false)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, kind], place) => ({ field, kind, place, name: encodedName(field), optional: mayBeLeftOut(kind) }))
  const places = new Map(wire.map((entry) => [entry.field, entry]))
  const alwaysSent = wire.every(({ optional }) => !optional)
  const jsonFields = entries
    .filter(([, kind]) => kind.traits?.json !== false)
    .map(([field, kind]) => ({ field, kind, name: kind.traits?.jsonName ?? field }))
  const byJsonName = new Map(jsonFields.map((entry) => [entry.name.toLowerCase(), entry]))

  const zeros = (): Record<string, unknown> => {
    const out: Record<string, unknown> = {}
    for (const [field, kind] of entries) out[field] = kind.zero()
    return out
  }
  // Copied for each record, which is quicker than to put it together; but what is nested each record has of its own.
  let template: Record<string, unknown> | undefined
  let nested: typeof entries = []
  const zeroRecord = (given?: object): Record<string, unknown> => {
    if (template === undefined) {
      template = zeros()
      const values = template
      nested = entries.filter(([field]) => typeof values[field] === 'object' && values[field] !== null)
    }
    // Not `{ ...template }`: all types share this line, and V8 spreads quickly only where it has seen one type.
    const out: Record<string, unknown> = Object.assign({}, template)
    for (const [field, kind] of nested) if (given === undefined || !(field in given)) out[field] = kind.zero()
    return given === undefined ? out : Object.assign(out, given)
  }
  const typed = (record: Record<string, unknown>): T => record as T
  const untyped = (value: T): Readonly<Record<string, unknown>> => value as Readonly<Record<string, unknown>>

  return {
    kindName: name,
    fields,
    of: (given) => typed(zeroRecord(given)),
    zero: () => typed(zeroRecord()),
    isEmpty: (value) => entries.every(([field, kind]) => kind.isEmpty(untyped(value)[field])),
    write: (writer, value) => {
      const record = untyped(value)
      const sent = alwaysSent
        ? wire
        : wire.filter(({ field, kind, optional }) => !(optional && kind.isEmpty(record[field])))
      writer.mapHeader(sent.length)
      for (const { field, kind, name: encoded } of sent) {
        writer.short(encoded)
        kind.write(writer, record[field])
      }
    },
    read: (reader, depth) => {
      const out = zeroRecord()
      if (reader.nil()) return typed(out)
      deeper(reader, depth)
      const count = reader.mapHeader()
      let expected = 0
      for (let i = 0; i < count; i++) {
        // Peers write the fields in this order: then a name is compared, and not made into a string.
        const next = wire[expected]
        const entry = next !== undefined && reader.short(next.name) ? next : places.get(reader.string())
        if (entry === undefined) reader.skip()
        else {
          expected = entry.place + 1
          out[entry.field] = entry.kind.read(reader, depth + 1)
        }
      }
      return typed(out)
    },
    toJson: (value) => {
      const record = untyped(value)
      const out: Record<string, Json> = {}
      for (const { field, kind, name } of jsonFields) {
        if (kind.traits?.jsonOmitEmpty && kind.isEmpty(record[field])) continue
        out[name] = kind.toJson(record[field])
      }
      return out
    },
    fromJson: (json, path, options) => {
      const out = zeroRecord()
      if (json === null) return typed(out)
      if (typeof json !== 'object' || Array.isArray(json)) return jsonType('object', json, path)
      for (const [key, entry] of Object.entries(json)) {
        const match = byJsonName.get(key.toLowerCase())
        if (match) out[match.field] = match.kind.fromJson(entry, path === '' ? key : `${path}.${key}`, options)
        else if (options.unknownKeys === 'refuse') throw codecError('JSON_UNKNOWN_FIELD', { field: key })
      }
      return typed(out)
    },
  }
}

/** A kind with other JSON than its own; the wire form stays. */
export function withJson<T>(
  kind: Kind<T>,
  json: { toJson: (value: T) => Json; fromJson: (json: unknown, path: string, options: JsonReadOptions) => T },
): Kind<T> {
  return { ...kind, ...json }
}

/** The bytes of one value. */
export function encode<T>(kind: Kind<T>, value: T): Buffer {
  const writer = new MsgpackWriter()
  kind.write(writer, value)
  return writer.finish()
}

/** One value from the front of `encoded`; bytes behind it are left alone. */
export function decode<T>(kind: Kind<T>, encoded: Uint8Array): T {
  return kind.read(new MsgpackReader(encoded), 0)
}

/** The next value of a reader. */
export function decodeFrom<T>(kind: Kind<T>, reader: MsgpackReader): T {
  return kind.read(reader, 0)
}
