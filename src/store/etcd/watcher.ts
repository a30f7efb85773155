/**
 * Follows one generation of a datacenter's keys in etcd: turns events into batches, whole revisions in order, and goes
 * on at another member where a stream ends.
 *
 * A member that has lost its leader ends the stream (see client.ts); one that just falls silent is noticed by those who
 * wait for a revision (`reached()`), and the stream is opened elsewhere.
 *
 * What a new stream brings is held back until `verify` has said that it comes from the etcd that was followed before: an
 * etcd that was emptied, or another one behind the same address, would else be taken for the truth.
 */
import { type Clock, type Logger, messageOf, type Timer } from '#base'
import { ETCD_EVENT_DELETE, type EtcdEvent, type EtcdWatchReply } from '#codec'
import type { ChangeLog } from '../change-log.ts'
import type { Change } from '../engine.ts'
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import { endOf, type Generation } from './keyspace.ts'
import { watch } from './methods.ts'

/** Silence while someone waits, in milliseconds, after which the stream is opened at another member. */
const SILENCE_MS = 1_000
/** Between two attempts to open the stream. */
const REOPEN_MS = 100
/** How long the stream may take to tell of a replacement that is known already. */
const REPLACED_MS = 2_000

export interface WatcherOptions {
  readonly client: EtcdClient
  readonly keys: Generation
  readonly log: ChangeLog
  readonly clock: Clock
  readonly logger: Logger
  /** The key whose deletion says that this generation was replaced. */
  readonly own: string
  /** @throws when the member that answers now is not one of the etcd that is followed */
  readonly verify: () => Promise<{ readonly member: bigint | undefined }>
  /** Comes once, and ends the watcher: history is compacted away, or the generation was replaced. */
  readonly onEnd: (error: unknown) => void
}

interface Waiter {
  readonly revision: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Watcher {
  readonly #options: WatcherOptions
  /** Everything up to here was handed to the log. */
  #progress: number
  #pending: EtcdEvent[] = []
  #waiters: Waiter[] = []
  #stop = () => {}
  #heardMs = 0
  #timer: Timer | undefined
  #ended: { readonly reason: unknown } | undefined

  /** @param from - the revision that the log begins at */
  constructor(options: WatcherOptions, from: number) {
    this.#options = options
    this.#progress = from
    options.client.saw(from)
    this.#open()
  }

  get progress(): number {
    return this.#progress
  }

  /** Resolves when everything up to a revision was handed over. @throws why the watcher ended */
  reached(revision: number): Promise<void> {
    if (revision <= this.#progress) return Promise.resolve()
    if (this.#ended) return Promise.reject(this.#ended.reason)
    if (this.#waiters.length === 0) this.#watchSilence()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision, resolve, reject })
    })
  }

  #watchSilence(): void {
    const { clock, logger } = this.#options
    this.#heardMs = clock.nowMs()
    const timer = clock.every(SILENCE_MS / 2, () => {
      if (this.#waiters.length === 0 || this.#ended) {
        timer.cancel()
        return
      }
      if (clock.nowMs() - this.#heardMs < SILENCE_MS) return
      this.#heardMs = clock.nowMs()
      logger.warn('a member of etcd tells of no changes though there are some, asking another')
      this.#reopen(true)
    })
  }

  #open(): void {
    const { client, keys, clock, logger } = this.#options
    if (this.#ended) return
    this.#pending = []
    let opened: ReturnType<typeof client.stream<Parameters<typeof watch.request.encode>[0], EtcdWatchReply>>
    try {
      opened = client.stream(watch)
    } catch (error) {
      this.end(error)
      return
    }
    const { stream, avoid } = opened
    let over = false
    const finish = () => {
      over = true
      stream.removeAllListeners('data')
      stream.cancel()
    }
    this.#stop = () => {
      if (over) return
      finish()
      avoid()
    }
    const broke = (reason: string) => {
      if (over) return
      finish()
      avoid()
      logger.debug('the stream of changes from etcd ended, opening it again', { reason })
      this.#timer = clock.after(REOPEN_MS, () => this.#open())
    }
    stream.on('error', (error: unknown) => broke(messageOf(error)))
    stream.on('end', () => broke('it was ended'))
    const take = (reply: EtcdWatchReply) => {
      try {
        this.#take(reply, broke)
      } catch (error) {
        this.end(error)
      }
    }
    const begin = async (created: EtcdWatchReply) => {
      try {
        if (created.header) client.check(created.header)
        const { member } = await this.#options.verify()
        if (over || this.#ended) return
        if (member !== created.header?.member) return broke('another member answers by now')
        take(created)
        stream.resume()
      } catch (error) {
        broke(messageOf(error))
      }
    }
    let begun = false
    stream.on('data', (reply: EtcdWatchReply) => {
      this.#heardMs = clock.nowMs()
      if (begun) return take(reply)
      begun = true
      stream.pause()
      void begin(reply)
    })
    stream.write({
      create: {
        key: keys.prefix,
        rangeEnd: endOf(keys.prefix),
        startRevision: this.#progress + 1,
        fragment: true,
      },
    })
  }

  #reopen(elsewhere: boolean): void {
    if (elsewhere) this.#stop()
    this.#open()
  }

  #take(reply: EtcdWatchReply, broke: (reason: string) => void): void {
    const { log, client } = this.#options
    if (reply.compactRevision > 0) {
      throw storeError('STORE_HISTORY_GONE', {
        after: this.#progress,
        from: reply.compactRevision,
        to: reply.header?.revision ?? 0,
      })
    }
    if (reply.canceled) {
      broke(reply.cancelReason || 'it was cancelled')
      return
    }
    for (const event of reply.events ?? []) this.#pending.push(event)
    if (reply.fragment) return
    const events = this.#pending
    this.#pending = []
    for (let at = 0; at < events.length; ) {
      const revision = events[at]?.kv?.modRevision ?? 0
      let end = at
      while (end < events.length && events[end]?.kv?.modRevision === revision) end++
      // A stream that was opened again may begin with what is known.
      if (revision > this.#progress) this.#hand(revision, events.slice(at, end))
      at = end
    }
    log.advance(this.#progress)
    client.saw(this.#progress)
    this.#settle()
  }

  #hand(revision: number, events: readonly EtcdEvent[]): void {
    const { keys, log, own } = this.#options
    const changes: Change[] = []
    for (const { type, kv } of events) {
      const stored = kv?.key ?? ''
      if (type === ETCD_EVENT_DELETE && stored === own) throw storeError('STORE_REPLACED', { revision })
      const key = keys.keyOf(stored)
      if (key === undefined) continue
      keys.forgetEarly(key)
      const deleted = type === ETCD_EVENT_DELETE
      changes.push({
        key,
        value: deleted ? null : (kv?.value ?? new Uint8Array()),
        createRevision: deleted ? 0 : Math.max(kv?.createRevision ?? 0, keys.floor),
        modRevision: revision,
      })
    }
    if (changes.length > 0) log.append({ revision, changes })
    this.#progress = revision
  }

  #settle(): void {
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ revision }) => revision > this.#progress)
    for (const { revision, resolve } of waiters) if (revision <= this.#progress) resolve()
  }

  /**
   * The generation is known to be replaced: resolves when the stream has come as far and ended, so that what was written
   * before is still handed over.
   */
  async replaced(revision: number): Promise<void> {
    const ended = this.reached(Number.POSITIVE_INFINITY).catch(() => {})
    const timer = this.#options.clock.after(REPLACED_MS, () => this.end(storeError('STORE_REPLACED', { revision })))
    await ended
    timer.cancel()
  }

  /** Ends it; those who wait hear why. */
  end(reason: unknown): void {
    if (this.#ended) return
    this.#ended = { reason }
    this.#settle()
    this.#timer?.cancel()
    this.#stop()
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(reason)
    this.#options.onEnd(reason)
  }
}
