/**
 * Sends SWIM's datagrams and fills what is left of each with broadcasts.
 *
 * Source: gossip wire notes §2 (who gets a CRC), §9 (budgets).
 */

import type { Destination } from './effects.ts'
import { MESSAGE } from './messages.ts'
import { isGone, type NodeRecord } from './node-table.ts'
import {
  COMPOUND_HEADER_BYTES,
  COMPOUND_PART_BYTES,
  layerOverheadBytes,
  MAX_COMPOUND_PARTS,
  makeCompound,
  sealPacket,
  UDP_BUFFER_BYTES,
} from './packet.ts'
import type { SwimContext } from './swim-context.ts'
import { retransmitLimit } from './timing.ts'

const USER_HEADER_BYTES = 1

/** Most members that are told something directly, one datagram each; in a larger pool gossip has to spread it. */
export const MAX_TOLD_DIRECTLY = 64

/** A user message as it stands in a packet. */
export function frameUserMessage(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(USER_HEADER_BYTES + bytes.length)
  out[0] = MESSAGE.user
  out.set(bytes, USER_HEADER_BYTES)
  return out
}

export class PacketSender {
  readonly #context: SwimContext

  constructor(context: SwimContext) {
    this.#context = context
  }

  /** Exactly this message. `crc` only towards nodes whose record we hold. */
  send(to: Destination, message: Buffer, options: { crc: boolean } = { crc: false }): void {
    const { layers, runtime } = this.#context
    runtime.emit({ kind: 'send', to, bytes: sealPacket(message, layers, runtime.random, options) })
  }

  /** A probe or its answer, with broadcasts in the rest of the datagram. */
  sendFilled(to: Destination, message: Buffer): void {
    const budget = this.#budgetBytes() - message.length - COMPOUND_PART_BYTES
    const extra = this.#takeBroadcasts(budget, MAX_COMPOUND_PARTS - 1)
    this.send(to, extra.length === 0 ? message : makeCompound([message, ...extra]))
  }

  /** Broadcasts alone. Returns false when there are none to send. */
  gossipTo(node: NodeRecord): boolean {
    const messages = this.#takeBroadcasts(this.#budgetBytes(), MAX_COMPOUND_PARTS)
    const [first] = messages
    if (!first) return false
    this.send(node, messages.length === 1 ? first : makeCompound(messages), { crc: true })
    return true
  }

  /**
   * Exactly this message to every live member, at most MAX_TOLD_DIRECTLY of them.
   *
   * For what a node says last: a broadcast is sent a few times to nodes picked by chance, the dead among them, and who
   * says goodbye is not there to say it again.
   */
  sendToAll(message: Buffer): void {
    const { nodes, name } = this.#context
    const others = nodes.all().filter((node) => node.name !== name && !isGone(node))
    for (const node of others.slice(0, MAX_TOLD_DIRECTLY)) this.send(node, message, { crc: true })
  }

  #budgetBytes(): number {
    return UDP_BUFFER_BYTES - COMPOUND_HEADER_BYTES - layerOverheadBytes(this.#context.layers)
  }

  #takeBroadcasts(budgetBytes: number, maxMessages: number): Buffer[] {
    const { queue, nodes, timing, delegate } = this.#context
    const limit = retransmitLimit(timing.retransmitMult, nodes.size)
    const own = queue.take(COMPOUND_PART_BYTES, budgetBytes, limit, maxMessages)
    const used = own.reduce((sum, message) => sum + message.length + COMPOUND_PART_BYTES, 0)
    const overhead = COMPOUND_PART_BYTES + USER_HEADER_BYTES
    const users = delegate.takeBroadcasts(overhead, budgetBytes - used, maxMessages - own.length)
    return users.length === 0 ? own : [...own, ...users.map(frameUserMessage)]
  }
}
