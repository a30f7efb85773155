/**
 * Streams: one connection carries one request and at most one answer. Writing them, and reading them as bytes come in.
 *
 * The reader takes chunks of any size and answers the message once it is complete; it never reads past its limits and
 * never blocks. Which answer a request gets is swim.ts's business, sockets are the transport's.
 *
 * Source: gossip wire notes §5, §6.
 */
import { codeOf, type Random } from '#base'
import { decodeFrom, encode, MsgpackReader } from '#codec'
import { decryptEnvelope, ENCRYPTION_OVERHEAD_BYTES, encryptEnvelope } from './encryption.ts'
import { gossipError } from './errors.ts'
import {
  AckResp,
  ErrResp,
  encodeMessage,
  MESSAGE,
  Ping,
  PushNodeState,
  PushPullHeader,
  UserHeader,
} from './messages.ts'
import { addLabel, compressMessage, decompressMessage, type PacketLayers, stripLabel } from './packet.ts'

/** Longest encrypted frame, and longest stream of any kind. */
export const MAX_STREAM_BYTES = 20 * 1024 * 1024
/** Most bytes that a compressed stream may unfold to. */
export const MAX_STREAM_PLAIN_BYTES = 64 * 1024 * 1024
/** Most node records in one push/pull. */
export const MAX_PUSH_PULL_NODES = 100_000

export const TEXT_REMOTE_ENCRYPTED = 'Remote state is encrypted and encryption is not configured'
export const TEXT_REMOTE_PLAIN = 'Encryption is configured but remote state is not encrypted'

const FRAME_HEADER_BYTES = 5

export interface PushPull {
  readonly join: boolean
  readonly nodes: readonly PushNodeState[]
  readonly userState: Buffer
}

export type StreamMessage =
  | { readonly kind: 'ping'; readonly ping: Ping }
  | { readonly kind: 'ackResp'; readonly ack: AckResp }
  | { readonly kind: 'user'; readonly bytes: Buffer }
  | { readonly kind: 'pushPull'; readonly state: PushPull }
  | { readonly kind: 'err'; readonly error: string }

/** The body of a push/pull message, type byte first. */
export function encodePushPull(state: PushPull): Buffer {
  const header = { Join: state.join, Nodes: state.nodes.length, UserStateLen: state.userState.length }
  const parts = [Buffer.from([MESSAGE.pushPull]), encode(PushPullHeader, header)]
  for (const node of state.nodes) parts.push(encode(PushNodeState, node))
  parts.push(state.userState)
  return Buffer.concat(parts)
}

export function encodeUserStream(bytes: Uint8Array): Buffer {
  return Buffer.concat([encodeMessage(MESSAGE.user, UserHeader, { UserMsgLen: bytes.length }), bytes])
}

export function encodeErr(error: string): Buffer {
  return encodeMessage(MESSAGE.err, ErrResp, { Error: error })
}

/** A message as the bytes of a stream. Only the side that connects sends a label header. */
export function sealStream(
  message: Buffer,
  layers: PacketLayers,
  random: Random,
  side: 'initiator' | 'responder',
): Buffer {
  const compressed = compressMessage(message)
  const bytes = layers.keyring ? encryptFrame(compressed, layers, random) : compressed
  return side === 'initiator' ? addLabel(layers.label, bytes) : bytes
}

function encryptFrame(message: Buffer, layers: PacketLayers, random: Random): Buffer {
  if (!layers.keyring) return message
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  header[0] = MESSAGE.encrypt
  header.writeUInt32BE(message.length + ENCRYPTION_OVERHEAD_BYTES, 1)
  const aad = Buffer.concat([header, Buffer.from(layers.label)])
  return Buffer.concat([header, encryptEnvelope(message, layers.keyring, random, aad)])
}

/** What was read so far of a push/pull that comes unframed, so that each chunk continues where the last one ended. */
interface PushPullProgress {
  header: PushPullHeader
  nodes: PushNodeState[]
  offset: number
}

export type StreamProblem = 'encryption-key' | 'encryption-missing-here' | 'encryption-missing-there'

/** Reads one stream message out of chunks. */
export class StreamReader {
  /** Set when reading failed because of encryption. */
  problem: StreamProblem | undefined
  readonly #layers: PacketLayers
  readonly #side: 'initiator' | 'responder'
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0
  #labelDone = false
  #progress: PushPullProgress | undefined

  /** @param side - who wrote these bytes: the initiator of the connection begins with the label */
  constructor(layers: PacketLayers, side: 'initiator' | 'responder') {
    this.#layers = layers
    this.#side = side
  }

  /** Bytes received and not yet made into a message. */
  get bufferedBytes(): number {
    return this.#length
  }

  /**
   * Takes the next bytes.
   *
   * @returns the message when it is complete, else undefined
   * @throws HanseError GOSSIP_STREAM, GOSSIP_PACKET, GOSSIP_UNDECRYPTABLE, MSGPACK_…
   */
  push(chunk: Uint8Array): StreamMessage | undefined {
    if (this.#length + chunk.length > MAX_STREAM_BYTES) {
      throw gossipError('GOSSIP_STREAM', { reason: `longer than ${MAX_STREAM_BYTES} bytes` })
    }
    this.#append(chunk)
    if (!this.#stripLabel()) return undefined
    return this.#read()
  }

  #append(chunk: Uint8Array): void {
    const need = this.#length + chunk.length
    if (need > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(MAX_STREAM_BYTES, Math.max(need, this.#buffer.length * 2, 4096)))
      this.#buffer.copy(grown, 0, 0, this.#length)
      this.#buffer = grown
    }
    this.#buffer.set(chunk, this.#length)
    this.#length = need
  }

  #stripLabel(): boolean {
    if (this.#labelDone || this.#side === 'responder') return true
    const bytes = this.#buffer.subarray(0, this.#length)
    if (bytes.length === 0) return false
    if (bytes[0] === MESSAGE.label && (bytes.length < 2 || bytes.length < 2 + bytes[1]!)) return false
    const rest = stripLabel(bytes, this.#layers.label)
    this.#length = rest.length
    this.#buffer = rest.length === bytes.length ? this.#buffer : Buffer.from(rest)
    this.#labelDone = true
    return true
  }

  #read(): StreamMessage | undefined {
    const bytes = this.#buffer.subarray(0, this.#length)
    if (bytes.length === 0) return undefined
    if (bytes[0] === MESSAGE.encrypt) {
      const plain = this.#decrypt(bytes)
      return plain && this.#decompressed(plain)
    }
    if (this.#layers.keyring) {
      this.problem = 'encryption-missing-there'
      throw gossipError('GOSSIP_STREAM', { reason: TEXT_REMOTE_PLAIN })
    }
    return whenComplete(() => this.#decompressed(bytes))
  }

  #decrypt(bytes: Buffer): Buffer | undefined {
    if (!this.#layers.keyring) {
      this.problem = 'encryption-missing-here'
      throw gossipError('GOSSIP_STREAM', { reason: TEXT_REMOTE_ENCRYPTED })
    }
    if (bytes.length < FRAME_HEADER_BYTES) return undefined
    const length = bytes.readUInt32BE(1)
    if (length > MAX_STREAM_BYTES - FRAME_HEADER_BYTES) {
      throw gossipError('GOSSIP_STREAM', { reason: `encrypted frame of ${length} bytes is above the limit` })
    }
    if (bytes.length < FRAME_HEADER_BYTES + length) return undefined
    const aad = Buffer.concat([bytes.subarray(0, FRAME_HEADER_BYTES), Buffer.from(this.#layers.label)])
    const envelope = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length)
    try {
      return decryptEnvelope(envelope, this.#layers.keyring, aad)
    } catch (thrown) {
      if (codeOf(thrown) === 'GOSSIP_UNDECRYPTABLE') this.problem = 'encryption-key'
      throw thrown
    }
  }

  #decompressed(bytes: Buffer): StreamMessage {
    if (bytes[0] !== MESSAGE.compress) return this.#message(bytes)
    this.#progress = undefined
    const plain = decompressMessage(bytes.subarray(1), MAX_STREAM_PLAIN_BYTES)
    const message = whenComplete(() => readWhole(plain))
    if (!message) throw gossipError('GOSSIP_STREAM', { reason: 'compressed message ends early' })
    return message
  }

  #message(bytes: Buffer): StreamMessage {
    if (bytes[0] !== MESSAGE.pushPull) return readWhole(bytes)
    const reader = new MsgpackReader(bytes, this.#progress?.offset ?? 1)
    this.#progress ??= beginPushPull(reader)
    return { kind: 'pushPull', state: continuePushPull(reader, this.#progress) }
  }
}

/** undefined where the bytes just end early; other errors go through. */
function whenComplete<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (thrown) {
    if (codeOf(thrown) === 'MSGPACK_TRUNCATED') return undefined
    throw thrown
  }
}

function beginPushPull(reader: MsgpackReader): PushPullProgress {
  const header = decodeFrom(PushPullHeader, reader)
  if (header.Nodes > MAX_PUSH_PULL_NODES || header.UserStateLen > MAX_STREAM_BYTES) {
    throw gossipError('GOSSIP_STREAM', { reason: 'push/pull is above the limits' })
  }
  return { header, nodes: [], offset: reader.offset }
}

function continuePushPull(reader: MsgpackReader, progress: PushPullProgress): PushPull {
  const { header, nodes } = progress
  while (nodes.length < header.Nodes) {
    nodes.push(decodeFrom(PushNodeState, reader))
    progress.offset = reader.offset
  }
  const userState = takeBytes(reader, header.UserStateLen)
  return { join: header.Join, nodes, userState }
}

/** Raw bytes behind a header; what is missing is reported like any early end, so that more chunks are awaited. */
function takeBytes(reader: MsgpackReader, count: number): Buffer {
  if (reader.remaining < count) {
    reader.offset = reader.buffer.length
    reader.peek()
  }
  return Buffer.from(reader.buffer.subarray(reader.offset, reader.offset + count))
}

/** A message whose type byte is at the front and that is there completely. */
function readWhole(bytes: Buffer): StreamMessage {
  const reader = new MsgpackReader(bytes, 1)
  switch (bytes[0]) {
    case MESSAGE.ping:
      return { kind: 'ping', ping: decodeFrom(Ping, reader) }
    case MESSAGE.ackResp:
      return { kind: 'ackResp', ack: decodeFrom(AckResp, reader) }
    case MESSAGE.err:
      return { kind: 'err', error: decodeFrom(ErrResp, reader).Error }
    case MESSAGE.user: {
      const { UserMsgLen } = decodeFrom(UserHeader, reader)
      if (UserMsgLen > MAX_STREAM_BYTES)
        throw gossipError('GOSSIP_STREAM', { reason: 'user message is above the limit' })
      return { kind: 'user', bytes: takeBytes(reader, UserMsgLen) }
    }
    case MESSAGE.pushPull:
      return { kind: 'pushPull', state: continuePushPull(reader, beginPushPull(reader)) }
    default:
      throw gossipError('GOSSIP_STREAM', { reason: `unknown message type ${bytes[0]}` })
  }
}
