/**
 * What the parts of the Serf layer share: clocks, broadcast queues, the SWIM below.
 */
import type { PoolName } from './api.ts'
import type { BroadcastQueue } from './broadcast-queue.ts'
import type { LamportClock } from './lamport.ts'
import type { CoreRuntime } from './runtime.ts'
import type { Swim } from './swim.ts'
import type { GossipTiming } from './timing.ts'

export type SerfState = 'alive' | 'leaving' | 'left'

export interface SerfContext {
  readonly pool: PoolName
  readonly name: string
  readonly timing: GossipTiming
  readonly runtime: CoreRuntime
  readonly swim: Swim
  readonly clock: LamportClock
  readonly eventClock: LamportClock
  readonly queryClock: LamportClock
  readonly intents: BroadcastQueue
  readonly events: BroadcastQueue
  readonly queries: BroadcastQueue
  /** Our own life in the pool. */
  state(): SerfState
}
