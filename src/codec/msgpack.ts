/**
 * The old msgpack dialect of memberlist, Serf and the server RPC.
 *
 * It differs from today's msgpack in what it writes: strings and byte strings alike are raw (a0.., da, db), never str8
 * (d9) or bin (c4..c6); the peers drop packets that hold those. Readers are more lenient than writers: see each method.
 * Values are typed by the schema that reads them (schema.ts), not by guessing.
 *
 * Source: gossip wire notes §1, RPC wire notes §4.
 */
import { codecError } from './errors.ts'

/** Deepest nesting that a reader follows. */
export const MAX_DEPTH = 64

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** A growing buffer that is written front to back. */
export class MsgpackWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  /** The bytes written so far, as a view; write no more afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const need = at + bytes
    if (need > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    this.#length = need
    return at
  }

  #byte(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  nil(): void {
    this.#byte(0xc0)
  }

  bool(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2)
  }

  /** An integer in its shortest form; a bigint for the values above 2^53 (`Hash`). */
  int(value: number | bigint): void {
    if (typeof value === 'bigint') {
      if (value >= -MAX_SAFE && value <= MAX_SAFE) this.int(Number(value))
      else {
        const at = this.#reserve(9)
        this.#buffer[at] = value < 0n ? 0xd3 : 0xcf
        if (value < 0n) this.#buffer.writeBigInt64BE(value, at + 1)
        else this.#buffer.writeBigUInt64BE(value, at + 1)
      }
      return
    }
    if (value >= 0) {
      if (value < 0x80) this.#byte(value)
      else if (value < 0x100) {
        const at = this.#reserve(2)
        this.#buffer[at] = 0xcc
        this.#buffer[at + 1] = value
      } else if (value < 0x1_0000) {
        const at = this.#reserve(3)
        this.#buffer[at] = 0xcd
        this.#buffer.writeUInt16BE(value, at + 1)
      } else if (value < 0x1_0000_0000) {
        const at = this.#reserve(5)
        this.#buffer[at] = 0xce
        this.#buffer.writeUInt32BE(value, at + 1)
      } else {
        const at = this.#reserve(9)
        this.#buffer[at] = 0xcf
        this.#buffer.writeBigUInt64BE(BigInt(value), at + 1)
      }
    } else if (value >= -32) this.#byte(0x100 + value)
    else if (value >= -0x80) {
      const at = this.#reserve(2)
      this.#buffer[at] = 0xd0
      this.#buffer.writeInt8(value, at + 1)
    } else if (value >= -0x8000) {
      const at = this.#reserve(3)
      this.#buffer[at] = 0xd1
      this.#buffer.writeInt16BE(value, at + 1)
    } else if (value >= -0x8000_0000) {
      const at = this.#reserve(5)
      this.#buffer[at] = 0xd2
      this.#buffer.writeInt32BE(value, at + 1)
    } else {
      const at = this.#reserve(9)
      this.#buffer[at] = 0xd3
      this.#buffer.writeBigInt64BE(BigInt(value), at + 1)
    }
  }

  float(value: number): void {
    const at = this.#reserve(9)
    this.#buffer[at] = 0xcb
    this.#buffer.writeDoubleBE(value, at + 1)
  }

  string(value: string): void {
    const bytes = Buffer.byteLength(value)
    this.#rawHeader(bytes)
    const at = this.#reserve(bytes)
    this.#buffer.write(value, at)
  }

  raw(value: Uint8Array): void {
    this.#rawHeader(value.length)
    this.append(value)
  }

  /** Bytes that are msgpack already, as they are. */
  append(encoded: Uint8Array): void {
    const at = this.#reserve(encoded.length)
    this.#buffer.set(encoded, at)
  }

  #rawHeader(length: number): void {
    if (length < 32) this.#byte(0xa0 | length)
    else this.#longHeader(0xda, length)
  }

  #longHeader(code16: number, length: number): void {
    if (length < 0x1_0000) {
      const at = this.#reserve(3)
      this.#buffer[at] = code16
      this.#buffer.writeUInt16BE(length, at + 1)
    } else {
      const at = this.#reserve(5)
      this.#buffer[at] = code16 + 1
      this.#buffer.writeUInt32BE(length, at + 1)
    }
  }

  arrayHeader(length: number): void {
    if (length < 16) this.#byte(0x90 | length)
    else this.#longHeader(0xdc, length)
  }

  mapHeader(length: number): void {
    if (length < 16) this.#byte(0x80 | length)
    else this.#longHeader(0xde, length)
  }
}

/** What a value without a schema decodes to: raw strings become text, as the peer's untyped decoding does. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly MsgpackValue[]
  | { readonly [key: string]: MsgpackValue }

/** Reads values one after the other; every method throws a HanseError with a MSGPACK_ code on bad bytes. */
export class MsgpackReader {
  readonly buffer: Buffer
  offset: number

  constructor(bytes: Uint8Array, offset = 0) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
  }

  get remaining(): number {
    return this.buffer.length - this.offset
  }

  /** The next byte, not consumed. */
  peek(): number {
    const code = this.buffer[this.offset]
    if (code === undefined) throw codecError('MSGPACK_TRUNCATED', { offset: this.offset })
    return code
  }

  #take(bytes: number): number {
    const at = this.offset
    if (at + bytes > this.buffer.length) throw codecError('MSGPACK_TRUNCATED', { offset: this.buffer.length })
    this.offset = at + bytes
    return at
  }

  #wrong(wanted: string, at: number): never {
    throw codecError('MSGPACK_TYPE', { wanted, got: this.buffer[at]!.toString(16).padStart(2, '0'), offset: at })
  }

  /** Consumes a nil if one is next. */
  nil(): boolean {
    if (this.peek() !== 0xc0) return false
    this.offset++
    return true
  }

  /** true and false, and the integers 0 and 1. */
  bool(): boolean {
    const at = this.#take(1)
    const code = this.buffer[at]!
    if (code === 0xc3 || code === 1) return true
    if (code === 0xc2 || code === 0) return false
    return this.#wrong('a bool', at)
  }

  /** Any integer form; a bigint beyond 2^53. */
  integer(): number | bigint {
    const at = this.#take(1)
    const code = this.buffer[at]!
    if (code < 0x80) return code
    if (code >= 0xe0) return code - 0x100
    switch (code) {
      case 0xcc:
        return this.buffer[this.#take(1)]!
      case 0xcd:
        return this.buffer.readUInt16BE(this.#take(2))
      case 0xce:
        return this.buffer.readUInt32BE(this.#take(4))
      case 0xcf:
        return narrow(this.buffer.readBigUInt64BE(this.#take(8)))
      case 0xd0:
        return this.buffer.readInt8(this.#take(1))
      case 0xd1:
        return this.buffer.readInt16BE(this.#take(2))
      case 0xd2:
        return this.buffer.readInt32BE(this.#take(4))
      case 0xd3:
        return narrow(this.buffer.readBigInt64BE(this.#take(8)))
      default:
        return this.#wrong('an integer', at)
    }
  }

  /** An integer as a number; 64-bit values beyond 2^53 are refused (use `integer()` where they may occur). */
  int(): number {
    const at = this.offset
    const value = this.integer()
    if (typeof value === 'bigint') throw codecError('MSGPACK_LIMIT', { what: 'integer', limit: 2 ** 53, offset: at })
    return value
  }

  /** An integer that is not negative. */
  uint(): number {
    const at = this.offset
    const value = this.int()
    return value < 0 ? this.#wrong('an unsigned integer', at) : value
  }

  /** A float of either width, or an integer. */
  float(): number {
    const at = this.offset
    const code = this.peek()
    if (code === 0xcb) {
      this.offset++
      return this.buffer.readDoubleBE(this.#take(8))
    }
    if (code === 0xca) {
      this.offset++
      return this.buffer.readFloatBE(this.#take(4))
    }
    const value = this.integer()
    return typeof value === 'bigint' ? this.#wrong('a float', at) : value
  }

  /** A string: raw forms and str8, never bin. */
  string(): string {
    const length = this.#rawLength(false)
    const at = this.#take(length)
    return this.buffer.toString('utf8', at, at + length)
  }

  /** A byte string (a view, not a copy): raw forms, str8 and bin. */
  raw(): Buffer {
    const length = this.#rawLength(true)
    const at = this.#take(length)
    return this.buffer.subarray(at, at + length)
  }

  #rawLength(binAllowed: boolean): number {
    const at = this.#take(1)
    const code = this.buffer[at]!
    if (code >= 0xa0 && code <= 0xbf) return code & 0x1f
    if (code === 0xd9 || (binAllowed && code === 0xc4)) return this.buffer[this.#take(1)]!
    if (code === 0xda || (binAllowed && code === 0xc5)) return this.buffer.readUInt16BE(this.#take(2))
    if (code === 0xdb || (binAllowed && code === 0xc6)) return this.buffer.readUInt32BE(this.#take(4))
    return this.#wrong(binAllowed ? 'bytes' : 'a string', at)
  }

  /** The length of an array; a length that cannot fit in what is left is refused before anything is allocated. */
  arrayHeader(): number {
    const at = this.#take(1)
    const code = this.buffer[at]!
    if (code >= 0x90 && code <= 0x9f) return this.#fitting(code & 0x0f, at)
    if (code === 0xdc) return this.#fitting(this.buffer.readUInt16BE(this.#take(2)), at)
    if (code === 0xdd) return this.#fitting(this.buffer.readUInt32BE(this.#take(4)), at)
    return this.#wrong('an array', at)
  }

  mapHeader(): number {
    const at = this.#take(1)
    const code = this.buffer[at]!
    if (code >= 0x80 && code <= 0x8f) return this.#fitting(code & 0x0f, at)
    if (code === 0xde) return this.#fitting(this.buffer.readUInt16BE(this.#take(2)), at)
    if (code === 0xdf) return this.#fitting(this.buffer.readUInt32BE(this.#take(4)), at)
    return this.#wrong('a map', at)
  }

  #fitting(count: number, at: number): number {
    if (count > this.remaining) {
      if (count > 0xffff) throw codecError('MSGPACK_LIMIT', { what: 'count', limit: this.remaining, offset: at })
      throw codecError('MSGPACK_TRUNCATED', { offset: this.buffer.length })
    }
    return count
  }

  /** Steps over one value of any kind without building it. */
  skip(): void {
    let pending = 1
    while (pending > 0) {
      pending += this.#skipHead() - 1
    }
  }

  /** Consumes one scalar or the header of a container and says how many values follow inside. */
  #skipHead(): number {
    const at = this.offset
    const code = this.peek()
    if (code < 0x80 || code >= 0xe0 || code === 0xc0 || code === 0xc2 || code === 0xc3) {
      this.offset++
      return 0
    }
    if (code <= 0x8f || code === 0xde || code === 0xdf) return this.mapHeader() * 2
    if (code <= 0x9f || code === 0xdc || code === 0xdd) return this.arrayHeader()
    if (code <= 0xbf || (code >= 0xd9 && code <= 0xdb) || (code >= 0xc4 && code <= 0xc6)) {
      this.#take(this.#rawLength(true))
      return 0
    }
    if (code >= 0xca && code <= 0xd3) {
      this.#take(1 + SCALAR_BYTES[code - 0xca]!)
      return 0
    }
    return this.#wrong('a value', at)
  }

  /** One value without a schema. Raw strings that are valid UTF-8 become text, others stay bytes. */
  value(depth = 0): MsgpackValue {
    if (depth > MAX_DEPTH) throw codecError('MSGPACK_LIMIT', { what: 'depth', limit: MAX_DEPTH, offset: this.offset })
    const code = this.peek()
    if (code === 0xc0) {
      this.offset++
      return null
    }
    if (code === 0xc2 || code === 0xc3) return this.bool()
    if (code < 0x80 || code >= 0xe0 || (code >= 0xcc && code <= 0xd3)) return this.integer()
    if (code === 0xca || code === 0xcb) return this.float()
    if (code <= 0x8f || code === 0xde || code === 0xdf) {
      const count = this.mapHeader()
      const out: Record<string, MsgpackValue> = {}
      for (let i = 0; i < count; i++) {
        const key = this.string()
        const value = this.value(depth + 1)
        if (key === '__proto__') Object.defineProperty(out, key, { value, enumerable: true })
        else out[key] = value
      }
      return out
    }
    if (code <= 0x9f || code === 0xdc || code === 0xdd) {
      const count = this.arrayHeader()
      const out: MsgpackValue[] = []
      for (let i = 0; i < count; i++) out.push(this.value(depth + 1))
      return out
    }
    const raw = this.raw()
    const text = raw.toString('utf8')
    return Buffer.byteLength(text) === raw.length && !text.includes('\ufffd') ? text : raw
  }
}

/** Bytes after the code, for ca..d3: float32, float64, u8..u64, i8..i64. */
const SCALAR_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8]

function narrow(value: bigint): number | bigint {
  return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value
}

/** Writes a value without a schema, map keys sorted as we always write them. Numbers that are no integers are floats. */
export function writeValue(writer: MsgpackWriter, value: MsgpackValue): void {
  if (value === null) writer.nil()
  else if (typeof value === 'boolean') writer.bool(value)
  else if (typeof value === 'bigint') writer.int(value)
  else if (typeof value === 'number') {
    if (Number.isInteger(value)) writer.int(value)
    else writer.float(value)
  } else if (typeof value === 'string') writer.string(value)
  else if (value instanceof Uint8Array) writer.raw(value)
  else if (isArray(value)) {
    writer.arrayHeader(value.length)
    for (const item of value) writeValue(writer, item)
  } else {
    const keys = Object.keys(value).sort()
    writer.mapHeader(keys.length)
    for (const key of keys) {
      writer.string(key)
      writeValue(writer, value[key] ?? null)
    }
  }
}

function isArray(value: MsgpackValue): value is readonly MsgpackValue[] {
  return Array.isArray(value)
}
