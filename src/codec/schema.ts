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
import { MAX_DEPTH, MsgpackReader, type MsgpackValue, MsgpackWriter, writeValue } from './msgpack.ts'

/** What JSON.stringify can be handed; 64-bit integers come as JSON.rawJSON objects. */
export type Json = unknown

/** How one kind of value is read and written. (Methods, not properties: a Kind<string> is a Kind<unknown>.) */
export interface Kind<T> {
  readonly kindName: string
  /** The value of a field that was not sent. */
  zero(): T
  isEmpty(value: T): boolean
  write(writer: MsgpackWriter, value: T): void
  read(reader: MsgpackReader, depth: number): T
  toJson(value: T): Json
  /** @throws HanseError JSON_TYPE naming `path` */
  fromJson(json: unknown, path: string, options: JsonReadOptions): T
  readonly traits?: FieldTraits
}

export interface FieldTraits {
  /** Not sent when empty (Go's `omitempty` for the codec). */
  readonly wireOmitEmpty?: boolean
  readonly jsonOmitEmpty?: boolean
  readonly jsonName?: string
  /** false: never in JSON. */
  readonly json?: boolean
  /** false: never on the wire. */
  readonly wire?: boolean
}

export interface JsonReadOptions {
  /** What an unknown key does: Consul's API refuses it, its readers of stored data skip it. */
  readonly unknownKeys: 'refuse' | 'skip'
}

export type Infer<K> = K extends Kind<infer T> ? T : never

function jsonType(wanted: string, json: unknown, path: string): never {
  const got = json === null ? 'null' : Array.isArray(json) ? 'array' : typeof json === 'boolean' ? 'bool' : typeof json
  throw codecError('JSON_TYPE', { wanted, got, path })
}

export const string: Kind<string> = {
  kindName: 'string',
  zero: () => '',
  isEmpty: (value) => value === '',
  write: (writer, value) => writer.string(value),
  read: (reader) => (reader.nil() ? '' : reader.string()),
  toJson: (value) => value,
  fromJson: (json, path) => (json === null ? '' : typeof json === 'string' ? json : jsonType('string', json, path)),
}

export const bool: Kind<boolean> = {
  kindName: 'bool',
  zero: () => false,
  isEmpty: (value) => !value,
  write: (writer, value) => writer.bool(value),
  read: (reader) => (reader.nil() ? false : reader.bool()),
  toJson: (value) => value,
  fromJson: (json, path) => (json === null ? false : typeof json === 'boolean' ? json : jsonType('bool', json, path)),
}

function numberKind(kindName: string, read: (reader: MsgpackReader) => number, integer: boolean): Kind<number> {
  return {
    kindName,
    zero: () => 0,
    isEmpty: (value) => value === 0,
    write: integer ? (writer, value) => writer.int(value) : (writer, value) => writer.float(value),
    read: (reader) => (reader.nil() ? 0 : read(reader)),
    toJson: (value) => value,
    fromJson: (json, path) => {
      if (json === null) return 0
      const fits = typeof json === 'number' && (!integer || Number.isSafeInteger(json))
      return fits && (kindName !== 'uint' || json >= 0) ? json : jsonType(kindName, json, path)
    },
  }
}

export const int = numberKind('int', (reader) => reader.int(), true)
/** Unsigned and below 2^53: ports, indexes, Lamport times. */
export const uint = numberKind('uint', (reader) => reader.uint(), true)
export const float = numberKind('float64', (reader) => reader.float(), false)

/** All 64 bits: a number where it is exact, a bigint beyond 2^53 (`Hash`, KV `Flags`). */
export const uint64: Kind<number | bigint> = {
  kindName: 'uint64',
  zero: () => 0,
  isEmpty: (value) => value === 0,
  write: (writer, value) => writer.int(value),
  read: (reader) => (reader.nil() ? 0 : reader.integer()),
  toJson: (value) => (typeof value === 'bigint' ? rawJson(value.toString()) : value),
  fromJson: (json, path) => {
    if (json === null) return 0
    if (typeof json === 'bigint') return json
    return typeof json === 'number' && Number.isInteger(json) && json >= 0 ? json : jsonType('uint64', json, path)
  },
}

declare global {
  interface JSON {
    /** Text that JSON.stringify writes as it is (ECMAScript proposal, in V8 since 11.4). */
    rawJSON?(text: string): unknown
  }
}

function rawJson(text: string): Json {
  return JSON.rawJSON === undefined ? Number(text) : JSON.rawJSON(text)
}

/**
 * A value without a schema, as in the opaque `Config` maps. Numbers are float64 on the wire, as Go makes them of JSON;
 * integers that a peer sent as such are bigint here, so that they travel on as integers.
 */
export const any: Kind<MsgpackValue> = {
  kindName: 'any',
  zero: () => null,
  isEmpty: (value) => value === null,
  write: writeAny,
  read: (reader, depth) => readAny(reader, depth),
  toJson: anyToJson,
  fromJson: (json) => anyFromJson(json),
}

function writeAny(writer: MsgpackWriter, value: MsgpackValue): void {
  if (typeof value === 'number') writer.float(value)
  else if (value === null || typeof value !== 'object' || value instanceof Uint8Array) writeValue(writer, value)
  else if (isList(value)) {
    writer.arrayHeader(value.length)
    for (const item of value) writeAny(writer, item)
  } else {
    const keys = Object.keys(value).sort()
    writer.mapHeader(keys.length)
    for (const key of keys) {
      writer.string(key)
      writeAny(writer, value[key] ?? null)
    }
  }
}

function isList(value: MsgpackValue): value is readonly MsgpackValue[] {
  return Array.isArray(value)
}

function readAny(reader: MsgpackReader, depth: number): MsgpackValue {
  deeper(reader, depth)
  const code = reader.peek()
  const integer = code < 0x80 || code >= 0xe0 || (code >= 0xcc && code <= 0xd3)
  if (integer) return BigInt(reader.integer())
  if ((code >= 0x80 && code <= 0x8f) || code === 0xde || code === 0xdf) {
    const out: Record<string, MsgpackValue> = {}
    const count = reader.mapHeader()
    for (let i = 0; i < count; i++) {
      const key = reader.string()
      setKey(out, key, readAny(reader, depth + 1))
    }
    return out
  }
  if ((code >= 0x90 && code <= 0x9f) || code === 0xdc || code === 0xdd) {
    const count = reader.arrayHeader()
    return Array.from({ length: count }, () => readAny(reader, depth + 1))
  }
  return reader.value(depth)
}

function anyToJson(value: MsgpackValue): Json {
  if (typeof value === 'bigint') return rawJson(value.toString())
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isList(value)) return value.map(anyToJson)
  const out: Record<string, Json> = {}
  for (const key of Object.keys(value).sort()) setKey(out, key, anyToJson(value[key] ?? null))
  return out
}

function anyFromJson(json: unknown): MsgpackValue {
  if (json === null || json === undefined) return null
  if (typeof json === 'boolean' || typeof json === 'number' || typeof json === 'string' || typeof json === 'bigint')
    return json
  if (Array.isArray(json)) return json.map(anyFromJson)
  const out: Record<string, MsgpackValue> = {}
  for (const [key, entry] of Object.entries(json)) setKey(out, key, anyFromJson(entry))
  return out
}

/** Bytes; base64 in JSON. Reading copies nothing: the view lives as long as the message. */
export const bytes: Kind<Buffer | null> = {
  kindName: 'bytes',
  zero: () => null,
  isEmpty: (value) => value === null || value.length === 0,
  write: (writer, value) => (value === null ? writer.nil() : writer.raw(value)),
  read: (reader) => (reader.nil() ? null : reader.raw()),
  toJson: (value) => (value === null ? null : value.toString('base64')),
  fromJson: (json, path) => {
    if (json === null) return null
    if (typeof json !== 'string') return jsonType('[]uint8', json, path)
    return Buffer.from(json, 'base64')
  },
}

const EPOCH_OFFSET_S = 62_135_596_800n
/** Go's zero time, as JSON shows it. */
export const ZERO_TIME = '0001-01-01T00:00:00Z'

/** A point in time as RFC 3339 text with up to nanoseconds, as JSON shows it; 15 bytes on the wire. */
export const time: Kind<string> = {
  kindName: 'time',
  zero: () => ZERO_TIME,
  isEmpty: (value) => value === ZERO_TIME,
  write: (writer, value) => writer.raw(timeToBytes(value)),
  read: (reader) => (reader.nil() ? ZERO_TIME : timeFromBytes(reader.raw(), reader.offset)),
  toJson: (value) => value,
  fromJson: (json, path) =>
    json === null ? ZERO_TIME : typeof json === 'string' && TIME_TEXT.test(json) ? json : jsonType('time', json, path),
}

const TIME_TEXT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/

/** RFC 3339 text → version 1, int64 seconds since the year 1, int32 nanoseconds, int16 zone minutes (-1: UTC). */
export function timeToBytes(text: string): Buffer {
  const match = TIME_TEXT.exec(text)
  if (!match) throw codecError('TIME_TEXT', { text })
  const zone = match[8]!
  const offsetMinutes =
    zone === 'Z' ? 0 : (zone.startsWith('-') ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)))
  const year = Number(match[1])
  const utc = new Date(0)
  utc.setUTCFullYear(year, Number(match[2]) - 1, Number(match[3]))
  utc.setUTCHours(Number(match[4]), Number(match[5]), Number(match[6]))
  const seconds = BigInt(Math.round(utc.getTime() / 1000) - offsetMinutes * 60) + EPOCH_OFFSET_S
  const out = Buffer.alloc(15)
  out[0] = 1
  out.writeBigInt64BE(seconds, 1)
  out.writeInt32BE(Number((match[7] ?? '').padEnd(9, '0')), 9)
  out.writeInt16BE(zone === 'Z' ? -1 : offsetMinutes, 13)
  return out
}

/** The inverse of timeToBytes(); also takes the 16-byte form (version 2) of zones with seconds. */
export function timeFromBytes(raw: Uint8Array, offset = 0): string {
  const at = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const good = (at.length === 15 && at[0] === 1) || (at.length === 16 && at[0] === 2)
  if (!good) throw codecError('MSGPACK_TYPE', { wanted: 'a time', got: at.subarray(0, 1).toString('hex'), offset })
  const zone = at.readInt16BE(13)
  const minutes = zone === -1 ? 0 : zone
  const unixMs = Number(at.readBigInt64BE(1) - EPOCH_OFFSET_S + BigInt(minutes * 60)) * 1000
  const date = new Date(unixMs)
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0 || date.getUTCFullYear() > 9999) {
    throw codecError('MSGPACK_LIMIT', { what: 'year', limit: 9999, offset })
  }
  const nanos = at.readInt32BE(9)
  const fraction = nanos > 0 ? `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}` : ''
  const sign = minutes < 0 ? '-' : '+'
  const abs = Math.abs(minutes)
  const suffix =
    zone === -1 || zone === 0
      ? 'Z'
      : `${sign}${String(Math.floor(abs / 60)).padStart(2, '0')}:${String(abs % 60).padStart(2, '0')}`
  return `${date.toISOString().slice(0, 19)}${fraction}${suffix}`
}

/** A list; nil is null. */
export function list<T>(item: Kind<T>): Kind<readonly T[] | null> {
  return {
    kindName: `list of ${item.kindName}`,
    zero: () => null,
    isEmpty: (value) => value === null || value.length === 0,
    write: (writer, value) => {
      if (value === null) return writer.nil()
      writer.arrayHeader(value.length)
      for (const entry of value) item.write(writer, entry)
    },
    read: (reader, depth) => {
      if (reader.nil()) return null
      deeper(reader, depth)
      const count = reader.arrayHeader()
      const out: T[] = []
      for (let i = 0; i < count; i++) out.push(item.read(reader, depth + 1))
      return out
    },
    toJson: (value) => (value === null ? null : value.map(item.toJson)),
    fromJson: (json, path, options) => {
      if (json === null) return null
      if (!Array.isArray(json)) return jsonType('array', json, path)
      return json.map((entry: unknown, index) => item.fromJson(entry, `${path}[${index}]`, options))
    },
  }
}

/** A map with string keys, written sorted; nil is null. Reading keeps the order of arrival. */
export function map<T>(item: Kind<T>): Kind<Readonly<Record<string, T>> | null> {
  return {
    kindName: `map of ${item.kindName}`,
    zero: () => null,
    isEmpty: (value) => value === null || Object.keys(value).length === 0,
    write: (writer, value) => {
      if (value === null) return writer.nil()
      const keys = Object.keys(value).sort()
      writer.mapHeader(keys.length)
      for (const key of keys) {
        const entry = value[key]
        writer.string(key)
        item.write(writer, entry === undefined ? item.zero() : entry)
      }
    },
    read: (reader, depth) => {
      if (reader.nil()) return null
      deeper(reader, depth)
      const count = reader.mapHeader()
      const out: Record<string, T> = {}
      for (let i = 0; i < count; i++) {
        const key = reader.string()
        setKey(out, key, item.read(reader, depth + 1))
      }
      return out
    },
    toJson: (value) => {
      if (value === null) return null
      const out: Record<string, Json> = {}
      for (const key of Object.keys(value).sort()) setKey(out, key, item.toJson(value[key]!))
      return out
    },
    fromJson: (json, path, options) => {
      if (json === null) return null
      if (typeof json !== 'object' || Array.isArray(json)) return jsonType('object', json, path)
      const out: Record<string, T> = {}
      for (const [key, entry] of Object.entries(json)) setKey(out, key, item.fromJson(entry, `${path}.${key}`, options))
      return out
    },
  }
}

/** Sets a key that came from outside; "__proto__" becomes an ordinary key. */
function setKey<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
  else target[key] = value
}

function deeper(reader: MsgpackReader, depth: number): void {
  if (depth > MAX_DEPTH) throw codecError('MSGPACK_LIMIT', { what: 'depth', limit: MAX_DEPTH, offset: reader.offset })
}

/** A pointer: nil is null. */
export function pointer<T>(target: Kind<T>): Kind<T | null> {
  return {
    kindName: target.kindName,
    zero: () => null,
    isEmpty: (value) => value === null,
    write: (writer, value) => (value === null ? writer.nil() : target.write(writer, value)),
    read: (reader, depth) => (reader.nil() ? null : target.read(reader, depth)),
    toJson: (value) => (value === null ? null : target.toJson(value)),
    fromJson: (json, path, options) => (json === null ? null : target.fromJson(json, path, options)),
  }
}

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
  const wire = entries.filter(([, kind]) => kind.traits?.wire !== false).sort(([a], [b]) => (a < b ? -1 : 1))
  const alwaysSent = wire.every(([, kind]) => kind.traits?.wireOmitEmpty !== true)
  const jsonFields = entries
    .filter(([, kind]) => kind.traits?.json !== false)
    .map(([field, kind]) => ({ field, kind, name: kind.traits?.jsonName ?? field }))
  const byJsonName = new Map(jsonFields.map((entry) => [entry.name.toLowerCase(), entry]))

  const zeroRecord = (): Record<string, unknown> => {
    const out: Record<string, unknown> = {}
    for (const [field, kind] of entries) out[field] = kind.zero()
    return out
  }
  const typed = (record: Record<string, unknown>): T => record as T
  const untyped = (value: T): Readonly<Record<string, unknown>> => value as Readonly<Record<string, unknown>>

  return {
    kindName: name,
    fields,
    of: (given) => typed({ ...zeroRecord(), ...(given as Record<string, unknown> | undefined) }),
    zero: () => typed(zeroRecord()),
    isEmpty: (value) => entries.every(([field, kind]) => kind.isEmpty(untyped(value)[field])),
    write: (writer, value) => {
      const record = untyped(value)
      const sent = alwaysSent
        ? wire
        : wire.filter(([field, kind]) => !(kind.traits?.wireOmitEmpty && kind.isEmpty(record[field])))
      writer.mapHeader(sent.length)
      for (const [field, kind] of sent) {
        writer.string(field)
        kind.write(writer, record[field])
      }
    },
    read: (reader, depth) => {
      const out = zeroRecord()
      if (reader.nil()) return typed(out)
      deeper(reader, depth)
      const count = reader.mapHeader()
      for (let i = 0; i < count; i++) {
        const key = reader.string()
        const kind = Object.hasOwn(fields, key) ? fields[key] : undefined
        if (kind === undefined) reader.skip()
        else out[key] = kind.read(reader, depth + 1)
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
