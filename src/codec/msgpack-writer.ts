/**
 * Writes the old msgpack dialect of memberlist, Serf and the server RPC.
 *
 * It differs from today's msgpack in what it writes: strings and byte strings alike are raw (a0.., da, db), never str8
 * (d9) or bin (c4..c6); the peers drop packets that hold those. Readers are more lenient than writers: see each method.
 * Values are typed by the schema that reads them (schema.ts), not by guessing.
 *
 * Source: gossip wire notes §1, RPC wire notes §4.
 */

import { giveBackScratch, largerScratch, NO_SCRATCH, takeScratch } from './scratch.ts'

/** The longest text whose header is one byte. */
const MAX_SHORT = 31

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** A growing buffer that is written front to back. */
export class MsgpackWriter {
  #buffer = takeScratch()
  #length = 0

  /** The bytes written, in a buffer of their own; write no more afterwards. */
  finish(): Buffer {
    const written = giveBackScratch(this.#buffer, this.#length)
    this.#buffer = NO_SCRATCH
    this.#length = 0
    return written
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const need = at + bytes
    if (need > this.#buffer.length) this.#buffer = largerScratch(this.#buffer, at, need)
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
    if (value.length <= MAX_SHORT && this.#shortAscii(value)) return
    const bytes = Buffer.byteLength(value)
    this.#rawHeader(bytes)
    const at = this.#reserve(bytes)
    this.#buffer.write(value, at)
  }

  /** Most text is short and ASCII, and calling out of JavaScript costs more than writing that. */
  #shortAscii(value: string): boolean {
    const { length } = value
    const at = this.#reserve(length + 1)
    const buffer = this.#buffer
    buffer[at] = 0xa0 | length
    for (let position = 0; position < length; position++) {
      const code = value.charCodeAt(position)
      if (code >= 0x80) {
        this.#length = at
        return false
      }
      buffer[at + 1 + position] = code
    }
    return true
  }

  /** A few bytes of msgpack, as they are: the name of a field. */
  short(encoded: Uint8Array): void {
    const at = this.#reserve(encoded.length)
    const buffer = this.#buffer
    for (let position = 0; position < encoded.length; position++) buffer[at + position] = encoded[position] ?? 0
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
