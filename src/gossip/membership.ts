/**
 * SWIM's member states: what alive, suspect and dead messages do to a node, who is believed, and what is passed on.
 *
 * Incarnation numbers order the claims about a node; only the node itself raises its own, to refute. Pure: deadlines are
 * scheduled with the runtime, effects go through the broadcast queue and the delegate.
 *
 * Source: SWIM (Das et al., 2002) §4.2; gossip wire notes §8.
 */
import { bytesToIp, ipToBytes } from '#base'
import {
  Alive,
  Dead,
  encodeMessage,
  MESSAGE,
  NODE_STATES,
  OUR_VERSIONS,
  type PushNodeState,
  Suspect,
  VERSION_BYTES,
} from './messages.ts'
import { isGone, MAX_NODES, type NodeRecord } from './node-table.ts'
import { Suspicion, suspicionLimits } from './suspicion.ts'
import type { NodeClaim, SwimContext } from './swim-context.ts'

const MAX_INCARNATION = 0xffff_ffff
const EMPTY = Buffer.alloc(0)

export class Membership {
  leaving = false
  readonly #context: SwimContext
  #incarnation = 0

  constructor(context: SwimContext) {
    this.#context = context
  }

  get local(): NodeRecord | undefined {
    return this.#context.nodes.get(this.#context.name)
  }

  /** Announces ourselves: at the start, and again with new meta. */
  announce(meta: Buffer): void {
    const { name, address, port } = this.#context
    this.#incarnation++
    const claim = { name, address, port, meta, versions: OUR_VERSIONS, incarnation: this.#incarnation }
    this.#alive(claim, true)
  }

  alive(message: Alive): void {
    const address = bytesToIp(message.Addr ?? EMPTY)
    if (address === undefined) return
    const claim: NodeClaim = {
      name: message.Node,
      address,
      port: message.Port,
      meta: Buffer.from(message.Meta ?? EMPTY),
      versions: Buffer.from(message.Vsn ?? EMPTY),
      incarnation: message.Incarnation,
    }
    this.#alive(claim, false)
  }

  #alive(claim: NodeClaim, ours: boolean): void {
    const { name, runtime, delegate } = this.#context
    const aboutUs = claim.name === name
    if (this.leaving && aboutUs) return
    if (!validVersions(claim.versions)) return
    const known = this.#context.nodes.get(claim.name)
    // What was accepted once needs no second look: most alive messages repeat what is known.
    const news = known === undefined || !known.meta.equals(claim.meta)
    if (!ours && news && delegate.refuseAlive(claim) !== undefined) return
    const node = known ?? this.#addUnknown(claim)
    if (!node) return
    const moved = node.address !== claim.address || node.port !== claim.port
    const free = moved && this.#mayMove(node)
    if (moved && !free && !delegate.sameNode(node, claim)) {
      runtime.log('debug', 'conflicting address for node', { node: node.name, address: claim.address })
      delegate.conflict(node, claim)
      return
    }
    if (!aboutUs && !free && claim.incarnation <= node.incarnation) return
    if (aboutUs && claim.incarnation < node.incarnation) return
    this.#clearSuspicion(node)
    if (aboutUs && !ours) {
      const same = !moved && claim.meta.equals(node.meta) && claim.versions.equals(node.versions)
      if (claim.incarnation !== node.incarnation || !same) this.#refute(node, claim.incarnation)
      return
    }
    this.#becomeAlive(node, claim)
  }

  #becomeAlive(node: NodeRecord, claim: NodeClaim): void {
    const { delegate } = this.#context
    const wasGone = isGone(node)
    const moved = node.address !== claim.address || node.port !== claim.port
    const changed = moved || !node.meta.equals(claim.meta)
    node.address = claim.address
    node.port = claim.port
    node.meta = claim.meta
    node.versions = claim.versions
    node.incarnation = claim.incarnation
    this.#broadcastAlive(node)
    this.#setState(node, 'alive')
    if (wasGone) delegate.joined(node)
    else if (changed) delegate.updated(node)
  }

  #addUnknown(claim: NodeClaim): NodeRecord | undefined {
    const { nodes, runtime } = this.#context
    if (nodes.size >= MAX_NODES || claim.name === '') return undefined
    const node: NodeRecord = {
      name: claim.name,
      address: claim.address,
      port: claim.port,
      meta: EMPTY,
      versions: EMPTY,
      incarnation: 0,
      state: 'dead',
      stateChangedMs: runtime.nowMs,
      suspicion: undefined,
    }
    nodes.add(node)
    return node
  }

  /** Whether the name may be taken over at another address. */
  #mayMove(node: NodeRecord): boolean {
    const { timing, runtime } = this.#context
    if (node.state === 'left') return true
    const reclaimMs = timing.deadNodeReclaimMs
    return node.state === 'dead' && reclaimMs > 0 && runtime.nowMs - node.stateChangedMs > reclaimMs
  }

  suspect(message: Suspect): void {
    const { nodes, name, runtime, timing, queue } = this.#context
    const node = nodes.get(message.Node)
    if (!node || message.Incarnation < node.incarnation) return
    const broadcast = () =>
      queue.add({ name: node.name, message: encodeMessage(MESSAGE.suspect, Suspect, { ...message }) })
    if (node.suspicion) {
      if (!node.suspicion.rule.confirm(message.From)) return
      broadcast()
      node.suspicion.deadline.cancel()
      node.suspicion.deadline = this.#scheduleDeath(node, node.suspicion.rule)
      return
    }
    if (node.state !== 'alive') return
    if (node.name === name) {
      runtime.log('warn', 'refuting a suspect message', { from: message.From })
      this.#refute(node, message.Incarnation)
      return
    }
    broadcast()
    runtime.count('consul.memberlist.msg.suspect')
    node.incarnation = message.Incarnation
    this.#setState(node, 'suspect')
    const rule = new Suspicion(suspicionLimits(timing, nodes.size), message.From, runtime.nowMs)
    node.suspicion = { rule, deadline: this.#scheduleDeath(node, rule) }
  }

  #scheduleDeath(node: NodeRecord, rule: Suspicion) {
    const { runtime, name } = this.#context
    return runtime.deadlines.schedule(rule.dueMs, () => {
      if (node.state !== 'suspect' || node.suspicion?.rule !== rule) return
      runtime.log('info', 'marking node as failed, suspect timeout reached', { node: node.name })
      this.dead({ Incarnation: node.incarnation, Node: node.name, From: name })
    })
  }

  /** @param onSent - called when the news about our own leaving was sent often enough */
  dead(message: Dead, onSent?: () => void): void {
    const { nodes, name, queue, runtime, delegate } = this.#context
    const node = nodes.get(message.Node)
    if (!node || message.Incarnation < node.incarnation) return
    this.#clearSuspicion(node)
    if (isGone(node)) return
    if (node.name === name && !this.leaving) {
      runtime.log('warn', 'refuting a dead message', { from: message.From })
      this.#refute(node, message.Incarnation)
      return
    }
    queue.add({ name: node.name, message: encodeMessage(MESSAGE.dead, Dead, { ...message }), onDone: onSent })
    node.incarnation = message.Incarnation
    this.#setState(node, message.Node === message.From ? 'left' : 'dead')
    if (node.state === 'dead') runtime.count('consul.memberlist.msg.dead')
    delegate.gone(node)
  }

  /** Entries of a push/pull. A dead one is only suspected: its death may be old news. */
  mergeStates(entries: readonly PushNodeState[]): void {
    for (const entry of entries) {
      const { Name: Node, Incarnation } = entry
      const state = NODE_STATES[entry.State]
      if (state === 'alive') this.alive({ ...entry, Node })
      else if (state === 'left') this.dead({ Incarnation, Node, From: Node })
      else if (state !== undefined) this.suspect({ Incarnation, Node, From: this.#context.name })
    }
  }

  /** Every node as a push/pull carries it. */
  states(): PushNodeState[] {
    return this.#context.nodes.all().map((node) => ({
      Name: node.name,
      Addr: ipToBytes(node.address) ?? EMPTY,
      Port: node.port,
      Meta: node.meta.length === 0 ? null : node.meta,
      Incarnation: node.incarnation,
      State: NODE_STATES.indexOf(node.state),
      Vsn: node.versions,
    }))
  }

  /** The alive message about a node, as broadcasts carry it. */
  aliveMessage(node: NodeRecord): Buffer {
    return encodeMessage(MESSAGE.alive, Alive, {
      Incarnation: node.incarnation,
      Node: node.name,
      Addr: ipToBytes(node.address) ?? EMPTY,
      Port: node.port,
      Meta: node.meta.length === 0 ? null : node.meta,
      Vsn: node.versions,
    })
  }

  /** Tells everyone that we are alive, louder than the claim that we are not. */
  #refute(me: NodeRecord, accusedIncarnation: number): void {
    this.#incarnation = Math.min(Math.max(this.#incarnation, accusedIncarnation) + 1, MAX_INCARNATION)
    me.incarnation = this.#incarnation
    this.#context.awareness.apply(1)
    this.#broadcastAlive(me)
  }

  #broadcastAlive(node: NodeRecord): void {
    this.#context.queue.add({ name: node.name, message: this.aliveMessage(node) })
  }

  #clearSuspicion(node: NodeRecord): void {
    node.suspicion?.deadline.cancel()
    node.suspicion = undefined
  }

  #setState(node: NodeRecord, state: NodeRecord['state']): void {
    if (node.state === state) return
    node.state = state
    node.stateChangedMs = this.#context.runtime.nowMs
  }
}

function validVersions(versions: Buffer): boolean {
  if (versions.length < VERSION_BYTES) return false
  const [min = 0, max = 0] = versions
  return min > 0 && max > 0 && min <= max
}
