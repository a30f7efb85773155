/**
 * WAN gossip through mesh gateways: datagrams as frames on kept TLS connections, streams as one connection each.
 *
 * Connections for datagrams are kept per destination node, not per gateway, and dropped after two idle minutes; the
 * other side dials its own for its answers. Best effort like UDP: what cannot be sent now is dropped and counted, the
 * protocol above notices by itself.
 *
 * Source: RPC wire notes §12.
 */
import type { Duplex } from 'node:stream'
import type { Clock, Logger, Metrics } from '#base'
import { messageOf } from '#base'
import type { WanCarrier } from '#gossip'
import { encodePacketFrame } from '#net'
import type { RemoteDialer } from './dialer.ts'

const PACKET_ALPN = 'consul/wan-gossip/packet'
const STREAM_ALPN = 'consul/wan-gossip/stream'

/** Datagrams that wait for one destination's connection; the oldest is dropped first. */
export const MAX_QUEUED_PACKETS = 256
export const IDLE_MS = 120_000
/** After a failed dial, datagrams to that node are dropped for this long instead of dialing for each. */
export const RETRY_AFTER_MS = 500
/** Bytes that may wait in a connection's buffer before datagrams are dropped. */
export const MAX_BUFFERED_BYTES = 1024 * 1024

interface Lane {
  readonly datacenter: string
  stream: Duplex | undefined
  dialing: boolean
  queue: Uint8Array[]
  lastUsedMs: number
  closedUntilMs: number
}

export interface CarrierModules {
  readonly dialer: RemoteDialer
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export class GatewayWanCarrier implements WanCarrier {
  readonly #modules: CarrierModules
  readonly #lanes = new Map<string, Lane>()
  readonly #sweep: { cancel(): void }
  readonly #closing = new AbortController()

  constructor(modules: CarrierModules) {
    this.#modules = modules
    this.#sweep = modules.clock.every(IDLE_MS / 4, () => this.#closeIdle())
  }

  sendPacket(node: string, datacenter: string, bytes: Uint8Array): void {
    if (this.#closing.signal.aborted) return
    const key = `${node}.${datacenter}`
    const now = this.#modules.clock.nowMs()
    const lane = this.#lanes.get(key) ?? {
      datacenter,
      stream: undefined,
      dialing: false,
      queue: [],
      lastUsedMs: now,
      closedUntilMs: 0,
    }
    this.#lanes.set(key, lane)
    lane.lastUsedMs = now
    if (lane.stream) {
      if (lane.stream.writableLength > MAX_BUFFERED_BYTES) this.#drop('buffer full')
      else lane.stream.write(encodePacketFrame(bytes))
      return
    }
    if (now < lane.closedUntilMs) {
      this.#drop('unreachable')
      return
    }
    lane.queue.push(bytes)
    if (lane.queue.length > MAX_QUEUED_PACKETS) {
      lane.queue.shift()
      this.#drop('queue full')
    }
    if (!lane.dialing) void this.#open(lane, node, datacenter)
  }

  exchange(node: string, datacenter: string): Promise<Duplex> {
    return this.#modules.dialer.dial({ node, datacenter }, STREAM_ALPN, this.#closing.signal)
  }

  /** Leaves the connections to a datacenter: it is silent, and they may be such that nothing arrives on any more. */
  drop(datacenter: string): void {
    for (const lane of this.#lanes.values()) {
      if (lane.datacenter !== datacenter) continue
      lane.stream?.destroy()
      lane.stream = undefined
    }
  }

  close(): void {
    this.#closing.abort(new Error('the WAN carrier was closed'))
    this.#sweep.cancel()
    for (const lane of this.#lanes.values()) lane.stream?.destroy()
    this.#lanes.clear()
  }

  async #open(lane: Lane, node: string, datacenter: string): Promise<void> {
    const { dialer, clock, log } = this.#modules
    lane.dialing = true
    try {
      const stream = await dialer.dial({ node, datacenter }, PACKET_ALPN, this.#closing.signal)
      const gone = () => {
        if (lane.stream === stream) lane.stream = undefined
      }
      stream.on('error', gone)
      stream.on('close', gone)
      stream.on('end', gone)
      stream.resume()
      lane.stream = stream
      for (const packet of lane.queue.splice(0)) stream.write(encodePacketFrame(packet))
    } catch (error) {
      lane.queue.length = 0
      lane.closedUntilMs = clock.nowMs() + RETRY_AFTER_MS
      this.#drop('unreachable')
      log.debug('no way for WAN gossip', { node, datacenter, error: messageOf(error) })
    } finally {
      lane.dialing = false
    }
  }

  #drop(reason: string): void {
    this.#modules.metrics.count('hanse.wan.packet.dropped', 1, { reason })
  }

  #closeIdle(): void {
    const oldest = this.#modules.clock.nowMs() - IDLE_MS
    for (const [key, lane] of this.#lanes) {
      if (lane.dialing || lane.lastUsedMs > oldest) continue
      lane.stream?.destroy()
      this.#lanes.delete(key)
    }
  }
}
