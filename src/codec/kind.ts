/**
 * A kind: how one kind of value is read and written, on the wire and in JSON. The vocabulary of schemas (schema.ts).
 *
 * Source: gossip wire notes §1 (reading rules), RPC wire notes §4.
 */
import { codecError } from './errors.ts'
import { MAX_DEPTH, type MsgpackReader } from './msgpack-reader.ts'
import type { MsgpackWriter } from './msgpack-writer.ts'

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

/** Refuses JSON of another type, as Go's decoder words it. */
export function jsonType(wanted: string, json: unknown, path: string): never {
  const got = json === null ? 'null' : Array.isArray(json) ? 'array' : typeof json === 'boolean' ? 'bool' : typeof json
  throw codecError('JSON_TYPE', { wanted, got, path })
}

/** Sets a key that came from outside; "__proto__" becomes an ordinary key. */
export function setKey<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
  else target[key] = value
}

/** Refuses nesting beyond the limit. */
export function deeper(reader: MsgpackReader, depth: number): void {
  if (depth > MAX_DEPTH) throw codecError('MSGPACK_LIMIT', { what: 'depth', limit: MAX_DEPTH, offset: reader.offset })
}
