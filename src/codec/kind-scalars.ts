/**
 * Scalars: text, truth, numbers, bytes.
 */
import { type Json, jsonType, type Kind } from './kind.ts'
import type { MsgpackReader } from './msgpack-reader.ts'

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

/** An integer beyond 2^53 as JSON text. */
export function rawJson(text: string): Json {
  return JSON.rawJSON === undefined ? Number(text) : JSON.rawJSON(text)
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
