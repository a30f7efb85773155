/**
 * Yamux frames as bytes: a 12-byte header, and for data frames the payload behind it.
 *
 * The parser never collects a payload: it hands on what is there, as views of the bytes that came in, and remembers how
 * much of the current payload is still to come. A frame may be split anywhere. What frames mean is yamux-core.ts.
 *
 * Source: yamux specification, version 0; RPC wire notes §3.
 */
import { netError } from './errors.ts'

export const YAMUX_HEADER_BYTES = 12
export const YAMUX_VERSION = 0

export const FRAME = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export type FrameType = (typeof FRAME)[keyof typeof FRAME]
export const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const
export const GO_AWAY = { normal: 0, protocolError: 1, internalError: 2 } as const

export interface FrameHeader {
  readonly type: FrameType
  readonly flags: number
  /** 0 for ping and go away. */
  readonly stream: number
  /** Payload bytes, window delta, opaque ping value or go-away code, by type. */
  readonly length: number
}

export function encodeFrameHeader({ type, flags, stream, length }: FrameHeader): Buffer {
  const bytes = Buffer.allocUnsafe(YAMUX_HEADER_BYTES)
  bytes[0] = YAMUX_VERSION
  bytes[1] = type
  bytes.writeUInt16BE(flags, 2)
  bytes.writeUInt32BE(stream, 4)
  bytes.writeUInt32BE(length, 8)
  return bytes
}

function isFrameType(value: number | undefined): value is FrameType {
  return value !== undefined && value <= FRAME.goAway
}

/** @throws YAMUX_PROTOCOL for another version or an unknown type */
export function decodeFrameHeader(bytes: Buffer): FrameHeader {
  const [version, type] = bytes
  if (version !== YAMUX_VERSION) throw netError('YAMUX_PROTOCOL', { reason: `frame of version ${version}` })
  if (!isFrameType(type)) throw netError('YAMUX_PROTOCOL', { reason: `frame of unknown type ${type}` })
  return { type, flags: bytes.readUInt16BE(2), stream: bytes.readUInt32BE(4), length: bytes.readUInt32BE(8) }
}

/** What the parser finds, in order. A data frame is one header, then payload pieces that add up to its length. */
export interface FrameSink {
  onHeader(header: FrameHeader): void
  /** `last` with the piece that completes the frame; never called for a frame without payload. */
  onPayload(header: FrameHeader, piece: Buffer, last: boolean): void
}

export class FrameParser {
  readonly #sink: FrameSink
  readonly #partial = Buffer.alloc(YAMUX_HEADER_BYTES)
  #partialBytes = 0
  #header: FrameHeader | undefined
  #payloadLeft = 0

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** @throws YAMUX_PROTOCOL; the connection is then beyond repair */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#header) {
        const piece = chunk.subarray(at, at + this.#payloadLeft)
        at += piece.length
        this.#payload(this.#header, piece)
      } else {
        const take = Math.min(YAMUX_HEADER_BYTES - this.#partialBytes, chunk.length - at)
        chunk.copy(this.#partial, this.#partialBytes, at, at + take)
        this.#partialBytes += take
        at += take
        if (this.#partialBytes === YAMUX_HEADER_BYTES) this.#headerDone()
      }
    }
  }

  #payload(header: FrameHeader, piece: Buffer): void {
    this.#payloadLeft -= piece.length
    const last = this.#payloadLeft === 0
    if (last) this.#header = undefined
    this.#sink.onPayload(header, piece, last)
  }

  #headerDone(): void {
    this.#partialBytes = 0
    const header = decodeFrameHeader(this.#partial)
    if (header.type === FRAME.data && header.length > 0) {
      this.#header = header
      this.#payloadLeft = header.length
    }
    this.#sink.onHeader(header)
  }
}
