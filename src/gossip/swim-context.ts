/**
 * What the parts of the SWIM core share, and the delegate through which the layer above (Serf) takes part.
 */
import type { Awareness } from './awareness.ts'
import type { BroadcastQueue } from './broadcast-queue.ts'
import type { PushNodeState } from './messages.ts'
import type { NodeRecord, NodeTable } from './node-table.ts'
import type { PacketLayers } from './packet.ts'
import type { CoreRuntime } from './runtime.ts'
import type { GossipTiming } from './timing.ts'

/** A node as a message describes it. */
export interface NodeClaim {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly meta: Buffer
  readonly versions: Buffer
  readonly incarnation: number
}

export interface SwimDelegate {
  /** A reason to ignore this alive message; undefined accepts it. */
  refuseAlive(claim: NodeClaim): string | undefined
  /** A reason to refuse a whole push/pull; undefined accepts it. */
  refuseMerge(nodes: readonly PushNodeState[]): string | undefined
  /** Whether a claim from another address is the node itself, restarted there, and not a stranger with its name. */
  sameNode(existing: NodeRecord, claim: NodeClaim): boolean
  /** Another address claims the name of a node that is alive. */
  conflict(existing: NodeRecord, claim: NodeClaim): void
  joined(node: NodeRecord): void
  gone(node: NodeRecord): void
  updated(node: NodeRecord): void
  userMessage(bytes: Buffer): void
  /** Messages to piggyback, without their leading type byte. */
  takeBroadcasts(overheadBytes: number, budgetBytes: number, maxMessages: number): Buffer[]
  localState(): Buffer
  /** @param ignoreOldEvents - what happened before is not replayed */
  mergeState(bytes: Buffer, ignoreOldEvents: boolean): void
  ackPayload(): Buffer
  pingDone(node: NodeRecord, rttMs: number, payload: Buffer): void
  /** Whether a node can be pinged by a stream when datagrams do not get through. */
  streamPingAllowed(node: NodeRecord): boolean
}

export interface SwimOptions {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly timing: GossipTiming
  readonly layers: PacketLayers
}

export interface SwimContext extends SwimOptions {
  readonly runtime: CoreRuntime
  readonly nodes: NodeTable
  readonly queue: BroadcastQueue
  readonly awareness: Awareness
  readonly delegate: SwimDelegate
}
