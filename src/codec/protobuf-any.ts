/**
 * Values without a schema in protobuf: an opaque `Config` map as the well-known type google.protobuf.Struct.
 *
 * Every number is a double there, so integers of more than 53 bits lose digits, as they do with Consul's own servers.
 *
 * Source: protobuf.dev, "Well-known types".
 */
import { codecError } from './errors.ts'
import { setKey } from './kind.ts'
import { MAX_DEPTH } from './msgpack-reader.ts'
import type { MsgpackValue } from './msgpack-value.ts'
import { fieldOf, ProtobufReader, type ProtobufWriter, readMapEntry, WIRE, wireOf } from './protobuf.ts'
import type { ProtobufField } from './protobuf-message.ts'

type AnyMap = { readonly [key: string]: MsgpackValue }

/** The fields of google.protobuf.Value, of which one is there. */
const VALUE = { null: 1, number: 2, text: 3, bool: 4, map: 5, list: 6 } as const

/** A map of values without a schema; an empty one is not written. */
export function anyMap(number: number): ProtobufField<AnyMap | null> {
  return {
    number,
    wire: WIRE.bytes,
    zero: null,
    write(writer, value) {
      if (value !== null && Object.keys(value).length > 0) nested(writer, number, () => writeMap(writer, value))
    },
    gather() {
      let last: AnyMap | null = null
      return {
        add(reader, depth) {
          last = readMap(reader.bytes(), depth + 1)
        },
        value: () => last,
      }
    },
  }
}

function nested(writer: ProtobufWriter, number: number, write: () => void): void {
  const begun = writer.begin(number)
  write()
  writer.end(begun)
}

function writeMap(writer: ProtobufWriter, map: AnyMap): void {
  for (const [key, value] of Object.entries(map)) {
    nested(writer, 1, () => {
      writer.string(1, key)
      nested(writer, 2, () => writeValue(writer, value))
    })
  }
}

function writeValue(writer: ProtobufWriter, value: MsgpackValue): void {
  if (value === null) writer.varint(VALUE.null, 0)
  else if (typeof value === 'number' || typeof value === 'bigint') writer.double(VALUE.number, Number(value))
  else if (typeof value === 'string') writer.string(VALUE.text, value)
  else if (typeof value === 'boolean') writer.varint(VALUE.bool, value ? 1 : 0)
  else if (value instanceof Uint8Array) writer.string(VALUE.text, Buffer.from(value).toString('utf8'))
  else if (isList(value)) nested(writer, VALUE.list, () => writeList(writer, value))
  else nested(writer, VALUE.map, () => writeMap(writer, value))
}

function isList(value: readonly MsgpackValue[] | AnyMap): value is readonly MsgpackValue[] {
  return Array.isArray(value)
}

function writeList(writer: ProtobufWriter, list: readonly MsgpackValue[]): void {
  for (const value of list) nested(writer, 1, () => writeValue(writer, value))
}

function readMap(bytes: Buffer, depth: number): AnyMap {
  const map: Record<string, MsgpackValue> = {}
  for (const entry of parts(bytes, depth)) {
    const [key, value] = readMapEntry<MsgpackValue>(entry, null, (reader) => readValue(reader.bytes(), depth + 1))
    setKey(map, key, value)
  }
  return map
}

function readValue(bytes: Buffer, depth: number): MsgpackValue {
  const reader = new ProtobufReader(bytes)
  let value: MsgpackValue = null
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const [field, wire] = [fieldOf(tag), wireOf(tag)]
    if (field > VALUE.list) reader.skip(wire)
    else {
      reader.expect(field, wire, WIRE_OF_VALUE[field] ?? WIRE.bytes)
      value = readOne(reader, field, depth)
    }
  }
  return value
}

const WIRE_OF_VALUE: Readonly<Record<number, number>> = {
  [VALUE.null]: WIRE.varint,
  [VALUE.number]: WIRE.eightBytes,
  [VALUE.bool]: WIRE.varint,
}

function readOne(reader: ProtobufReader, field: number, depth: number): MsgpackValue {
  if (field === VALUE.number) return reader.double()
  if (field === VALUE.text) return reader.string()
  if (field === VALUE.bool) return reader.varint() !== 0n
  if (field === VALUE.map) return readMap(reader.bytes(), depth + 1)
  if (field === VALUE.list) return parts(reader.bytes(), depth + 1).map((each) => readValue(each, depth + 2))
  reader.varint()
  return null
}

/** What a message holds that has nothing but a list in field 1. */
function parts(bytes: Buffer, depth: number): Buffer[] {
  if (depth > MAX_DEPTH) throw codecError('PROTOBUF_INVALID', { what: 'values nested too deep', offset: 0 })
  const reader = new ProtobufReader(bytes)
  const found: Buffer[] = []
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (fieldOf(tag) === 1) {
      reader.expect(1, wireOf(tag), WIRE.bytes)
      found.push(reader.bytes())
    } else reader.skip(wireOf(tag))
  }
  return found
}
