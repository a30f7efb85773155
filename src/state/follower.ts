/**
 * Follows the store: loads the tables, then applies the stream of changes, and loads anew where the stream breaks.
 *
 * A batch is applied whole before anyone hears of it. The index only grows, whatever happens to the stream.
 */
import { type Clock, codeOf, HanseError, type Logger, type Metrics, messageOf, type Timer } from '#base'
import type { ChangeBatch, Engine } from '#store'
import { stateError } from './errors.ts'
import { decodeHeader, encodeHeader, HEADER_KEY } from './header.ts'
import { Tables } from './tables.ts'
import { type StateWatch, Watches } from './watches.ts'

/** Between two attempts to follow the store again. */
const RETRY_MS = 1000
/** Ends of the stream that say nothing bad of the store: a restore, a gap in its history, another base of the indexes. */
const LOADS_AGAIN: ReadonlySet<string> = new Set(['STORE_REPLACED', 'STORE_HISTORY_GONE', 'STATE_STREAM_LOST'])
/** Loads in a row that may end in another server having set the header meanwhile. */
const MAX_LOADS = 8

export interface FollowerOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly indexFloor: number
}

interface Waiter {
  readonly revision: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Follower {
  readonly watches = new Watches()
  readonly #options: FollowerOptions
  #tables = new Tables(0)
  #revision = 0
  #index = 0
  #waiters: Waiter[] = []
  #unsubscribe = () => {}
  #retry: Timer | undefined
  #lost: unknown
  /** Everything in the store was replaced, and is not loaded yet. */
  #replaced = false
  readonly #onReplaced = new Set<() => void>()
  #closed = false

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  get tables(): Tables {
    return this.#tables
  }

  /** Revision of the last batch applied. */
  get revision(): number {
    return this.#revision
  }

  get index(): number {
    return Math.max(1, this.#index)
  }

  /** Loads and begins to follow. @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER, and what the engine throws */
  async start(): Promise<void> {
    const { engine } = this.#options
    const { tables, revision } = await this.#load()
    if (this.#closed) return
    this.#tables = tables
    this.#revision = revision
    this.#index = Math.max(this.#index, revision + tables.base)
    this.#lost = undefined
    this.#unsubscribe = engine.subscribe(
      revision,
      (batch) => this.#apply(batch),
      (error) => this.#onLost(error),
    )
    this.#settleWaiters()
    this.#fire(this.watches.takeAll())
    if (this.#replaced) this.#tellReplaced()
  }

  #tellReplaced(): void {
    this.#replaced = false
    for (const callback of [...this.#onReplaced]) callback()
  }

  /** Calls back, until cancelled, each time that other records than before are in the tables: after a restore. */
  onReplaced(callback: () => void): () => void {
    const own = () => callback()
    this.#onReplaced.add(own)
    return () => void this.#onReplaced.delete(own)
  }

  /** Loads until the base that the records were read with is the one the store says. */
  async #load(): Promise<{ tables: Tables; revision: number }> {
    let base = this.#tables.base
    for (let loads = 0; loads < MAX_LOADS; loads++) {
      const loaded = await this.#loadOnce(base)
      const { header, revision, tables } = loaded
      const least = Math.max(this.#options.indexFloor, this.#index) - revision
      if (header === undefined || least > header.indexBase) {
        await this.#writeHeader(Math.max(least, header?.indexBase ?? 0, 0), loaded.headerRevision)
      } else if (header.indexBase === tables.base) {
        tables.settle()
        return { tables, revision }
      }
      base = header?.indexBase ?? 0
    }
    throw stateError('STATE_STREAM_LOST', { reason: 'other servers keep changing the base of its indexes' })
  }

  async #loadOnce(base: number) {
    const tables = new Tables(base)
    let header: ReturnType<typeof decodeHeader> | undefined
    let headerRevision = 0
    const { revision } = await this.#options.engine.load((records) => {
      for (const record of records) {
        if (record.key === HEADER_KEY) {
          header = decodeHeader(record.value)
          headerRevision = record.modRevision
        } else tables.load(record)
      }
    })
    return { tables, header, headerRevision, revision }
  }

  /** Another server may be quicker; the next load tells. */
  async #writeHeader(indexBase: number, expect: number): Promise<void> {
    await this.#options.engine.commit({ writes: [{ key: HEADER_KEY, value: encodeHeader(indexBase), expect }] })
  }

  #apply(batch: ChangeBatch): void {
    const tables = this.#tables
    const index = batch.revision + tables.base
    const touched = new Set<string>()
    const touch = {
      index,
      revision: batch.revision,
      touched,
      touchPrefixes: (table: string, key: string) => this.watches.touchPrefixes(table, key, touched),
    }
    // All of it is decoded before any of it is done.
    const prepared = batch.changes.map((change) => {
      if (change.key === HEADER_KEY) this.#checkHeader(change.value)
      return tables.prepare(change, touch)
    })
    for (const apply of prepared) apply?.()
    tables.finish(touch)
    this.#revision = batch.revision
    this.#index = Math.max(this.#index, index)
    this.#settleWaiters()
    this.#fire(this.watches.take(touched))
  }

  #checkHeader(value: Uint8Array | null): void {
    const base = value === null ? 0 : decodeHeader(value).indexBase
    if (base === this.#tables.base) return
    throw stateError('STATE_STREAM_LOST', { reason: 'the base of its indexes was changed by another server' })
  }

  #fire(watches: ReadonlySet<StateWatch>): void {
    const { log } = this.#options
    for (const watch of watches) watch.fire((error) => log.error('Watcher failed', { error: messageOf(error) }))
  }

  #settleWaiters(): void {
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ revision }) => revision > this.#revision)
    for (const { revision, resolve } of waiters) if (revision <= this.#revision) resolve()
  }

  /** Waits until a revision is applied here. @throws STATE_STREAM_LOST, STATE_CLOSED */
  applied(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve()
    if (this.#closed) return Promise.reject(stateError('STATE_CLOSED', {}))
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision, resolve, reject })
    })
  }

  #onLost(cause: unknown): void {
    const { log, metrics } = this.#options
    metrics.count('hanse.state.stream_lost')
    log.warn('Stream of the store ended, loading it again', { error: messageOf(cause) })
    this.#unsubscribe()
    const code = codeOf(cause)
    if (code === 'STORE_REPLACED') this.#replaced = true
    // Whoever waits for a revision sees it once all is loaded again: revisions go on, and the store is well.
    if (!LOADS_AGAIN.has(code ?? '')) this.#lose(cause)
    void this.#restart()
  }

  #lose(cause: unknown): void {
    this.#lost = stateError('STATE_STREAM_LOST', { reason: messageOf(cause) }, cause)
    this.#failWaiters(this.#lost)
  }

  async #restart(): Promise<void> {
    const { clock, log } = this.#options
    try {
      await this.start()
      log.info('Following the store again', { index: this.#index })
    } catch (error) {
      if (this.#closed || (error instanceof HanseError && error.code === 'STORE_CLOSED')) return
      log.error('Cannot follow the store, trying again', { error: messageOf(error) })
      this.#lose(error)
      this.#retry = clock.after(RETRY_MS, () => void this.#restart())
    }
  }

  #failWaiters(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(error)
  }

  close(): void {
    this.#closed = true
    this.#retry?.cancel()
    this.#unsubscribe()
    this.#failWaiters(stateError('STATE_CLOSED', {}))
  }
}
