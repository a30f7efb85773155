/**
 * The Serf layer of one pool: it sees SWIM's members come and go, reads what travels in user messages and push/pulls, and
 * decides who may be a member.
 *
 * Pure. The parts that know members, events, queries and coordinates are files of their own; this one connects them.
 *
 * Source: gossip wire notes §10, §11, §15.
 */
import { bytesToIp, formatHostPort } from '#base'
import { decode } from '#codec'
import { BroadcastQueue } from './broadcast-queue.ts'
import { CoordinateClient, isValidCoordinate } from './coordinates.ts'
import { answerKeyQuery, isKeyOperation } from './key-queries.ts'
import { LamportClock } from './lamport.ts'
import { MemberTable } from './member-table.ts'
import { type CheckedNode, type PoolIdentity, type Refusal, refusal } from './merge-check.ts'
import type { PushNodeState } from './messages.ts'
import { Mismatches } from './mismatches.ts'
import type { NodeRecord } from './node-table.ts'
import { Queries } from './queries.ts'
import type { CoreRuntime } from './runtime.ts'
import type { SerfContext, SerfState } from './serf-context.ts'
import {
  decodeAckPayload,
  decodeTags,
  encodeAckPayload,
  encodeSerf,
  SERF_MESSAGE,
  SerfJoin,
  SerfLeave,
  SerfMemberRecord,
  SerfPushPull,
  SerfQuery,
  SerfQueryResponse,
  SerfUserEvent,
} from './serf-messages.ts'
import { aliveLine, notAliveLine } from './snapshot.ts'
import { Swim } from './swim.ts'
import type { NodeClaim, SwimDelegate, SwimOptions } from './swim-context.ts'
import { retransmitLimit } from './timing.ts'
import { UserEvents } from './user-events.ts'

const NO_BYTES = Buffer.alloc(0)
const LEFT_STATE = 3

export interface SerfOptions extends SwimOptions {
  readonly identity: PoolIdentity
  /** False for members of other datacenters that only gateways reach. */
  readonly streamPingAllowed: (name: string) => boolean
}

export class Serf implements SwimDelegate {
  readonly swim: Swim
  readonly context: SerfContext
  readonly members: MemberTable
  readonly events: UserEvents
  readonly queries: Queries
  readonly coordinates: CoordinateClient
  readonly mismatches: Mismatches
  state: SerfState = 'alive'
  tags: Readonly<Record<string, string>> = {}
  readonly #options: SerfOptions
  readonly #runtime: CoreRuntime
  #ackPayload: Buffer | undefined

  constructor(options: SerfOptions, modules: { runtime: CoreRuntime }) {
    this.#options = options
    this.#runtime = modules.runtime
    this.swim = new Swim(options, { runtime: modules.runtime, delegate: this })
    this.context = {
      pool: options.identity.pool,
      name: options.name,
      timing: options.timing,
      runtime: modules.runtime,
      swim: this.swim,
      clock: new LamportClock(),
      eventClock: new LamportClock(),
      queryClock: new LamportClock(),
      intents: new BroadcastQueue(),
      events: new BroadcastQueue(),
      queries: new BroadcastQueue(),
      state: () => this.state,
    }
    this.members = new MemberTable(this.context)
    this.events = new UserEvents(this.context)
    this.queries = new Queries(this.context, {
      tags: () => this.tags,
      answerInternal: (name, payload, fits) => this.#answerInternal(name, payload, fits),
    })
    this.coordinates = new CoordinateClient(modules.runtime.random)
    this.mismatches = new Mismatches(modules.runtime)
  }

  // What SWIM saw.

  joined(node: NodeRecord): void {
    this.members.nodeJoined(node)
    this.#runtime.emit({ kind: 'record', line: aliveLine(node.name, node.address, node.port) })
  }

  gone(node: NodeRecord): void {
    this.members.nodeGone(node)
    this.coordinates.forget(node.name)
    if (node.name !== this.context.name) this.#runtime.emit({ kind: 'record', line: notAliveLine(node.name) })
  }

  updated(node: NodeRecord): void {
    this.members.nodeUpdated(node)
    this.#runtime.emit({ kind: 'record', line: aliveLine(node.name, node.address, node.port) })
  }

  // Who may be a member.

  refuseAlive(claim: NodeClaim): string | undefined {
    const node = checkedNode(claim.name, claim.address, claim.port, claim.meta)
    if (node.name === this.context.name) {
      this.#checkOwnName(node, claim.incarnation)
      return undefined
    }
    return this.#report(this.#refusal([node]))
  }

  refuseMerge(nodes: readonly PushNodeState[]): string | undefined {
    const checked = nodes
      .filter((node) => node.State !== LEFT_STATE && node.Name !== this.context.name)
      .map(({ Name, Addr, Port, Meta }) => checkedNode(Name, bytesToIp(Addr ?? NO_BYTES) ?? '', Port, Meta ?? NO_BYTES))
    return this.#report(this.#refusal(checked))
  }

  #refusal(nodes: readonly CheckedNode[]): Refusal | undefined {
    return refusal(this.#options.identity, nodes, (id, except) => this.members.holderOfId(id, except))
  }

  #report(refused: Refusal | undefined): string | undefined {
    if (!refused) return undefined
    const { kind, node, reason } = refused
    this.mismatches.report({ kind, node: node.name, address: node.address, detail: reason })
    return reason
  }

  /** Our own past may claim our name for a moment after a restart; another node goes on claiming it. */
  #checkOwnName(node: CheckedNode, incarnation: number): void {
    const me = this.swim.membership.local
    const id = node.tags['id']
    const { nodeId } = this.#options.identity
    if (!me || id === undefined || id.toLowerCase() === nodeId.toLowerCase() || incarnation < me.incarnation) return
    if (this.mismatches.claimOnOurName()) this.#reportName(node)
  }

  /**
   * The node ID tells a node that was restarted elsewhere from a stranger. Peers of other makes wait until the old address
   * is dead for 30 s; we need not. Two that go on claiming our name are strangers all the same (a copied data directory).
   */
  sameNode(existing: NodeRecord, claim: NodeClaim): boolean {
    const id = decodeTags(existing.meta)['id']
    if (id === undefined || id === '' || decodeTags(claim.meta)['id'] !== id) return false
    if (claim.name !== this.context.name || claim.incarnation < existing.incarnation) return true
    return !this.mismatches.claimOnOurName()
  }

  conflict(_existing: NodeRecord, claim: NodeClaim): void {
    this.#reportName(checkedNode(claim.name, claim.address, claim.port, claim.meta))
  }

  #reportName(node: CheckedNode): void {
    const wan = this.context.pool === 'wan'
    const detail = wan
      ? `Another server is called '${node.name}': two datacenters have the same name, or two servers of one datacenter`
      : `Another node is called '${node.name}'`
    const kind = wan ? 'datacenter-name' : 'node-id'
    this.mismatches.report({ kind, node: node.name, address: node.address, detail })
  }

  streamPingAllowed(node: NodeRecord): boolean {
    return this.#options.streamPingAllowed(node.name)
  }

  // What travels in user messages.

  userMessage(bytes: Buffer): void {
    const body = bytes.subarray(1)
    const { intents, events, queries } = this.context
    switch (bytes[0]) {
      case SERF_MESSAGE.leave:
        if (this.members.leaveIntent(decode(SerfLeave, body))) intents.add({ message: Buffer.from(bytes) })
        return
      case SERF_MESSAGE.join:
        if (this.members.joinIntent(decode(SerfJoin, body))) intents.add({ message: Buffer.from(bytes) })
        return
      case SERF_MESSAGE.userEvent:
        if (this.events.receive(decode(SerfUserEvent, body))) events.add({ message: Buffer.from(bytes) })
        return
      case SERF_MESSAGE.query:
        if (this.queries.receive(decode(SerfQuery, body))) queries.add({ message: Buffer.from(bytes) })
        return
      case SERF_MESSAGE.queryResponse:
        this.queries.response(decode(SerfQueryResponse, body))
        return
      case SERF_MESSAGE.relay:
        this.queries.relayed(body)
        return
      default:
        this.#runtime.log('debug', 'ignored a serf message of unknown type', { type: bytes[0] })
    }
  }

  takeBroadcasts(overheadBytes: number, budgetBytes: number, maxMessages: number): Buffer[] {
    const limit = retransmitLimit(this.context.timing.retransmitMult, this.swim.context.nodes.size)
    const taken: Buffer[] = []
    let free = budgetBytes
    for (const queue of [this.context.intents, this.context.queries, this.context.events]) {
      for (const message of queue.take(overheadBytes, free, limit, maxMessages - taken.length)) {
        taken.push(message)
        free -= message.length + overheadBytes
      }
    }
    return taken
  }

  localState(): Buffer {
    return encodeSerf(SERF_MESSAGE.pushPull, SerfPushPull, {
      LTime: this.context.clock.time,
      StatusLTimes: this.members.statusLTimes(),
      LeftMembers: this.members.names('left'),
      EventLTime: this.context.eventClock.time,
      Events: this.events.buffered(),
      QueryLTime: this.context.queryClock.time,
    })
  }

  mergeState(bytes: Buffer, ignoreOldEvents: boolean): void {
    if (bytes[0] !== SERF_MESSAGE.pushPull) return
    const state = decode(SerfPushPull, bytes.subarray(1))
    const { clock, eventClock, queryClock } = this.context
    if (state.LTime > 0) clock.witness(state.LTime - 1)
    if (state.EventLTime > 0) eventClock.witness(state.EventLTime - 1)
    if (state.QueryLTime > 0) queryClock.witness(state.QueryLTime - 1)
    const left = new Set(state.LeftMembers ?? [])
    const times = state.StatusLTimes ?? {}
    for (const Node of left) this.members.leaveIntent({ LTime: (times[Node] ?? 0) + 1, Node, Prune: false })
    for (const [Node, LTime] of Object.entries(times)) if (!left.has(Node)) this.members.joinIntent({ LTime, Node })
    if (ignoreOldEvents) this.events.minTime = Math.max(this.events.minTime, state.EventLTime)
    this.events.replay(state.Events ?? [])
  }

  #answerInternal(name: string, payload: Buffer, fits: (answer: Buffer) => boolean): Buffer | undefined {
    if (isKeyOperation(name)) {
      const keyring = this.#options.layers.keyring
      const onChange = () => {
        const keysBase64 = keyring?.keys.map((key) => key.base64) ?? []
        this.#runtime.emit({ kind: 'saveKeyring', keysBase64 })
      }
      return answerKeyQuery(name, payload, keyring, { fits, onChange })
    }
    if (name !== 'conflict') return undefined
    const asked = payload.toString('utf8')
    // Whoever asks about our own name wants to hear from others.
    if (asked === this.context.name) return undefined
    const record = this.members.record(asked)
    if (!record) return Buffer.from([SERF_MESSAGE.conflictResponse, 0xc0])
    return encodeSerf(SERF_MESSAGE.conflictResponse, SerfMemberRecord, record)
  }

  // Coordinates.

  ackPayload(): Buffer {
    this.#ackPayload ??= encodeAckPayload(this.coordinates.coordinate)
    return this.#ackPayload
  }

  pingDone(node: NodeRecord, rttMs: number, payload: Buffer): void {
    const coordinate = decodeAckPayload(payload)
    if (!coordinate || !isValidCoordinate(coordinate)) return
    if (!this.coordinates.update(node.name, coordinate, rttMs / 1000)) return
    this.#ackPayload = undefined
    this.#runtime.emit({ kind: 'coordinate', node: node.name, coordinate })
    this.#runtime.emit({ kind: 'coordinate', node: this.context.name, coordinate: this.coordinates.coordinate })
  }
}

function checkedNode(name: string, address: string, port: number, meta: Buffer): CheckedNode {
  return { name, address: formatHostPort(address, port), tags: decodeTags(meta) }
}
