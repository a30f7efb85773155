/**
 * Gossip datagrams on a stream: a length in front of each, so that they can cross gateways.
 *
 * The bytes inside are exactly what would have been the UDP datagram. One direction only: answers come on a connection
 * that the other side dials.
 *
 * Source: RPC wire notes §12 (WAN gossip packet).
 */
import type { Duplex } from 'node:stream'
import { type Clock, type HanseError, systemClock, type Timer } from '#base'
import { appendChunk } from './chunks.ts'
import { netError } from './errors.ts'

/** Largest datagram taken. */
export const MAX_PACKET_BYTES = 4 * 1024 * 1024
/** A connection on which no packet begins for that long is closed. */
export const PACKET_IDLE_MS = 120_000
export const PACKET_ALPN = 'consul/wan-gossip/packet'
const LENGTH_BYTES = 4

/** @throws PACKET_TOO_LARGE */
export function encodePacketFrame(packet: Uint8Array): Buffer {
  if (packet.length > MAX_PACKET_BYTES) {
    throw netError('PACKET_TOO_LARGE', { packetBytes: packet.length, limitBytes: MAX_PACKET_BYTES })
  }
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + packet.length)
  frame.writeUInt32BE(packet.length, 0)
  frame.set(packet, LENGTH_BYTES)
  return frame
}

/** Cuts a stream of bytes into packets. */
export class PacketFrameDecoder {
  #parts: Buffer[] = []
  #bytes = 0

  /** Whether a frame has begun and not ended. */
  get midFrame(): boolean {
    return this.#bytes > 0
  }

  /**
   * Takes the next bytes and returns the packets that they complete.
   *
   * @throws PACKET_TOO_LARGE; the stream is then beyond repair
   */
  push(chunk: Buffer): Buffer[] {
    appendChunk(this.#parts, chunk)
    this.#bytes += chunk.length
    const packets: Buffer[] = []
    for (let need = this.#need(); need !== undefined && this.#bytes >= need; need = this.#need()) {
      const all = this.#join()
      packets.push(all.subarray(LENGTH_BYTES, need))
      this.#parts = need < all.length ? [all.subarray(need)] : []
      this.#bytes = all.length - need
    }
    return packets
  }

  /** Bytes of the frame at the front, once its length is there. */
  #need(): number | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined
    const [first] = this.#parts
    const head = first && first.length >= LENGTH_BYTES ? first : this.#join()
    const packetBytes = head.readUInt32BE(0)
    if (packetBytes > MAX_PACKET_BYTES) {
      throw netError('PACKET_TOO_LARGE', { packetBytes, limitBytes: MAX_PACKET_BYTES })
    }
    return LENGTH_BYTES + packetBytes
  }

  #join(): Buffer {
    const [only, ...more] = this.#parts
    if (only && more.length === 0) return only
    const all = Buffer.concat(this.#parts)
    this.#parts = [all]
    return all
  }
}

export interface PacketReceiverOptions {
  readonly onPacket: (packet: Buffer) => void
  /** Once, when the stream is over; the error says what was wrong with its bytes. */
  readonly onClose?: (error: HanseError | undefined) => void
  readonly clock?: Clock
}

/** Reads packets until the stream ends, is idle for two minutes, or sends what is no packet. */
export function receivePackets(
  stream: Duplex,
  { onPacket, onClose, clock = systemClock }: PacketReceiverOptions,
): void {
  const decoder = new PacketFrameDecoder()
  let idle: Timer | undefined
  let failure: HanseError | undefined
  const rearm = () => {
    idle?.cancel()
    idle = clock.after(PACKET_IDLE_MS, () => stream.destroy())
  }
  stream.on('data', (chunk: Buffer) => {
    if (failure) return
    rearm()
    try {
      for (const packet of decoder.push(chunk)) onPacket(packet)
    } catch (error) {
      failure = error instanceof Error && 'code' in error ? (error as HanseError) : undefined
      stream.destroy()
    }
  })
  stream.on('end', () => stream.end())
  stream.on('error', () => stream.destroy())
  stream.on('close', () => {
    idle?.cancel()
    onClose?.(failure)
  })
  rearm()
}
