/**
 * State: the tables of one datacenter in memory, derived from the store's stream of changes.
 *
 * Reads are synchronous and see whole batches only. A write runs its work against the tables, commits what the work
 * wants on the condition that nothing it relied on has changed, and runs it again where something has.
 */
import type { Clock, Logger, Metrics } from '#base'
import type { Engine } from '#store'
import type { Reading, ReadTx, WriteTx } from './transactions.ts'

export interface StateOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly datacenter: string
  /** No index will be below this one: the highest that clients saw before a restore or a change of engine. */
  readonly indexFloor?: number
}

export class State {
  static async open(_options: StateOptions): Promise<State> {
    return new State()
  }
  /** Highest index applied; never goes back. */
  get index(): number {
    return 1
  }
  read<T>(_query: (tx: ReadTx) => T): Reading<T> {
    throw new Error('not yet')
  }
  write<T>(_work: (tx: WriteTx) => T): Promise<{ value: T; index: number }> {
    throw new Error('not yet')
  }
  /** Waits until everything that any server answered before this call is applied here; resolves to the index. */
  async consistent(): Promise<number> {
    return this.index
  }
  async close(): Promise<void> {}
}
