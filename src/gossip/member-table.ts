/**
 * Serf's members: what SWIM saw (joined, gone) combined with what nodes announced (join and leave intents), so that
 * leaving can be told from failing. Also removes members that are gone for long.
 *
 * Source: gossip wire notes §11.
 */
import { ipToBytes, parseDuration } from '#base'
import type { Member, MemberEventType, MemberStatus } from './api.ts'
import type { NodeRecord } from './node-table.ts'
import { frameUserMessage } from './packet-sender.ts'
import type { SerfContext } from './serf-context.ts'
import { decodeTags, encodeSerf, SERF_MESSAGE, SerfJoin, SerfLeave, type SerfMemberRecord } from './serf-messages.ts'

const STATUSES: readonly MemberStatus[] = ['none', 'alive', 'leaving', 'left', 'failed']

interface SerfMember {
  readonly name: string
  address: string
  port: number
  tags: Readonly<Record<string, string>>
  versions: Buffer
  status: MemberStatus
  statusLTime: number
  /** Monotonic, when it left or failed. */
  goneMs: number
}

interface BufferedIntent {
  readonly kind: 'join' | 'leave'
  readonly ltime: number
  readonly atMs: number
}

/** Most intents about nodes we do not know yet. */
export const MAX_BUFFERED_INTENTS = 4096
/** A tag with a Go duration: how long this member may be gone before it is reaped. */
const RECONNECT_TIMEOUT_TAG = 'rc_tm'

export class MemberTable {
  readonly #context: SerfContext
  readonly #members = new Map<string, SerfMember>()
  /** Node ID in lower case → the member that showed it last. */
  readonly #byId = new Map<string, string>()
  readonly #intents = new Map<string, BufferedIntent>()
  readonly #changed = new Set<string>()

  constructor(context: SerfContext) {
    this.#context = context
  }

  get(name: string): Member | undefined {
    const member = this.#members.get(name)
    return member && toMember(member)
  }

  tagsOf(name: string): Readonly<Record<string, string>> | undefined {
    return this.#members.get(name)?.tags
  }

  statusOf(name: string): MemberStatus | undefined {
    return this.#members.get(name)?.status
  }

  /** The member, other than `except`, that has this node ID (in lower case) and has not left. */
  holderOfId(nodeId: string, except: string): string | undefined {
    const holder = this.#members.get(this.#byId.get(nodeId) ?? '')
    return holder && holder.name !== except && holder.status !== 'left' ? holder.name : undefined
  }

  all(): readonly Member[] {
    return [...this.#members.values()].map(toMember)
  }

  count(status?: MemberStatus): number {
    if (status === undefined) return this.#members.size
    let count = 0
    for (const member of this.#members.values()) if (member.status === status) count++
    return count
  }

  names(status: MemberStatus): string[] {
    return [...this.#members.values()].filter((member) => member.status === status).map((member) => member.name)
  }

  statusLTimes(): Record<string, number> {
    const times: Record<string, number> = Object.create(null)
    for (const member of this.#members.values()) times[member.name] = member.statusLTime
    return times
  }

  /** Names whose record changed since the last call, and those that are no members any more. */
  drainChanges(): { changed: Member[]; removed: string[] } | undefined {
    if (this.#changed.size === 0) return undefined
    const changed: Member[] = []
    const removed: string[] = []
    for (const name of this.#changed) {
      const member = this.#members.get(name)
      if (member) changed.push(toMember(member))
      else removed.push(name)
    }
    this.#changed.clear()
    return { changed, removed }
  }

  nodeJoined(node: NodeRecord): void {
    const known = this.#members.get(node.name)
    const member = known ?? this.#newMember(node)
    member.status = 'alive'
    member.goneMs = 0
    if (!known) this.#applyBuffered(member)
    this.#copy(member, node)
    this.#members.set(node.name, member)
    this.#context.runtime.count('consul.serf.member.join')
    this.#context.runtime.log('info', 'EventMemberJoin', { member: node.name, address: node.address })
    this.#announce('member-join', member)
  }

  #newMember(node: NodeRecord): SerfMember {
    const { name, address, port, versions } = node
    return { name, address, port, versions, tags: {}, status: 'none', statusLTime: 0, goneMs: 0 }
  }

  #applyBuffered(member: SerfMember): void {
    const intent = this.#intents.get(member.name)
    if (!intent) return
    member.statusLTime = intent.ltime
    if (intent.kind === 'leave') member.status = 'leaving'
  }

  #copy(member: SerfMember, node: NodeRecord): void {
    member.address = node.address
    member.port = node.port
    member.versions = node.versions
    this.#forgetId(member)
    member.tags = decodeTags(node.meta)
    const id = member.tags['id']?.toLowerCase()
    if (id !== undefined && id !== '') this.#byId.set(id, member.name)
  }

  #forgetId(member: SerfMember): void {
    const id = member.tags['id']?.toLowerCase() ?? ''
    if (this.#byId.get(id) === member.name) this.#byId.delete(id)
  }

  nodeGone(node: NodeRecord): void {
    const member = this.#members.get(node.name)
    if (!member) return
    const onPurpose = member.status === 'leaving' || node.state === 'left'
    if (member.status !== 'leaving' && member.status !== 'alive') return
    member.status = onPurpose ? 'left' : 'failed'
    member.goneMs = this.#context.runtime.nowMs
    this.#context.runtime.count(onPurpose ? 'consul.serf.member.left' : 'consul.serf.member.failed')
    this.#context.runtime.log('info', onPurpose ? 'EventMemberLeave' : 'EventMemberFailed', { member: node.name })
    this.#announce(onPurpose ? 'member-leave' : 'member-failed', member)
  }

  nodeUpdated(node: NodeRecord): void {
    const member = this.#members.get(node.name)
    if (!member) return
    this.#copy(member, node)
    this.#context.runtime.count('consul.serf.member.update')
    this.#announce('member-update', member)
  }

  /** @returns whether it was news that others should hear too */
  leaveIntent(message: SerfLeave): boolean {
    const { clock, name, runtime } = this.#context
    clock.witness(message.LTime)
    const member = this.#members.get(message.Node)
    if (!member) return this.#buffer(message.Node, 'leave', message.LTime)
    if (message.LTime <= member.statusLTime) return false
    if (message.Node === name && this.#context.state() === 'alive') {
      runtime.log('debug', 'refuting an older leave intent')
      this.broadcastJoin()
      return false
    }
    member.statusLTime = message.LTime
    const wasAlive = member.status === 'alive'
    if (wasAlive) {
      member.status = 'leaving'
      this.#changed.add(member.name)
    } else if (member.status === 'failed') {
      member.status = 'left'
      runtime.log('info', 'EventMemberLeave (forced)', { member: member.name })
      this.#announce('member-leave', member)
    }
    if (message.Prune) this.#prune(member)
    return true
  }

  #prune(member: SerfMember): void {
    if (member.status !== 'leaving') {
      this.#erase(member)
      return
    }
    const { timing, runtime } = this.#context
    runtime.after(timing.leaveBroadcastMs + timing.leavePropagateDelayMs, () => {
      if (this.#members.get(member.name) === member && member.status !== 'alive') this.#erase(member)
    })
  }

  /** @returns whether it was news that others should hear too */
  joinIntent(message: SerfJoin): boolean {
    this.#context.clock.witness(message.LTime)
    const member = this.#members.get(message.Node)
    if (!member) return this.#buffer(message.Node, 'join', message.LTime)
    if (message.LTime <= member.statusLTime) return false
    member.statusLTime = message.LTime
    if (member.status === 'leaving') {
      member.status = 'alive'
      this.#changed.add(member.name)
    }
    return true
  }

  #buffer(node: string, kind: BufferedIntent['kind'], ltime: number): boolean {
    const known = this.#intents.get(node)
    if (known && known.ltime >= ltime) return false
    if (!known && this.#intents.size >= MAX_BUFFERED_INTENTS) return false
    this.#intents.set(node, { kind, ltime, atMs: this.#context.runtime.nowMs })
    return true
  }

  /** Tells everyone that we are here to stay. */
  broadcastJoin(): void {
    const { clock, name, intents } = this.#context
    const message = { LTime: clock.time, Node: name }
    clock.witness(message.LTime)
    this.joinIntent(message)
    intents.add({ message: encodeSerf(SERF_MESSAGE.join, SerfJoin, message) })
  }

  /**
   * Announces that a node leaves, ourselves or (force-leave) another. That is also told to everyone directly: who hears
   * of our end first takes it for a failure, and who does not hear that another is pruned keeps it, for nobody else
   * speaks of it again.
   */
  broadcastLeave(node: string, prune: boolean, onSent?: () => void): void {
    const { clock, intents, swim } = this.#context
    const intent = { LTime: clock.increment(), Node: node, Prune: prune }
    this.leaveIntent(intent)
    const message = encodeSerf(SERF_MESSAGE.leave, SerfLeave, intent)
    intents.add({ message, onDone: onSent })
    swim.sender.sendToAll(frameUserMessage(message))
  }

  /** Removes members that are gone for longer than they may, and intents that nobody claimed. */
  reap(): void {
    const { runtime, timing, name } = this.#context
    for (const member of this.#members.values()) {
      if (member.name === name || (member.status !== 'failed' && member.status !== 'left')) continue
      const patienceMs = member.status === 'failed' ? timing.reconnectTimeoutMs : timing.tombstoneTimeoutMs
      const own = parseDuration(member.tags[RECONNECT_TIMEOUT_TAG] ?? '')
      if (runtime.nowMs - member.goneMs > (own === undefined ? patienceMs : own / 1e6)) this.#erase(member)
    }
    for (const [node, intent] of this.#intents) {
      if (runtime.nowMs - intent.atMs > timing.recentIntentMs) this.#intents.delete(node)
    }
  }

  #erase(member: SerfMember): void {
    this.#members.delete(member.name)
    this.#forgetId(member)
    this.#context.runtime.log('info', 'EventMemberReap', { member: member.name })
    this.#announce('member-reap', member)
  }

  #announce(type: MemberEventType, member: SerfMember): void {
    this.#changed.add(member.name)
    this.#context.runtime.emit({ kind: 'event', event: { type, members: [toMember(member)] } })
  }

  /** A member as a conflict answer carries it. */
  record(name: string): SerfMemberRecord | undefined {
    const member = this.get(name)
    if (!member) return undefined
    return {
      Name: member.name,
      Addr: ipToBytes(member.address) ?? null,
      Port: member.port,
      Tags: member.tags,
      Status: STATUSES.indexOf(member.status),
      ProtocolMin: member.protocolMin,
      ProtocolMax: member.protocolMax,
      ProtocolCur: member.protocolCur,
      DelegateMin: member.delegateMin,
      DelegateMax: member.delegateMax,
      DelegateCur: member.delegateCur,
    }
  }
}

function toMember({ name, address, port, tags, status, versions }: SerfMember): Member {
  return {
    name,
    address,
    port,
    tags,
    status,
    protocolMin: versions[0] ?? 0,
    protocolMax: versions[1] ?? 0,
    protocolCur: versions[2] ?? 0,
    delegateMin: versions[3] ?? 0,
    delegateMax: versions[4] ?? 0,
    delegateCur: versions[5] ?? 0,
  }
}
