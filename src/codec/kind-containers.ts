/**
 * Lists, maps and pointers. Nil is null: nil and empty are different bytes and different JSON.
 */
import { deeper, type Json, jsonType, type Kind, setKey } from './kind.ts'

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
