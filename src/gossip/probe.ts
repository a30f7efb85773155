/**
 * The probe loop: one node per interval is pinged, then asked for through others and by a stream, then suspected.
 *
 * Also answers pings and pings on behalf of others. Pure: acks arrive as messages, the waits are deadlines.
 *
 * Source: SWIM (Das et al., 2002) §3.1; Lifeguard, LHA-Probe (arXiv:1707.00788); gossip wire notes §8.
 */
import { bytesToIp, ipToBytes } from '#base'
import type { Deadline } from './deadlines.ts'
import type { Destination } from './effects.ts'
import type { Exchanges } from './exchanges.ts'
import type { Membership } from './membership.ts'
import { AckResp, encodeMessage, IndirectPing, MESSAGE, NackResp, Ping, Suspect } from './messages.ts'
import { isGone, type NodeRecord } from './node-table.ts'
import { makeCompound } from './packet.ts'
import type { PacketSender } from './packet-sender.ts'
import { sealStream } from './stream.ts'
import type { SwimContext } from './swim-context.ts'

const NO_BYTES = Buffer.alloc(0)
const MAX_SEQ = 0xffff_ffff
/** Since which memberlist protocol (`max`) a node answers stream pings, and sends nacks. */
const STREAM_PING_VERSION = 3
const NACK_VERSION = 4
/** Most pings that wait for an answer at once; further indirect pings are ignored. */
export const MAX_WAITING_ACKS = 4096

interface Waiting {
  onAck(payload: Buffer): void
  onNack(): void
  expiry: Deadline
}

/** One probe under way. */
interface Probe {
  readonly node: NodeRecord
  readonly seqNo: number
  readonly sentMs: number
  readonly endMs: number
  expectedNacks: number
  nacks: number
  streamAnswered: boolean
  over: boolean
}

export class Prober {
  readonly #context: SwimContext
  readonly #sender: PacketSender
  readonly #membership: Membership
  readonly #exchanges: Exchanges
  readonly #waiting = new Map<number, Waiting>()
  #seqNo = 0
  #probing = false

  constructor(context: SwimContext, modules: { sender: PacketSender; membership: Membership; exchanges: Exchanges }) {
    this.#context = context
    this.#sender = modules.sender
    this.#membership = modules.membership
    this.#exchanges = modules.exchanges
  }

  start(): void {
    this.#context.runtime.repeat(
      () => this.#context.timing.probeIntervalMs,
      () => this.#probeNext(),
    )
  }

  #probeNext(): void {
    if (this.#probing || this.#membership.leaving) return
    const { nodes, name, runtime, timing } = this.#context
    const node = nodes.nextToProbe(
      (candidate) => candidate.name !== name && !isGone(candidate),
      () => {
        const before = runtime.nowMs - timing.gossipToTheDeadMs
        nodes.removeWhere((old) => isGone(old) && old.stateChangedMs < before && old.name !== name)
      },
    )
    if (node) this.#probe(node)
  }

  #probe(node: NodeRecord): void {
    const { runtime, timing, awareness } = this.#context
    const intervalMs = awareness.scale(timing.probeIntervalMs)
    const probe: Probe = {
      node,
      seqNo: this.#nextSeqNo(),
      sentMs: runtime.nowMs,
      endMs: runtime.nowMs + intervalMs,
      expectedNacks: 0,
      nacks: 0,
      streamAnswered: false,
      over: false,
    }
    this.#probing = true
    this.#await(probe.seqNo, intervalMs, {
      onAck: (payload) => this.#acked(probe, payload),
      onNack: () => {
        probe.nacks++
      },
    })
    this.#sendPing(probe)
    runtime.after(timing.probeTimeoutMs, () => this.#askOthers(probe))
    runtime.deadlines.schedule(probe.endMs, () => this.#end(probe))
  }

  #sendPing({ node, seqNo }: Probe): void {
    const ping = encodeMessage(MESSAGE.ping, Ping, { SeqNo: seqNo, Node: node.name, ...this.#source() })
    if (node.state === 'alive') {
      this.#sender.sendFilled(node, ping)
      return
    }
    const accusation = { Incarnation: node.incarnation, Node: node.name, From: this.#context.name }
    const suspect = encodeMessage(MESSAGE.suspect, Suspect, accusation)
    this.#sender.send(node, makeCompound([ping, suspect]), { crc: true })
  }

  #acked(probe: Probe, payload: Buffer): void {
    if (probe.over) return
    const { runtime, delegate, timing } = this.#context
    const rttMs = runtime.nowMs - probe.sentMs
    this.#finish(probe)
    this.#context.awareness.apply(-1)
    // A later ack came through a helper: its time says nothing about the way to the node.
    if (rttMs <= timing.probeTimeoutMs) delegate.pingDone(probe.node, rttMs, payload)
  }

  #askOthers(probe: Probe): void {
    if (probe.over) return
    const { nodes, name, timing, delegate } = this.#context
    const { node, seqNo } = probe
    const helpers = nodes.pick(
      timing.indirectChecks,
      (candidate) => candidate.name !== name && candidate !== node && candidate.state === 'alive',
    )
    for (const helper of helpers) {
      const nack = (helper.versions[1] ?? 0) >= NACK_VERSION
      if (nack) probe.expectedNacks++
      const request = {
        SeqNo: seqNo,
        Target: ipToBytes(node.address) ?? NO_BYTES,
        Port: node.port,
        Node: node.name,
        Nack: nack,
        ...this.#source(),
      }
      this.#sender.sendFilled(helper, encodeMessage(MESSAGE.indirectPing, IndirectPing, request))
    }
    if ((node.versions[1] ?? 0) >= STREAM_PING_VERSION && delegate.streamPingAllowed(node)) this.#pingByStream(probe)
  }

  #pingByStream(probe: Probe): void {
    const { runtime, layers } = this.#context
    const ping = encodeMessage(MESSAGE.ping, Ping, { SeqNo: probe.seqNo, Node: probe.node.name, ...this.#source() })
    const bytes = sealStream(ping, layers, runtime.random, 'initiator')
    this.#exchanges.open(probe.node, bytes, Math.max(1, probe.endMs - runtime.nowMs), (result) => {
      if (result.message?.kind === 'ackResp' && result.message.ack.SeqNo === probe.seqNo) probe.streamAnswered = true
    })
  }

  #end(probe: Probe): void {
    if (probe.over) return
    const { runtime, awareness, name } = this.#context
    this.#finish(probe)
    const { node } = probe
    if (probe.streamAnswered) {
      awareness.apply(-1)
      runtime.log('warn', 'was able to connect to node over TCP but UDP probes failed, network may be misconfigured', {
        node: node.name,
      })
      return
    }
    awareness.apply(probe.expectedNacks > 0 ? Math.max(0, probe.expectedNacks - probe.nacks) : 1)
    runtime.log('info', 'suspect node has failed, no acks received', { node: node.name })
    this.#membership.suspect({ Incarnation: node.incarnation, Node: node.name, From: name })
  }

  #finish(probe: Probe): void {
    probe.over = true
    this.#probing = false
    this.#waiting.get(probe.seqNo)?.expiry.cancel()
    this.#waiting.delete(probe.seqNo)
  }

  /** A ping for us, answered at once to where it says, else to where it came from. */
  answerPing(ping: Ping, from: Destination): void {
    const { name, delegate, runtime } = this.#context
    if (ping.Node !== '' && ping.Node !== name) {
      runtime.log('debug', 'got ping for unexpected node', { node: ping.Node, from: from.address })
      return
    }
    const ack = encodeMessage(MESSAGE.ackResp, AckResp, { SeqNo: ping.SeqNo, Payload: delegate.ackPayload() })
    this.#sender.sendFilled(replyTo(ping, from), ack)
  }

  /** Pings a node for someone who could not reach it. */
  relayPing(request: IndirectPing, from: Destination): void {
    const { timing } = this.#context
    const address = bytesToIp(request.Target ?? NO_BYTES)
    if (address === undefined || this.#waiting.size >= MAX_WAITING_ACKS) return
    const seqNo = this.#nextSeqNo()
    const asker = replyTo(request, from)
    let answered = false
    this.#await(
      seqNo,
      timing.probeTimeoutMs,
      {
        onAck: () => {
          answered = true
          this.#sender.sendFilled(
            asker,
            encodeMessage(MESSAGE.ackResp, AckResp, { SeqNo: request.SeqNo, Payload: null }),
          )
        },
        onNack: () => {},
      },
      () => {
        if (answered || !request.Nack) return
        this.#sender.sendFilled(asker, encodeMessage(MESSAGE.nackResp, NackResp, { SeqNo: request.SeqNo }))
      },
    )
    const ping = encodeMessage(MESSAGE.ping, Ping, { SeqNo: seqNo, Node: request.Node, ...this.#source() })
    this.#sender.sendFilled({ name: request.Node, address, port: request.Port }, ping)
  }

  ack(message: AckResp): void {
    const waiting = this.#waiting.get(message.SeqNo)
    if (!waiting) return
    waiting.expiry.cancel()
    this.#waiting.delete(message.SeqNo)
    waiting.onAck(message.Payload ?? NO_BYTES)
  }

  nack(message: NackResp): void {
    this.#waiting.get(message.SeqNo)?.onNack()
  }

  #await(seqNo: number, ms: number, handlers: Omit<Waiting, 'expiry'>, onExpiry?: () => void): void {
    const expiry = this.#context.runtime.after(ms, () => {
      this.#waiting.delete(seqNo)
      onExpiry?.()
    })
    this.#waiting.set(seqNo, { ...handlers, expiry })
  }

  #nextSeqNo(): number {
    this.#seqNo = this.#seqNo >= MAX_SEQ ? 1 : this.#seqNo + 1
    return this.#seqNo
  }

  #source() {
    const { name, address, port } = this.#context
    return { SourceAddr: ipToBytes(address) ?? NO_BYTES, SourcePort: port, SourceNode: name }
  }
}

function replyTo(message: Ping | IndirectPing, from: Destination): Destination {
  const address = bytesToIp(message.SourceAddr ?? NO_BYTES)
  if (address !== undefined && message.SourcePort > 0) {
    return { name: message.SourceNode, address, port: message.SourcePort }
  }
  return { ...from, name: message.SourceNode }
}
