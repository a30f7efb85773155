/**
 * Values without a schema, as in opaque `Config` maps.
 */
import { deeper, type Json, type Kind, setKey } from './kind.ts'
import { rawJson } from './kind-scalars.ts'
import type { MsgpackReader } from './msgpack-reader.ts'
import { type MsgpackValue, writeValue } from './msgpack-value.ts'
import type { MsgpackWriter } from './msgpack-writer.ts'

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
