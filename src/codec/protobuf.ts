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
import { giveBackScratch, largerScratch, NO_SCRATCH, takeScratch } from './scratch.ts'

export const WIRE = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
const MAX_UINT64 = 2n ** 64n - 1n
/** So many bytes of a varint have less than 53 bits. */
const SMALL_BYTES = 7
/** The tag of the highest field number, 2^29 - 1. */
const MAX_TAG = 2 ** 32 - 1
const MIN_TAG = 8

/** Texts that are written character by character. */
const MAX_SHORT_TEXT = 64
/** The most that a varint takes. */
const VARINT_BYTES = 10

/** The number of the field that a tag is of. */
export const fieldOf = (tag: number): number => tag >>> 3
/** How the field is written that a tag is of, one of WIRE. */
export const wireOf = (tag: number): number => tag & 7

/** Writes fields into one buffer that grows, nested ones in place. */
export class ProtobufWriter {
  #buffer = takeScratch()
  #length = 0

  /** What was written, in a buffer of its own. Nothing can be written afterwards. */
  finish(): Buffer {
    const written = giveBackScratch(this.#buffer, this.#length)
    this.#buffer = NO_SCRATCH
    this.#length = 0
    return written
  }

  /** An integer; a negative one takes ten bytes, as everywhere in protocol buffers. */
  varint(field: number, value: number | bigint): void {
    this.#reserve(2 * VARINT_BYTES)
    this.#put(field * 8 + WIRE.varint)
    if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) this.#put(value)
    else this.#putWide(BigInt.asUintN(64, BigInt(value)))
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(2 * VARINT_BYTES + value.length)
    this.#put(field * 8 + WIRE.bytes)
    this.#put(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  /**
   * Begins a nested message; what is written until `end()` is in it.
   *
   * @returns what `end()` wants
   */
  begin(field: number): number {
    this.#reserve(2 * VARINT_BYTES)
    this.#put(field * 8 + WIRE.bytes)
    // Its length comes here. Most take one byte; for more, what was written is moved.
    return this.#length++
  }

  end(begun: number): void {
    const length = this.#length - begun - 1
    const more = lengthOfVarint(length) - 1
    if (more > 0) {
      this.#reserve(more)
      this.#buffer.copyWithin(begun + 1 + more, begun + 1, this.#length)
    }
    this.#length = begun
    this.#put(length)
    this.#length += length
  }

  string(field: number, value: string): void {
    if (value.length <= MAX_SHORT_TEXT && this.#ascii(field, value)) return
    const length = Buffer.byteLength(value)
    this.#reserve(2 * VARINT_BYTES + length)
    this.#put(field * 8 + WIRE.bytes)
    this.#put(length)
    this.#length += this.#buffer.write(value, this.#length, 'utf8')
  }

  /** Keys and names: quicker than two calls out of JavaScript. @returns false where it is not ASCII; nothing is written */
  #ascii(field: number, value: string): boolean {
    this.#reserve(2 * VARINT_BYTES + value.length)
    const [buffer, begun] = [this.#buffer, this.#length]
    this.#put(field * 8 + WIRE.bytes)
    this.#put(value.length)
    let at = this.#length
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) {
        this.#length = begun
        return false
      }
      buffer[at++] = code
    }
    this.#length = at
    return true
  }

  double(field: number, value: number): void {
    this.#reserve(VARINT_BYTES + 8)
    this.#put(field * 8 + WIRE.eightBytes)
    this.#length = this.#buffer.writeDoubleLE(value, this.#length)
  }

  /** Makes room for more bytes. */
  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed > this.#buffer.length) this.#buffer = largerScratch(this.#buffer, this.#length, needed)
  }

  #put(value: number): void {
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.#buffer[this.#length++] = (left % 0x80) | 0x80
    this.#buffer[this.#length++] = left
  }

  #putWide(value: bigint): void {
    let left = value
    for (; left >= 0x80n; left >>= 7n) this.#buffer[this.#length++] = Number(left & 0x7fn) | 0x80
    this.#buffer[this.#length++] = Number(left)
  }
}

function lengthOfVarint(value: number): number {
  let bytes = 1
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) bytes++
  return bytes
}

/** Reads the fields of one message; every method throws a HanseError with a PROTOBUF_ code on bad bytes. */
export class ProtobufReader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The tag of the next field: its number (fieldOf) and how it is written (wireOf); 0 at the end. */
  tag(): number {
    if (this.#offset >= this.#buffer.length) return 0
    const tag = this.uint()
    if (tag < MIN_TAG || tag > MAX_TAG) throw this.#invalid(`field number ${Math.floor(tag / MIN_TAG)}`)
    return tag
  }

  /** An integer that is not negative and that a number can hold. */
  uint(): number {
    // Nearly all are short: without the detour over BigInt.
    const start = this.#offset
    let small = 0
    let scale = 1
    for (let at = 0; at < SMALL_BYTES; at++, scale *= 0x80) {
      const byte = this.#buffer[start + at]
      if (byte === undefined) break
      small += (byte & 0x7f) * scale
      if (byte < 0x80) {
        this.#offset = start + at + 1
        return small
      }
    }
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
      const byte = this.#buffer[this.#offset]
      if (byte === undefined) throw codecError('PROTOBUF_TRUNCATED', { offset: this.#buffer.length })
      this.#offset++
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
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (fieldOf(tag) > 2) {
      reader.skip(wireOf(tag))
      continue
    }
    reader.expect(fieldOf(tag), wireOf(tag), WIRE.bytes)
    if (fieldOf(tag) === 1) key = reader.string()
    else value = readValue(reader)
  }
  return [key, value]
}
