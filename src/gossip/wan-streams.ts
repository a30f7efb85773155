/**
 * WAN streams on the main thread's side: real streams through gateways, whose bytes go to and from the gossip thread.
 */
import type { Duplex } from 'node:stream'
import { messageOf } from '#base'
import type { WanCarrier } from './api.ts'
import { MAX_STREAM_BYTES } from './stream.ts'
import { type CarriedMessage, ownBytes, type ToThread } from './thread-messages.ts'

/** Most streams at once, both directions together; further ones are closed. */
export const MAX_WAN_STREAMS = 512
/** Label and frame header beside the longest message. */
const SLACK_BYTES = 1024

export class WanStreams {
  readonly #post: (message: ToThread) => void
  readonly #carrier: WanCarrier | undefined
  readonly #streams = new Map<number, Duplex>()
  // What the thread wrote before the gateway had answered.
  readonly #dialling = new Map<number, CarriedMessage[]>()
  #nextAccepted = 1

  constructor(post: (message: ToThread) => void, carrier: WanCarrier | undefined) {
    this.#post = post
    this.#carrier = carrier
  }

  accept(duplex: Duplex): void {
    if (this.#streams.size >= MAX_WAN_STREAMS) {
      duplex.destroy()
      return
    }
    const stream = this.#nextAccepted
    this.#nextAccepted += 2
    this.#post({ kind: 'streamOpen', stream })
    this.#attach(stream, duplex)
  }

  async dial(stream: number, node: string, datacenter: string): Promise<void> {
    const waiting: CarriedMessage[] = []
    this.#dialling.set(stream, waiting)
    try {
      if (!this.#carrier) throw new Error('there is no way to other datacenters')
      const duplex = await this.#carrier.exchange(node, datacenter)
      if (!this.#dialling.delete(stream)) {
        duplex.destroy()
        return
      }
      this.#attach(stream, duplex)
      for (const message of waiting) this.receive(message)
    } catch (thrown) {
      this.#dialling.delete(stream)
      this.#post({ kind: 'streamClose', stream, error: messageOf(thrown) })
    }
  }

  #attach(stream: number, duplex: Duplex): void {
    this.#streams.set(stream, duplex)
    let receivedBytes = 0
    duplex.on('error', () => {})
    duplex.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length
      if (receivedBytes > MAX_STREAM_BYTES + SLACK_BYTES) duplex.destroy()
      else this.#post({ kind: 'streamData', stream, bytes: ownBytes(chunk) })
    })
    duplex.on('end', () => this.#post({ kind: 'streamEnd', stream }))
    duplex.on('close', () => {
      if (this.#streams.delete(stream)) this.#post({ kind: 'streamClose', stream })
    })
  }

  receive(message: CarriedMessage): void {
    const waiting = this.#dialling.get(message.stream)
    if (waiting) {
      if (message.kind === 'streamClose') this.#dialling.delete(message.stream)
      else waiting.push(message)
      return
    }
    const duplex = this.#streams.get(message.stream)
    if (!duplex) return
    if (message.kind === 'streamData') duplex.write(message.bytes)
    else if (message.kind === 'streamEnd') duplex.end()
    else {
      this.#streams.delete(message.stream)
      // An answer that was ended is still on its way out.
      if (duplex.writableEnded && !duplex.writableFinished) duplex.once('finish', () => duplex.destroy())
      else duplex.destroy()
    }
  }

  closeAll(): void {
    for (const duplex of this.#streams.values()) duplex.destroy()
    this.#streams.clear()
    this.#dialling.clear()
  }
}
