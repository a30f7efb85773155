/**
 * The embedded engine: the contract of engine.ts over SQLite, in a file or in memory.
 *
 * The disk's work is in a thread; here transactions are folded, answers become batches for the subscribers, and only
 * then do the writers go on. One process at a time has the file open, so leases are local.
 */
import { codeOf, HanseError, type Metrics } from '#base'
import { ChangeLog } from './change-log.ts'
import { CommitQueue, type QueuedTransaction } from './commit-queue.ts'
import { claimDirectory, type DataDirectory } from './data-directory.ts'
import type {
  Change,
  ChangeBatch,
  CommitResult,
  Content,
  Engine,
  Lease,
  LeaseOptions,
  StoredRecord,
  Transaction,
} from './engine.ts'
import { isOfPlace, storeError } from './errors.ts'
import { LocalLeases } from './local-leases.ts'
import { SqliteChannel } from './sqlite-channel.ts'
import { replaceAll } from './sqlite-replacement.ts'
import { DELETED, type Outcome, packTransactions, unpackRecords } from './sqlite-wire.ts'
import { checkTransaction } from './transaction.ts'

/** Size of the database beyond which writes are refused (STORE_FULL), unless the options say otherwise: 8 GiB. */
const DEFAULT_MAX_BYTES = 8_589_934_592

export interface MemoryOptions {
  /** Size that the database may grow to, in bytes. */
  readonly maxBytes?: number
  readonly metrics?: Metrics
}

export interface SqliteOptions extends MemoryOptions {
  /** Made with mode 0700 where it is missing; the store's files are 0600. */
  readonly directory: string
}

/**
 * Opens the store in a directory, or makes it there.
 *
 * @throws STORE_UNWRITABLE, STORE_LOCKED, STORE_CORRUPT, STORE_FOREIGN, STORE_VERSION, STORE_FULL, STORE_FAILED; the
 *   directory is as it was then
 */
export async function openSqlite({ directory, ...options }: SqliteOptions): Promise<Engine> {
  const place = claimDirectory(directory)
  try {
    const { channel, revision } = await SqliteChannel.start({
      path: place.path,
      maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
    })
    place.nameOwner()
    return new SqliteEngine('sqlite', place, channel, revision, options.metrics)
  } catch (error) {
    place.release(false)
    throw codeOf(error) === 'STORE_LOCKED'
      ? storeError('STORE_LOCKED', { path: place.path, reason: place.owner() }, error)
      : error
  }
}

/** A store that ends with the process, for `-dev` and tests. */
export async function openMemory(options: MemoryOptions = {}): Promise<Engine> {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
  const { channel, revision } = await SqliteChannel.start({ path: null, maxBytes })
  return new SqliteEngine('memory', undefined, channel, revision, options.metrics)
}

class SqliteEngine implements Engine {
  readonly kind: string
  readonly #path: string
  readonly #directory: DataDirectory | undefined
  readonly #channel: SqliteChannel
  readonly #queue = new CommitQueue()
  readonly #log: ChangeLog
  readonly #leases: LocalLeases
  readonly #metrics: Metrics | undefined
  #pumping: Promise<void> | undefined
  #failure: unknown
  /** Times that everything was replaced. */
  #replacements = 0
  #closing: Promise<void> | undefined

  constructor(
    kind: string,
    directory: DataDirectory | undefined,
    channel: SqliteChannel,
    revision: number,
    metrics: Metrics | undefined,
  ) {
    this.kind = kind
    this.#path = directory?.path ?? ':memory:'
    this.#directory = directory
    this.#channel = channel
    this.#log = new ChangeLog(revision)
    this.#leases = new LocalLeases(this.#path)
    this.#metrics = metrics
  }

  load(onRecords: (batch: readonly StoredRecord[]) => void): Promise<{ revision: number }> {
    this.#assertOpen()
    return this.#channel.exclusively(async (ask) => {
      const { revision } = this.#log
      let after: Uint8Array | null = null
      for (;;) {
        const { records }: { records: Parameters<typeof unpackRecords>[0] } = await ask('records', {
          kind: 'page',
          after,
        })
        const batch = unpackRecords(records)
        const last = batch.at(-1)
        if (!last) return { revision }
        after = Buffer.from(last.key)
        onRecords(batch)
      }
    })
  }

  subscribe(after: number, onBatch: (batch: ChangeBatch) => void, onLost: (error: unknown) => void): () => void {
    this.#assertOpen()
    return this.#log.subscribe(after, onBatch, onLost)
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    this.#assertOpen()
    if (this.#failure) throw this.#failure
    const bytes = checkTransaction(transaction)
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>()
    try {
      this.#queue.add({ transaction, bytes, resolve, reject })
    } catch (error) {
      this.#metrics?.count('hanse.store.busy')
      throw error
    }
    this.#pumping ??= this.#pump()
    return promise
  }

  /** Folds and commits until nothing waits. Begins after the current turn of the event loop, so that it gathers. */
  async #pump(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const { fold, bytes } = this.#queue.take()
      try {
        await this.#commitFold(fold, bytes)
      } catch (error) {
        for (const { reject } of fold) reject(error)
        this.#noteFailure(error)
      }
    }
    this.#pumping = undefined
  }

  async #commitFold(fold: readonly QueuedTransaction[], bytes: number): Promise<void> {
    const transactions = fold.map((queued) => queued.transaction)
    const replacements = this.#replacements
    // Packed when its turn comes, not while a load is under way.
    const { outcomes } = await this.#channel.exclusively((ask) => {
      if (replacements !== this.#replacements) throw storeError('STORE_REPLACED', { revision: this.#log.revision })
      const packed = packTransactions(transactions, bytes)
      return ask('committed', { kind: 'commit', transactions: packed }, [packed.bytes.buffer])
    })
    this.#metrics?.sample('hanse.store.fold', fold.length)
    for (const [index, { transaction, resolve }] of fold.entries()) {
      const outcome = outcomes[index]
      if (outcome) resolve(this.#settle(transaction, outcome))
    }
  }

  /** Hands the transaction's changes to the subscribers; the writer hears of it after them. */
  #settle({ writes, conditions = [] }: Transaction, outcome: Outcome): CommitResult {
    if ('conflicts' in outcome) {
      const keys = [...writes, ...conditions].map((entry) => entry.key)
      return { ok: false, conflicts: outcome.conflicts.map((position) => keys[position] ?? '') }
    }
    const { revision, created } = outcome
    const changes: Change[] = []
    for (const [position, { key, value }] of writes.entries()) {
      const createRevision = created[position] ?? 0
      if (createRevision === 0) continue
      changes.push({
        key,
        value,
        createRevision: createRevision === DELETED ? 0 : createRevision,
        modRevision: revision,
      })
    }
    if (changes.length > 0) this.#log.append({ revision, changes })
    return { ok: true, revision }
  }

  async replaceAll(records: AsyncIterable<readonly Content[]>): Promise<{ revision: number }> {
    this.#assertOpen()
    if (this.#failure) throw this.#failure
    return this.#channel.exclusively(async (ask) => {
      try {
        const revision = await replaceAll(ask, records)
        this.#replacements++
        this.#metrics?.count('hanse.store.replaced')
        this.#log.replace(revision)
        this.#queue.fail(storeError('STORE_REPLACED', { revision }))
        return { revision }
      } catch (error) {
        if (isOfPlace(error)) this.#noteFailure(error)
        throw error
      }
    })
  }

  /** A full disk may have space again; after anything else what is on disk is unknown, and only a restart tells. */
  #noteFailure(error: unknown): void {
    if (error instanceof HanseError && error.code === 'STORE_REPLACED') return
    this.#metrics?.count('hanse.store.failed')
    if (error instanceof HanseError && error.code === 'STORE_FULL') return
    this.#failure = error
    this.#queue.fail(error)
    this.#log.fail(error)
  }

  async barrier(): Promise<number> {
    this.#assertOpen()
    if (this.#failure) throw this.#failure
    // Answered transactions are in the log already: no other process writes.
    return this.#log.revision
  }

  staleMs(): number {
    return 0
  }

  lease(name: string, options: LeaseOptions): Lease {
    this.#assertOpen()
    return this.#leases.lease(name, options)
  }

  #assertOpen(): void {
    if (this.#closing) throw storeError('STORE_CLOSED', { path: this.#path })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#leases.close()
    try {
      await this.#pumping
      await this.#channel.close()
    } finally {
      this.#log.close()
      this.#directory?.release(true)
    }
  }
}
