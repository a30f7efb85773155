/**
 * Records as they are stored: the msgpack of their shape, without what the store knows better.
 *
 * ModifyIndex is the revision of the key and CreateIndex the one that made it, so both are stored as 0; a CreateIndex
 * that was inherited (a renamed node) is stored as it is. A record that cannot be read is an error with its name.
 */
import { messageOf } from '#base'
import { decode, encode, type Json, type Kind } from '#codec'
import { stateError } from './errors.ts'

/** How records of a table are stored, and which fields they all have. */
export interface RecordShape<T> extends Kind<T> {
  readonly fields: Readonly<Record<string, unknown>>
}

/** The fields that the state sets, on shapes that have them. */
interface Indexes {
  readonly CreateIndex?: number
  readonly ModifyIndex?: number
}

/** The bytes to store. `createIndex`: 0 unless it was inherited. */
export function encodeRecord<T extends object>(shape: RecordShape<T>, record: T, createIndex: number): Buffer {
  return encode(shape, withIndexes(shape, record, { CreateIndex: createIndex, ModifyIndex: 0 }))
}

/** A copy with these indexes; the record itself where its shape has none. */
export function withIndexes<T extends object>(shape: RecordShape<T>, record: T, indexes: Indexes): T {
  // Not by spreading, which is slow where one line copies records of all shapes.
  return 'ModifyIndex' in shape.fields ? Object.assign({}, record, indexes) : record
}

/** JSON of a stored record without the indexes, which the store knows and the record does not. */
export function withoutIndexes(json: Json): Json {
  if (typeof json !== 'object' || json === null) return json
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'CreateIndex' && name !== 'ModifyIndex'))
}

/** The CreateIndex of a record, 0 where its shape has none. */
export function createIndexOf(record: object): number {
  return 'CreateIndex' in record && typeof record.CreateIndex === 'number' ? record.CreateIndex : 0
}

/** @throws STATE_RECORD_CORRUPT */
export function decodeRecord<T extends object>(
  shape: RecordShape<T>,
  table: string,
  key: string,
  bytes: Uint8Array,
): T {
  try {
    return decode(shape, bytes)
  } catch (error) {
    throw stateError('STATE_RECORD_CORRUPT', { table, key, reason: messageOf(error) }, error)
  }
}

/**
 * Whether two records differ in a field of plain text, number, truth or bytes, besides the indexes. What is in lists and
 * maps is not looked at: that they do not differ plainly says nothing.
 */
export function differPlainly<T extends object>(one: T, other: T): boolean {
  for (const name in one) {
    if (name === 'CreateIndex' || name === 'ModifyIndex') continue
    const left = one[name]
    const right = other[name]
    if (Buffer.isBuffer(left) && Buffer.isBuffer(right)) {
      if (!left.equals(right)) return true
    } else if (typeof left !== 'object' && left !== right) return true
  }
  return false
}

/** Freezes a record and all within, but byte strings, which JavaScript cannot freeze. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  for (const name in value) {
    const part = value[name]
    if (typeof part === 'object') deepFreeze(part)
  }
  return Object.freeze(value)
}
