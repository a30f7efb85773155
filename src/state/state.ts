/**
 * State: the tables of one datacenter in memory, derived from the store's stream of changes.
 *
 * Reads are synchronous and see whole batches only. A write runs its work against the tables, commits what the work
 * wants on the condition that nothing it relied on has changed, and runs it again where something has.
 */
import { type Clock, codeOf, type Logger, type Metrics } from '#base'
import type { Content, Engine, Transaction } from '#store'
import { stateError } from './errors.ts'
import { Follower } from './follower.ts'
import { Plan, type PlannedTransaction } from './plan.ts'
import { createReads } from './reads.ts'
import { type Dumped, dump, restored } from './restore.ts'
import type { Reading, ReadTx, WriteTx } from './transactions.ts'
import { highestIndex, StateWatch, type Topic } from './watches.ts'
import { WriteGate } from './write-gate.ts'
import { createWrites } from './write-tx.ts'

/** Writes under way, waiting for their turn or for the store; a further one is refused with STATE_BUSY. */
export const MAX_WRITES = 4096
/** Times a write is tried while other servers change the same keys. */
export const MAX_WRITE_ATTEMPTS = 32

export interface StateOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly datacenter: string
  /** No index will be below this one: the highest that clients saw before a restore or a change of engine. */
  readonly indexFloor?: number
}

export interface Written<T> {
  readonly value: T
  /** The index of what was written; the current one where nothing had to be. */
  readonly index: number
}

export interface WriteOptions {
  /** All of it in one transaction: what would be done in rounds is refused (STORE_TRANSACTION_TOO_LARGE). */
  readonly whole?: boolean
}

interface RunOptions extends WriteOptions {
  readonly resumed: boolean
}

/** What came of one run of a write's work. */
interface Run<T> {
  readonly outcome: { readonly value: T } | undefined
  readonly planned: PlannedTransaction | undefined
}

/** A run that may be committed: its keys are held until they are released. */
interface Turn<T> extends Run<T> {
  readonly release: (() => void) | undefined
}

export class State {
  readonly datacenter: string
  readonly #engine: Engine
  readonly #metrics: Metrics
  readonly #follower: Follower
  readonly #gate = new WriteGate()
  readonly #reads: ReadTx
  readonly #plan: Plan
  /** What a write's work is handed; it works on the plan. */
  readonly #writing: WriteTx
  /** Topics of the read that is running; undefined between reads. */
  #seen: Map<string, Topic> | undefined
  #restores = 0
  #writes = 0
  /** A write's work is running: the tables hold what it tries out. */
  #trying = false
  #closing: Promise<void> | undefined
  #onIdle = () => {}

  /** Loads the tables. @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER, and what the engine throws */
  static async open(options: StateOptions): Promise<State> {
    const state = new State(options)
    await state.#follower.start()
    return state
  }

  private constructor({ engine, clock, log, metrics, datacenter, indexFloor = 0 }: StateOptions) {
    this.datacenter = datacenter
    this.#engine = engine
    this.#metrics = metrics
    this.#follower = new Follower({ engine, clock, log, metrics, indexFloor })
    this.#follower.onReplaced(() => {
      this.#restores++
    })
    this.#plan = new Plan(this.#follower.tables)
    this.#writing = createWrites(this.#plan)
    this.#reads = createReads({
      trying: false,
      tables: () => {
        if (this.#seen === undefined) throw stateError('STATE_TRANSACTION_OVER', {})
        return this.#follower.tables
      },
      see: (topic) => void this.#seen?.set(topic.id, topic),
    })
  }

  /** Grows with every restore: what was read before it may be of another history. */
  get restores(): number {
    return this.#restores
  }

  /** Calls back, until cancelled, after each restore, when the tables hold what was restored. */
  onRestored(callback: () => void): () => void {
    return this.#follower.onReplaced(callback)
  }

  /** Hands over everything that is stored, as it is stored, as of one index. See Engine.load(). */
  dump(onRecords: (records: readonly Content[]) => void): Promise<Dumped> {
    if (this.#closing) throw stateError('STATE_CLOSED', {})
    return dump(this.#engine, onRecords)
  }

  /**
   * Puts what was dumped, here or elsewhere, in the place of everything, and resolves when the tables hold it. All
   * indexes are then above those that were shown here, and above `index`: the one it was dumped at.
   *
   * @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER, what `records` throws, and what Engine.replaceAll() throws
   */
  async restore(records: AsyncIterable<readonly Content[]>, index: number): Promise<void> {
    if (this.#closing) throw stateError('STATE_CLOSED', {})
    const base = Math.max(this.#follower.tables.base, index - this.#follower.revision, 0)
    const { revision } = await this.#engine.replaceAll(restored(records, base))
    await this.#follower.applied(revision)
  }

  /** Highest index applied; never goes back. */
  get index(): number {
    return this.#follower.index
  }

  /** Runs a query and notes what it reads. Reads may be nested; each has its own topics. */
  read<T>(query: (tx: ReadTx) => T): Reading<T> {
    if (this.#trying) throw stateError('STATE_NESTED', {})
    const outer = this.#seen
    const seen = new Map<string, Topic>()
    this.#seen = seen
    try {
      const value = query(this.#reads)
      const topics = [...seen.values()]
      const index = Math.max(1, highestIndex(topics))
      return { value, index, watch: new StateWatch(this.#follower.watches, topics, index) }
    } finally {
      this.#seen = outer
    }
  }

  /**
   * Runs `work` until what it wants is committed, and resolves once that is durable and applied here. The work may run
   * several times, so it has no effects but its writes. That it throws, or writes nothing, counts only once everything
   * is applied here that any server answered before: else what another one wrote a moment ago would not be there yet.
   *
   * @throws what the work throws (nothing is written then); STATE_BUSY, STATE_WRITE_CONFLICT, and what the engine throws
   */
  async write<T>(work: (tx: WriteTx) => T, options: WriteOptions = {}): Promise<Written<T>> {
    if (this.#closing) throw stateError('STATE_CLOSED', {})
    if (this.#trying) throw stateError('STATE_NESTED', {})
    if (this.#writes >= MAX_WRITES) {
      this.#metrics.count('hanse.state.busy')
      throw stateError('STATE_BUSY', { limit: MAX_WRITES })
    }
    this.#writes++
    try {
      return await this.#tryUntilDone(work, options)
    } finally {
      this.#writes--
      if (this.#writes === 0) this.#onIdle()
    }
  }

  async #tryUntilDone<T>(work: (tx: WriteTx) => T, options: WriteOptions): Promise<Written<T>> {
    let resumed = false
    let caughtUp = false
    const mustRunAgain = async () => {
      if (caughtUp) return false
      caughtUp = true
      return this.#catchUp()
    }
    for (let conflicts = 0; conflicts < MAX_WRITE_ATTEMPTS; ) {
      let turn: Turn<T>
      try {
        turn = await this.#runInTurn(work, { ...options, resumed }, conflicts > 0)
      } catch (error) {
        if (await mustRunAgain()) continue
        throw error
      }
      const { outcome, planned, release } = turn
      if (planned === undefined || release === undefined) {
        if (await mustRunAgain()) continue
        return this.#nothingToWrite(outcome)
      }
      let revision: number | undefined
      try {
        revision = await this.#commit(planned)
      } finally {
        release()
      }
      if (revision === undefined) conflicts++
      else if (planned.partial || outcome === undefined) {
        // A round of a bulk deletion is progress, so it is no attempt that failed.
        resumed = true
        conflicts = 0
      } else return { value: outcome.value, index: revision + this.#follower.tables.base }
    }
    throw stateError('STATE_WRITE_CONFLICT', { attempts: MAX_WRITE_ATTEMPTS })
  }

  /** @returns whether anything was missing here */
  async #catchUp(): Promise<boolean> {
    const before = this.#follower.revision
    await this.#follower.applied(await this.#engine.barrier())
    return this.#follower.revision !== before
  }

  #nothingToWrite<T>(outcome: { readonly value: T } | undefined): Written<T> {
    if (outcome === undefined) throw stateError('STATE_WRITE_CONFLICT', { attempts: 1 })
    return { value: outcome.value, index: this.index }
  }

  /** Runs the work as soon as nobody else holds the keys it wants, and holds them then. */
  async #runInTurn<T>(work: (tx: WriteTx) => T, how: RunOptions, holdAll: boolean): Promise<Turn<T>> {
    let turnOf: string | undefined
    for (;;) {
      const waited = turnOf
      try {
        const run = this.#run(work, how)
        if (run.planned === undefined) return { ...run, release: undefined }
        turnOf = this.#gate.blockedBy(run.planned.keys, waited)
        if (turnOf === undefined) {
          // After a conflict even what it only relies on: else those who change that could keep it from ever winning.
          const held = holdAll ? run.planned.keys : run.planned.exclusive
          this.#gate.hold(held)
          return { ...run, release: () => this.#gate.release(held) }
        }
      } finally {
        if (waited !== undefined) this.#gate.passOn(waited)
      }
      await this.#gate.turn(turnOf)
    }
  }

  #run<T>(work: (tx: WriteTx) => T, how: RunOptions): Run<T> {
    const plan = this.#plan
    plan.begin(this.#follower.tables, this.#follower.revision + 1, how)
    let outcome: { readonly value: T } | undefined
    this.#trying = true
    try {
      outcome = { value: work(this.#writing) }
    } catch (error) {
      if (!plan.endedByRound(error)) throw error
    } finally {
      plan.rollback()
      this.#trying = false
    }
    return { outcome, planned: plan.transaction() }
  }

  /** @returns the revision, undefined on a conflict; then everything that led to it is applied here */
  async #commit({ transaction }: PlannedTransaction): Promise<number | undefined> {
    const revision = await this.#handIn(transaction)
    if (revision !== undefined) {
      await this.#follower.applied(revision)
      return revision
    }
    this.#metrics.count('hanse.state.conflict')
    await this.#follower.applied(await this.#engine.barrier())
    return undefined
  }

  /** A restore in between is a conflict like any other: the work runs again, on what was restored. */
  async #handIn(transaction: Transaction): Promise<number | undefined> {
    try {
      const result = await this.#engine.commit(transaction)
      return result.ok ? result.revision : undefined
    } catch (error) {
      if (codeOf(error) === 'STORE_REPLACED') return undefined
      throw error
    }
  }

  /** Waits until everything that any server answered before this call is applied here; resolves to the index. */
  async consistent(): Promise<number> {
    if (this.#closing) throw stateError('STATE_CLOSED', {})
    await this.#follower.applied(await this.#engine.barrier())
    return this.index
  }

  /** Refuses further writes, answers those under way, ends the stream. The engine stays open: it is the caller's. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#writes > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    this.#follower.close()
  }
}
