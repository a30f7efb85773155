/**
 * SWIM put together: takes packets and stream messages apart, hands each message to the part that knows it, and runs the
 * probe, gossip and push/pull loops. Pure; the layer above takes part through a SwimDelegate.
 *
 * Source: SWIM (Das et al., 2002); gossip wire notes §2, §3, §8.
 */
import { Awareness } from './awareness.ts'
import { BroadcastQueue } from './broadcast-queue.ts'
import type { Destination } from './effects.ts'
import { Exchanges } from './exchanges.ts'
import { Membership } from './membership.ts'
import {
  AckResp,
  Alive,
  Dead,
  decodeMessage,
  encodeMessage,
  IndirectPing,
  MESSAGE,
  NackResp,
  Ping,
  Suspect,
} from './messages.ts'
import { NodeTable } from './node-table.ts'
import { eachMessage } from './packet.ts'
import { PacketSender } from './packet-sender.ts'
import { Prober } from './probe.ts'
import { PushPuller } from './push-pull.ts'
import type { CoreRuntime } from './runtime.ts'
import type { SwimContext, SwimDelegate, SwimOptions } from './swim-context.ts'

export class Swim {
  readonly context: SwimContext
  readonly exchanges: Exchanges
  readonly membership: Membership
  readonly pushPull: PushPuller
  readonly sender: PacketSender
  readonly #prober: Prober

  constructor(options: SwimOptions, modules: { runtime: CoreRuntime; delegate: SwimDelegate }) {
    const { runtime, delegate } = modules
    this.context = {
      ...options,
      runtime,
      delegate,
      nodes: new NodeTable(runtime.random),
      queue: new BroadcastQueue(),
      awareness: new Awareness(options.timing.awarenessMaxMultiplier),
    }
    this.exchanges = new Exchanges(runtime)
    this.membership = new Membership(this.context)
    this.sender = new PacketSender(this.context)
    this.pushPull = new PushPuller(this.context, this)
    this.#prober = new Prober(this.context, this)
  }

  start(meta: Buffer): void {
    this.membership.announce(meta)
    this.#prober.start()
    this.pushPull.start()
    const { runtime, timing } = this.context
    runtime.repeat(
      () => timing.gossipIntervalMs,
      () => this.#gossip(),
    )
  }

  #gossip(): void {
    const { nodes, name, runtime, timing } = this.context
    const freshMs = runtime.nowMs - timing.gossipToTheDeadMs
    const targets = nodes.pick(timing.gossipNodes, (node) => {
      if (node.name === name || node.state === 'left') return false
      return node.state !== 'dead' || node.stateChangedMs > freshMs
    })
    for (const node of targets) if (!this.sender.gossipTo(node)) return
  }

  /**
   * Handles an opened packet.
   *
   * @throws HanseError GOSSIP_PACKET, MSGPACK_… for bytes that are no messages; those before them count
   */
  receive(packet: Buffer, from: Destination): void {
    eachMessage(packet, (type, body) => this.#message(type, body, from))
  }

  #message(type: number, body: Buffer, from: Destination): void {
    switch (type) {
      case MESSAGE.ping:
        this.#prober.answerPing(decodeMessage(Ping, body), from)
        return
      case MESSAGE.indirectPing:
        this.#prober.relayPing(decodeMessage(IndirectPing, body), from)
        return
      case MESSAGE.ackResp:
        this.#prober.ack(decodeMessage(AckResp, body))
        return
      case MESSAGE.nackResp:
        this.#prober.nack(decodeMessage(NackResp, body))
        return
      case MESSAGE.alive:
        this.membership.alive(decodeMessage(Alive, body))
        return
      case MESSAGE.suspect:
        this.membership.suspect(decodeMessage(Suspect, body))
        return
      case MESSAGE.dead:
        this.membership.dead(decodeMessage(Dead, body))
        return
      case MESSAGE.user:
        this.context.delegate.userMessage(body)
        return
      default:
        this.context.runtime.log('debug', 'ignored a message of unknown type', { type, from: from.address })
    }
  }

  /**
   * Says that we leave on purpose.
   *
   * @param done - when the others were told, or the time for it is over
   */
  leave(done: () => void): void {
    const { name, runtime, timing, nodes } = this.context
    const me = this.membership.local
    this.membership.leaving = true
    let told = false
    const once = () => {
      if (told) return
      told = true
      // In a step of its own: this may be called while a packet is being filled.
      runtime.after(0, done)
    }
    if (me) {
      const goodbye = { Incarnation: me.incarnation, Node: name, From: name }
      this.membership.dead(goodbye, once)
      this.sender.sendToAll(encodeMessage(MESSAGE.dead, Dead, goodbye))
    }
    if (nodes.liveCount() === 0) once()
    else runtime.after(timing.leaveBroadcastMs, once)
  }
}
