/**
 * Datagram layers: [label] [encryption] [CRC] message, where a message may be compressed or a compound of several.
 *
 * Sealing builds them from the inside out, opening takes them off with limits. Pure.
 *
 * Source: gossip wire notes §2 to §5.
 */
import { crc32 } from 'node:zlib'
import type { Random } from '#base'
import { compressLzw, decompressLzw } from '#codec'
import { decryptEnvelope, ENCRYPTION_OVERHEAD_BYTES, encryptEnvelope } from './encryption.ts'
import { gossipError } from './errors.ts'
import type { Keyring } from './keyring.ts'
import { Compress, decodeMessage, encodeMessage, MESSAGE } from './messages.ts'

/** Largest datagram that we build out of several messages. */
export const UDP_BUFFER_BYTES = 1400
/** Most parts of one compound: its count is one byte. */
export const MAX_COMPOUND_PARTS = 255
/** Most bytes that one packet may unfold to. */
export const MAX_PACKET_PLAIN_BYTES = 256 * 1024
/** Compounds and compressed messages inside each other that a reader follows. */
export const MAX_PACKET_DEPTH = 4
/** Most messages in one packet, however they are nested. */
export const MAX_PACKET_MESSAGES = 1024
export const COMPOUND_HEADER_BYTES = 2
export const COMPOUND_PART_BYTES = 2

const CRC_HEADER_BYTES = 5
const LZW = 0

export interface PacketLayers {
  readonly label: string
  readonly keyring: Keyring | undefined
}

/** Bytes that the outer layers add to a message. */
export function layerOverheadBytes(layers: PacketLayers): number {
  const label = layers.label === '' ? 0 : 2 + Buffer.byteLength(layers.label)
  return label + (layers.keyring ? ENCRYPTION_OVERHEAD_BYTES : 0)
}

/** Several messages in one. At most 255. */
export function makeCompound(messages: readonly Uint8Array[]): Buffer {
  const headerBytes = COMPOUND_HEADER_BYTES + messages.length * COMPOUND_PART_BYTES
  const out = Buffer.allocUnsafe(messages.reduce((sum, message) => sum + message.length, headerBytes))
  out[0] = MESSAGE.compound
  out[1] = messages.length
  let at = headerBytes
  for (const [index, message] of messages.entries()) {
    out.writeUInt16BE(message.length, COMPOUND_HEADER_BYTES + index * COMPOUND_PART_BYTES)
    out.set(message, at)
    at += message.length
  }
  return out
}

/** The message as a compress message, whatever it costs; streams are always sent so. */
export function compressMessage(message: Uint8Array): Buffer {
  return encodeMessage(MESSAGE.compress, Compress, { Algo: LZW, Buf: compressLzw(message) })
}

/**
 * The inside of a compress message.
 *
 * @throws HanseError GOSSIP_PACKET, MSGPACK_…
 */
export function decompressMessage(body: Uint8Array, maxBytes: number): Buffer {
  const { Algo, Buf } = decodeMessage(Compress, body)
  if (Algo !== LZW) throw gossipError('GOSSIP_PACKET', { reason: `unknown compression ${Algo}` })
  const plain = decompressLzw(Buf ?? Buffer.alloc(0), maxBytes)
  if (!plain) throw gossipError('GOSSIP_PACKET', { reason: `compressed message is corrupt or above ${maxBytes} bytes` })
  return plain
}

export function addLabel(label: string, bytes: Buffer): Buffer {
  if (label === '') return bytes
  const name = Buffer.from(label)
  return Buffer.concat([Buffer.from([MESSAGE.label, name.length]), name, bytes])
}

/** A message as the datagram that is sent. `crc` as peers do: only to nodes whose record the sender holds. */
export function sealPacket(message: Buffer, layers: PacketLayers, random: Random, options: { crc: boolean }): Buffer {
  const compressed = compressMessage(message)
  let bytes = compressed.length < message.length ? compressed : message
  if (options.crc) {
    const withCrc = Buffer.allocUnsafe(CRC_HEADER_BYTES + bytes.length)
    withCrc[0] = MESSAGE.hasCrc
    withCrc.writeUInt32BE(crc32(bytes), 1)
    bytes.copy(withCrc, CRC_HEADER_BYTES)
    bytes = withCrc
  }
  if (layers.keyring) bytes = encryptEnvelope(bytes, layers.keyring, random, Buffer.from(layers.label))
  return addLabel(layers.label, bytes)
}

/** Takes the label off and checks it. */
export function stripLabel(bytes: Buffer, label: string): Buffer {
  if (bytes[0] !== MESSAGE.label) {
    if (label !== '') throw gossipError('GOSSIP_PACKET', { reason: 'label missing' })
    return bytes
  }
  const length = bytes[1] ?? 0
  if (length === 0 || bytes.length < 2 + length) throw gossipError('GOSSIP_PACKET', { reason: 'label is cut off' })
  if (bytes.toString('utf8', 2, 2 + length) !== label) throw gossipError('GOSSIP_PACKET', { reason: 'another label' })
  return bytes.subarray(2 + length)
}

/**
 * Takes off label, encryption and CRC.
 *
 * @returns the message, type byte first
 * @throws HanseError GOSSIP_PACKET, GOSSIP_UNDECRYPTABLE
 */
export function openPacket(datagram: Buffer, layers: PacketLayers): Buffer {
  let bytes = stripLabel(datagram, layers.label)
  if (layers.keyring) bytes = decryptEnvelope(bytes, layers.keyring, Buffer.from(layers.label))
  if (bytes[0] === MESSAGE.hasCrc && bytes.length >= CRC_HEADER_BYTES) {
    const body = bytes.subarray(CRC_HEADER_BYTES)
    if (crc32(body) !== bytes.readUInt32BE(1)) throw gossipError('GOSSIP_PACKET', { reason: 'checksum mismatch' })
    bytes = body
  }
  if (bytes.length === 0) throw gossipError('GOSSIP_PACKET', { reason: 'empty' })
  return bytes
}

interface Budget {
  messages: number
  plainBytes: number
}

/**
 * Calls `visit` for every message inside, compounds and compression unfolded, in their order. A compound that is cut off
 * keeps the parts before the cut.
 *
 * @throws HanseError GOSSIP_PACKET, MSGPACK_…; what `visit` throws goes through
 */
export function eachMessage(message: Buffer, visit: (type: number, body: Buffer) => void): void {
  unfold(message, visit, 0, { messages: MAX_PACKET_MESSAGES, plainBytes: MAX_PACKET_PLAIN_BYTES })
}

function unfold(message: Buffer, visit: (type: number, body: Buffer) => void, depth: number, budget: Budget): void {
  const type = message[0]
  if (type === undefined) return
  if (depth > MAX_PACKET_DEPTH) throw gossipError('GOSSIP_PACKET', { reason: 'nested too deeply' })
  const body = message.subarray(1)
  if (type === MESSAGE.compress) {
    const plain = decompressMessage(body, budget.plainBytes)
    budget.plainBytes -= plain.length
    unfold(plain, visit, depth + 1, budget)
  } else if (type === MESSAGE.compound) {
    for (const part of compoundParts(body)) unfold(part, visit, depth + 1, budget)
  } else {
    if (--budget.messages < 0) throw gossipError('GOSSIP_PACKET', { reason: 'too many messages in one packet' })
    visit(type, body)
  }
}

/** The parts of a compound's body that are there completely. */
export function compoundParts(body: Buffer): Buffer[] {
  const count = body[0] ?? 0
  let at = 1 + count * COMPOUND_PART_BYTES
  if (body.length < at) return []
  const parts: Buffer[] = []
  for (let index = 0; index < count; index++) {
    const length = body.readUInt16BE(1 + index * COMPOUND_PART_BYTES)
    if (at + length > body.length) break
    parts.push(body.subarray(at, at + length))
    at += length
  }
  return parts
}

/** Whether undecryptable bytes look like a message that was never encrypted. */
export function looksPlain(datagram: Buffer): boolean {
  const type = datagram[0] ?? 255
  if (type === MESSAGE.hasCrc) {
    return datagram.length > CRC_HEADER_BYTES && crc32(datagram.subarray(CRC_HEADER_BYTES)) === datagram.readUInt32BE(1)
  }
  if (type > MESSAGE.err || type === MESSAGE.encrypt) return false
  if (type === MESSAGE.user || type === MESSAGE.compound) return true
  const next = datagram[1] ?? 0
  return next >= 0x81 && next <= 0x8f
}
