/**
 * Protocol buffers on the wire: fields written one after the other, and read with nothing believed before it is there.
 *
 * Only what today's messages are made of: varints, eight and four bytes, and what has a length. Groups are refused.
 * What the fields of a message are is said in a schema (protobuf-message.ts).
 *
 * Source: protobuf.dev, "Encoding".
 */
import { isUtf8 } from 'node:buffer'
import { codecError } from './errors.ts'

export const WIRE = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
const MAX_UINT64 = 2n ** 64n - 1n
const MAX_FIELD_NUMBER = 2 ** 29 - 1

/** Writes fields; those that are nested are finished first and written as bytes. */
export class ProtobufWriter {
  readonly #parts: Uint8Array[] = []

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** An integer; a negative one takes ten bytes, as everywhere in protocol buffers. */
  varint(field: number, value: number | bigint): void {
    this.#tag(field, WIRE.varint)
    this.#parts.push(varintBytes(value))
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, WIRE.bytes)
    this.#parts.push(varintBytes(value.length), value)
  }

  string(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, 'utf8'))
  }

  double(field: number, value: number): void {
    this.#tag(field, WIRE.eightBytes)
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleLE(value)
    this.#parts.push(bytes)
  }

  #tag(field: number, wire: number): void {
    this.#parts.push(varintBytes(field * 8 + wire))
  }
}

function varintBytes(value: number | bigint): Uint8Array {
  const bytes: number[] = []
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
    bytes.push(left)
  } else {
    let left = BigInt.asUintN(64, BigInt(value))
    for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
    bytes.push(Number(left))
  }
  return Uint8Array.from(bytes)
}

/** Reads the fields of one message; every method throws a HanseError with a PROTOBUF_ code on bad bytes. */
export class ProtobufReader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The next field's number and how it is written; undefined at the end. */
  next(): { readonly field: number; readonly wire: number } | undefined {
    if (this.#offset >= this.#buffer.length) return undefined
    const tag = this.uint()
    const field = Math.floor(tag / 8)
    if (field === 0 || field > MAX_FIELD_NUMBER) throw this.#invalid(`field number ${field}`)
    return { field, wire: tag % 8 }
  }

  /** An integer that is not negative and that a number can hold. */
  uint(): number {
    const value = this.varint()
    if (value > MAX_SAFE) throw this.#invalid('an integer above 2^53')
    return Number(value)
  }

  /** A 32-bit integer, which may be negative. */
  int32(): number {
    return Number(BigInt.asIntN(32, this.varint()))
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte >= 0x80) continue
      if (value > MAX_UINT64) break
      return value
    }
    throw this.#invalid('an integer of more than 64 bits')
  }

  double(): number {
    return this.#take(8).readDoubleLE()
  }

  /** A view of the bytes of a field that has a length. */
  bytes(): Buffer {
    return this.#take(this.uint())
  }

  string(): string {
    const bytes = this.bytes()
    if (!isUtf8(bytes)) throw this.#invalid('text that is not UTF-8')
    return bytes.toString('utf8')
  }

  /** @throws unless the field is written as it has to be */
  expect(field: number, found: number, wanted: number): void {
    if (found !== wanted) throw this.#invalid(`wire type ${found} in field ${field}`)
  }

  /** Passes over a field that nobody knows. */
  skip(wire: number): void {
    if (wire === WIRE.varint) this.varint()
    else if (wire === WIRE.eightBytes) this.#take(8)
    else if (wire === WIRE.bytes) this.bytes()
    else if (wire === WIRE.fourBytes) this.#take(4)
    else throw this.#invalid(`wire type ${wire}`)
  }

  #take(bytes: number): Buffer {
    const from = this.#offset
    if (bytes > this.#buffer.length - from) throw codecError('PROTOBUF_TRUNCATED', { offset: this.#buffer.length })
    this.#offset = from + bytes
    return this.#buffer.subarray(from, this.#offset)
  }

  #invalid(what: string) {
    return codecError('PROTOBUF_INVALID', { what, offset: this.#offset })
  }
}

/**
 * One entry of a map: a message of a key (1) and a value (2).
 *
 * @param none - the value where there is none
 * @throws PROTOBUF_ codes of the reader and of `readValue`
 */
export function readMapEntry<T>(bytes: Buffer, none: T, readValue: (reader: ProtobufReader) => T): [key: string, T] {
  const reader = new ProtobufReader(bytes)
  let key = ''
  let value = none
  for (let next = reader.next(); next !== undefined; next = reader.next()) {
    if (next.field > 2) {
      reader.skip(next.wire)
      continue
    }
    reader.expect(next.field, next.wire, WIRE.bytes)
    if (next.field === 1) key = reader.string()
    else value = readValue(reader)
  }
  return [key, value]
}
