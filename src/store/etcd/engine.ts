/**
 * The engine for several servers: the contract of ../engine.ts over etcd.
 *
 * Writers are folded into one transaction of etcd's (commits.ts); what changed comes back by one watch (watcher.ts), for
 * this server's own writes as for those of others, so every server has the same stream. A commit resolves when its
 * batch has come by that way. A datacenter's keys are laid out in keyspace.ts.
 *
 * Reads that must be linearizable ask etcd for the revision of the last commit of all and wait until the stream has
 * brought it. The same is done every second, so that it is known how old what is in memory may be.
 */
import { type Clock, codeOf, type Logger, type Metrics, messageOf, type Random, type Timer, uuid } from '#base'
import type { EtcdKeyValue } from '#codec'
import type {
  ChangeBatch,
  CommitResult,
  Content,
  Engine,
  Lease,
  LeaseOptions,
  StoredRecord,
  Transaction,
} from '../engine.ts'
import { storeError } from '../errors.ts'
import { checkTransaction } from '../transaction.ts'
import { EtcdClient, type EtcdIdentity } from './client.ts'
import { Commits } from './commits.ts'
import { Following } from './following.ts'
import { establish } from './identity.ts'
import { type Generation, Keyspace } from './keyspace.ts'
import { EtcdLeases } from './leases.ts'
import { range, status } from './methods.ts'
import { allBelow, type rangeOf } from './operations.ts'
import { sweep, writeDraft } from './replacement.ts'
import { knownFault } from './versions.ts'

/** Records in one answer of a load. */
const PAGE_RECORDS = 1_000
/** How long a question to etcd may take, all attempts together. */
const READ_MS = 10_000
/** How often it is asked whether anything is missing here. */
const HEARTBEAT_MS = 1_000
/** How often etcd is asked which of its members leads. */
const LEADER_INTERVAL_MS = 5_000
/** How often what restores left behind is looked for. */
const SWEEP_MS = 300_000

export interface EtcdOptions {
  /** Client URLs of etcd's members, the nearest first. */
  readonly endpoints: readonly string[]
  /** PEM texts for mutual TLS; undefined only for etcd without TLS. */
  readonly identity: () => EtcdIdentity | undefined
  readonly datacenter: string
  /** Where in etcd; ends with a slash. */
  readonly prefix: string
  /** This server, as no other of the datacenter is called: its node ID. */
  readonly writer: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics?: Metrics
}

/** An engine on etcd, and what only it can be told. */
export interface EtcdEngine extends Engine {
  /** Other members than those it was opened with. */
  useEndpoints(endpoints: readonly string[]): void
}

/**
 * Opens the store of a datacenter in etcd, or makes it there.
 *
 * @throws STORE_UNREACHABLE, STORE_REFUSED, STORE_FOREIGN, STORE_VERSION; nothing is written then
 */
export async function openEtcd(options: EtcdOptions): Promise<EtcdEngine> {
  const client = new EtcdClient(options)
  try {
    const engine = new OpenEtcd(options, client)
    await engine.start()
    return engine
  } catch (error) {
    client.close()
    throw error
  }
}

class OpenEtcd implements EtcdEngine {
  readonly kind = 'etcd'
  readonly #options: EtcdOptions
  readonly #client: EtcdClient
  readonly #keyspace: Keyspace
  readonly #commits: Commits
  readonly #leases: EtcdLeases
  readonly #following: Following
  readonly #timers: Timer[] = []
  /** Code of the error that the last heartbeat met. */
  #silent: string | undefined
  /** When it was last asked, with success, whether anything is missing here. */
  #confirmedMs: number
  #barrier: { readonly begun: boolean; readonly promise: Promise<number> } | undefined
  #closing: Promise<void> | undefined

  constructor(options: EtcdOptions, client: EtcdClient) {
    const { clock, metrics, writer, random, prefix } = options
    this.#options = options
    this.#client = client
    this.#keyspace = new Keyspace(prefix)
    this.#following = new Following({
      ...options,
      client,
      keyspace: this.#keyspace,
      commits: () => this.#commits,
      closed: () => this.#closed(),
    })
    this.#confirmedMs = clock.nowMs()
    this.#leases = new EtcdLeases({ client, keyspace: this.#keyspace, clock, random })
    this.#commits = new Commits(
      {
        client,
        keyspace: this.#keyspace,
        clock,
        metrics,
        writer,
        nonce: random.bytes(12).toString('hex'),
        delivered: async (revision) => {
          await this.#following.delivered(revision)
          return this.#following.log
        },
        onReplaced: (revision) => this.#following.replaced(revision),
      },
      this.#following.keys,
    )
  }

  async start(): Promise<void> {
    const { datacenter, clock, random } = this.#options
    this.#following.isOf(await establish(this.#client, this.#keyspace, datacenter, uuid(random)))
    await this.#commits.inTurn(() => this.#following.begin())
    const sweepAgain = () => {
      void sweep(this.#replacement).catch((error: unknown) => {
        this.#options.log.debug('what a restore left behind was not removed', { error: messageOf(error) })
      })
    }
    sweepAgain()
    void this.#client.findLeader()
    void this.#judgeVersion().catch(() => {
      // Asking may be forbidden; it is only for the warning.
    })
    this.#timers.push(
      clock.every(HEARTBEAT_MS, () => void this.#heartbeat()),
      clock.every(LEADER_INTERVAL_MS, () => void this.#client.findLeader()),
      clock.every(SWEEP_MS, sweepAgain),
    )
  }

  async #judgeVersion(): Promise<void> {
    const { version } = await this.#client.call(status, {}, { timeoutMs: READ_MS })
    const fault = knownFault(version)
    if (fault !== undefined) this.#options.log.warn(fault)
  }

  /** Asks whether anything is missing here, and says when that begins or ceases to fail. */
  async #heartbeat(): Promise<void> {
    const { log } = this.#options
    try {
      await this.barrier()
      if (this.#silent !== undefined) log.info('etcd answers again')
      this.#silent = undefined
    } catch (error) {
      const code = codeOf(error)
      if (code !== this.#silent && !this.#closing) {
        log.error('cannot ask etcd what is new, reads go on from memory', { error: messageOf(error) })
      }
      this.#silent = code
    }
  }

  get #replacement() {
    return { client: this.#client, keyspace: this.#keyspace, clock: this.#options.clock }
  }

  async replaceAll(records: AsyncIterable<readonly Content[]>): Promise<{ revision: number }> {
    this.#assertOpen()
    const draft = await writeDraft(this.#replacement, records)
    const revision = await this.#commits.inTurn(() => this.#following.publish(draft))
    this.#options.metrics?.count('hanse.store.replaced')
    await sweep(this.#replacement).catch((error: unknown) => {
      this.#options.log.warn('the replaced records are not removed yet', { error: messageOf(error) })
    })
    return { revision }
  }

  async load(onRecords: (batch: readonly StoredRecord[]) => void): Promise<{ revision: number }> {
    this.#assertOpen()
    await this.#following.ready
    const { keys } = this.#following
    let after = ''
    let snapshot = 0
    for (;;) {
      const question = allBelow(keys.records, { limit: PAGE_RECORDS, revision: snapshot })
      const page = await this.#read(after === '' ? question : { ...question, key: `${after}\0` })
      snapshot ||= page.header?.revision ?? 0
      const records = (page.kvs ?? []).map((kv) => recordOf(keys, kv))
      for (const { key, modRevision } of page.kvs ?? []) keys.noteEarly(keys.keyOf(key) ?? '', modRevision)
      if (records.length > 0) onRecords(records)
      after = page.kvs?.at(-1)?.key ?? ''
      if (!page.more) break
    }
    const { kvs } = await this.#read(allBelow(keys.writers, { keysOnly: true, revision: snapshot }))
    const revision = highest(kvs)
    if (!this.#following.hasOwn(kvs, keys)) await this.#following.verify()
    else if (keys === this.#following.keys) await this.#following.delivered(revision)
    return { revision }
  }

  /** @throws STORE_HISTORY_GONE where the revision that is read was compacted away meanwhile */
  async #read(question: ReturnType<typeof rangeOf>) {
    try {
      return await this.#client.call(range, question, { timeoutMs: READ_MS })
    } catch (error) {
      if (codeOf(error) !== 'STORE_REFUSED' || !/compacted/.test(messageOf(error))) throw error
      throw storeError('STORE_HISTORY_GONE', { after: question.revision, from: 0, to: 0 }, error)
    }
  }

  subscribe(after: number, onBatch: (batch: ChangeBatch) => void, onLost: (error: unknown) => void): () => void {
    this.#assertOpen()
    return this.#following.log.subscribe(after, onBatch, onLost)
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    this.#assertOpen()
    const bytes = checkTransaction(transaction)
    if (transaction.writes.length === 0 && (transaction.conditions?.length ?? 0) === 0) {
      return { ok: true, revision: await this.barrier() }
    }
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>()
    try {
      this.#commits.add({ transaction, bytes, resolve, reject })
    } catch (error) {
      this.#options.metrics?.count('hanse.store.busy')
      throw error
    }
    return promise
  }

  /** Those who ask in one turn of the event loop share one question. */
  barrier(): Promise<number> {
    if (this.#closing) return Promise.reject(this.#closed())
    if (this.#barrier && !this.#barrier.begun) return this.#barrier.promise
    const shared = { begun: false, promise: Promise.resolve(0) }
    shared.promise = (async () => {
      await new Promise((resolve) => setImmediate(resolve))
      shared.begun = true
      return this.#lastCommit()
    })()
    this.#barrier = shared
    return shared.promise
  }

  async #lastCommit(): Promise<number> {
    const { clock, metrics } = this.#options
    const askedMs = clock.nowMs()
    for (;;) {
      const watcher = await this.#following.followed()
      const { keys } = this.#following
      const { kvs, header } = await this.#read(allBelow(keys.writers, { keysOnly: true }))
      if (this.#following.hasOwn(kvs, keys)) {
        await this.#following.delivered(highest(kvs))
        break
      }
      // Without this server's mark the generation is none any more, and says nothing about the last commit.
      await this.#following.verify()
      await watcher.replaced(header?.revision ?? 0)
    }
    this.#confirmedMs = Math.max(this.#confirmedMs, askedMs)
    metrics?.gauge('hanse.store.stale_ms', clock.nowMs() - askedMs)
    return this.#following.log.lastBatch
  }

  staleMs(): number {
    return this.#options.clock.nowMs() - this.#confirmedMs
  }

  lease(name: string, options: LeaseOptions): Lease {
    this.#assertOpen()
    return this.#leases.lease(name, options)
  }

  useEndpoints(endpoints: readonly string[]): void {
    this.#client.useEndpoints(endpoints)
  }

  #closed(): Error {
    return storeError('STORE_CLOSED', { path: this.#client.place })
  }

  #assertOpen(): void {
    if (this.#closing) throw this.#closed()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#commits.idle()
    await this.#leases.close(this.#closed())
    this.#following.close()
    this.#client.close()
  }
}

function highest(kvs: readonly EtcdKeyValue[] | null): number {
  return Math.max(0, ...(kvs ?? []).map(({ modRevision }) => modRevision))
}

function recordOf(keys: Generation, { key, value, createRevision, modRevision }: EtcdKeyValue): StoredRecord {
  return {
    key: keys.keyOf(key) ?? '',
    value: value ?? new Uint8Array(),
    createRevision: Math.max(createRevision, keys.floor),
    modRevision: Math.max(modRevision, keys.floor),
  }
}
