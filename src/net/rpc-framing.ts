/**
 * RPC messages on a stream: where one ends and the next begins, and the small header in front of each body.
 *
 * A message is two msgpack values, header and body, with no length in front. The scanner walks the bytes once, as they
 * come, and keeps only counters; a body of many megabytes costs one pass and one copy. Bodies stay raw here.
 *
 * Source: RPC wire notes §5; the msgpack specification for sizes of values.
 */
import { messageOf } from '#base'
import { MsgpackReader, MsgpackWriter } from '#codec'
import { appendChunk } from './chunks.ts'
import { netError } from './errors.ts'

/** Largest body of a request or a reply. */
export const MAX_RPC_BODY_BYTES = 64 * 1024 * 1024
/** Largest header: an error text, a method name and a number. */
export const MAX_RPC_HEADER_BYTES = 256 * 1024

/** Bytes that follow the code, for ca..d3 and d4..d8. */
const SCALAR_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17]

/** How many values follow per counted element, for codes with a length field; -1: none, the length is bytes. */
const LENGTH_CODES = new Map<number, { readonly size: number; readonly values: number; readonly extra: number }>([
  [0xc4, { size: 1, values: 0, extra: 0 }],
  [0xc5, { size: 2, values: 0, extra: 0 }],
  [0xc6, { size: 4, values: 0, extra: 0 }],
  [0xc7, { size: 1, values: 0, extra: 1 }],
  [0xc8, { size: 2, values: 0, extra: 1 }],
  [0xc9, { size: 4, values: 0, extra: 1 }],
  [0xd9, { size: 1, values: 0, extra: 0 }],
  [0xda, { size: 2, values: 0, extra: 0 }],
  [0xdb, { size: 4, values: 0, extra: 0 }],
  [0xdc, { size: 2, values: 1, extra: 0 }],
  [0xdd, { size: 4, values: 1, extra: 0 }],
  [0xde, { size: 2, values: 2, extra: 0 }],
  [0xdf, { size: 4, values: 2, extra: 0 }],
])

/** Finds the end of one msgpack value in bytes that come piece by piece. */
export class ValueScanner {
  #values = 1
  #skipBytes = 0
  #lengthCode = 0
  #lengthBytesLeft = 0
  #length = 0

  /**
   * Walks on through `bytes` from `from`.
   *
   * @returns the position behind the value, or -1 when it goes on behind `bytes`; after an end the next value begins
   * @throws RPC_MALFORMED at a byte that begins no value
   */
  scan(bytes: Uint8Array, from: number): number {
    let at = from
    while (at < bytes.length) {
      if (this.#skipBytes > 0) {
        const step = Math.min(this.#skipBytes, bytes.length - at)
        this.#skipBytes -= step
        at += step
      } else {
        const byte = bytes[at++] ?? 0
        if (this.#lengthBytesLeft > 0) this.#lengthByte(byte)
        else this.#code(byte)
      }
      if (this.#values === 0 && this.#skipBytes === 0 && this.#lengthBytesLeft === 0) {
        this.#values = 1
        return at
      }
    }
    return -1
  }

  #code(code: number): void {
    this.#values--
    if (code < 0x80 || code >= 0xe0 || code === 0xc0 || code === 0xc2 || code === 0xc3) return
    if (code <= 0x8f) this.#values += (code & 0x0f) * 2
    else if (code <= 0x9f) this.#values += code & 0x0f
    else if (code <= 0xbf) this.#skipBytes = code & 0x1f
    else if (code >= 0xca && code <= 0xd8) this.#skipBytes = SCALAR_BYTES[code - 0xca] ?? 0
    else {
      const form = LENGTH_CODES.get(code)
      if (!form) throw netError('RPC_MALFORMED', { reason: `byte 0x${code.toString(16)} begins no value` })
      this.#lengthCode = code
      this.#lengthBytesLeft = form.size
      this.#length = 0
    }
  }

  #lengthByte(byte: number): void {
    this.#length = this.#length * 256 + byte
    this.#lengthBytesLeft--
    const form = LENGTH_CODES.get(this.#lengthCode)
    if (this.#lengthBytesLeft > 0 || !form) return
    if (form.values > 0) this.#values += this.#length * form.values
    else this.#skipBytes = this.#length + form.extra
  }
}

export interface RpcMessage {
  readonly header: Buffer
  readonly body: Buffer
}

/** Cuts a stream of bytes into messages. */
export class RpcMessageReader {
  readonly #maxBodyBytes: number
  readonly #scanner = new ValueScanner()
  readonly #incoming: Buffer[] = []
  #at = 0
  #parts: Buffer[] = []
  #partBytes = 0
  #header: Buffer | undefined
  /** Bytes that came in and belong to no finished message. */
  bufferedBytes = 0

  constructor(maxBodyBytes = MAX_RPC_BODY_BYTES) {
    this.#maxBodyBytes = maxBodyBytes
  }

  push(chunk: Buffer): void {
    this.#incoming.push(chunk)
    this.bufferedBytes += chunk.length
  }

  /**
   * The next complete message, if there is one.
   *
   * @throws RPC_MALFORMED, RPC_TOO_LARGE; the stream is then beyond repair
   */
  next(): RpcMessage | undefined {
    for (let chunk = this.#incoming[0]; chunk; chunk = this.#incoming[0]) {
      const end = this.#scanner.scan(chunk, this.#at)
      this.#keep(chunk.subarray(this.#at, end === -1 ? chunk.length : end))
      this.#at = end === -1 ? chunk.length : end
      if (this.#at === chunk.length) {
        this.#incoming.shift()
        this.#at = 0
      }
      if (end === -1) continue
      const value = this.#parts.length === 1 && this.#parts[0] ? this.#parts[0] : Buffer.concat(this.#parts)
      this.#parts = []
      this.#partBytes = 0
      this.bufferedBytes -= value.length
      if (this.#header) {
        const header = this.#header
        this.#header = undefined
        return { header, body: value }
      }
      this.#header = value
    }
    return undefined
  }

  /** Whether a message has begun and not ended. */
  get midMessage(): boolean {
    return this.#header !== undefined || this.bufferedBytes > 0
  }

  /** The header of the message whose body is still coming, for answers to bodies that cannot be taken. */
  get pendingHeader(): Buffer | undefined {
    return this.#header
  }

  #keep(part: Buffer): void {
    appendChunk(this.#parts, part)
    this.#partBytes += part.length
    const limitBytes = this.#header ? this.#maxBodyBytes : MAX_RPC_HEADER_BYTES
    if (this.#partBytes > limitBytes) throw netError('RPC_TOO_LARGE', { limitBytes })
  }
}

export interface RequestHeader {
  /** Echoed as it came; 64 bits on the wire. */
  readonly seq: number | bigint
  readonly method: string
}

export interface ResponseHeader extends RequestHeader {
  /** "" for success. */
  readonly error: string
}

/** Reads the header of a request or of a response (a request has no Error). Unknown keys are skipped. */
export function decodeRpcHeader(bytes: Buffer): ResponseHeader {
  let seq: number | bigint = 0
  let method = ''
  let error = ''
  try {
    const reader = new MsgpackReader(bytes)
    for (let left = reader.mapHeader(); left > 0; left--) {
      const key = reader.string()
      if (reader.nil()) continue
      if (key === 'Seq') seq = reader.integer()
      else if (key === 'ServiceMethod') method = reader.string()
      else if (key === 'Error') error = reader.string()
      else reader.skip()
    }
  } catch (cause) {
    throw netError('RPC_MALFORMED', { reason: messageOf(cause) }, cause)
  }
  return { seq, method, error }
}

export function encodeRequestHeader({ seq, method }: RequestHeader): Buffer {
  const writer = new MsgpackWriter()
  writer.mapHeader(2)
  writer.string('Seq')
  writer.int(seq)
  writer.string('ServiceMethod')
  writer.string(method)
  return writer.finish()
}

export function encodeResponseHeader({ error, seq, method }: ResponseHeader): Buffer {
  const writer = new MsgpackWriter()
  writer.mapHeader(3)
  writer.string('Error')
  writer.string(error)
  writer.string('Seq')
  writer.int(seq)
  writer.string('ServiceMethod')
  writer.string(method)
  return writer.finish()
}
