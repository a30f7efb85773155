/**
 * Reads the old msgpack dialect, as leniently as its peers do: see each method. Never believes a length before the bytes
 * are there.
 *
 * Source: gossip wire notes §1.
 */
import { codecError } from './errors.ts'
import type { MsgpackValue } from './msgpack-value.ts'

/** Deepest nesting that a reader follows. */
export const MAX_DEPTH = 64

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

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

  /** Consumes these bytes if they are next. */
  short(encoded: Uint8Array): boolean {
    const { buffer, offset } = this
    for (let position = 0; position < encoded.length; position++) {
      if (buffer[offset + position] !== encoded[position]) return false
    }
    this.offset = offset + encoded.length
    return true
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
