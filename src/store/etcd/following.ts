/**
 * What an engine on etcd follows: the generation of keys that is the datacenter's now, by one watch into one log.
 *
 * It begins anew where history was compacted away, and goes over to the next generation where all was replaced, by this
 * server or by another. Whoever needs a revision waits here until the watch has brought it, over such changes too.
 */
import { type Clock, codeOf, type Logger, messageOf } from '#base'
import type { EtcdKeyValue } from '#codec'
import { ChangeLog } from '../change-log.ts'
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import type { Commits } from './commits.ts'
import { generationNow, verify } from './identity.ts'
import type { Generation, GenerationPlace, Keyspace } from './keyspace.ts'
import { type Draft, publish } from './replacement.ts'
import { Watcher } from './watcher.ts'

/** Between attempts to follow a new generation, or to begin anew after a gap. */
const FOLLOW_RETRY_MS = 500
/** How long what etcd has answered may take to come by the stream: as long as the answer may take. */
const DELIVERY_MS = 10_000

export interface FollowingOptions {
  readonly client: EtcdClient
  readonly keyspace: Keyspace
  readonly datacenter: string
  readonly writer: string
  readonly clock: Clock
  readonly log: Logger
  /** Writes go into the generation that is followed. */
  readonly commits: () => Commits
  /** What those hear who come after close(). */
  readonly closed: () => Error
}

export class Following {
  readonly #options: FollowingOptions
  /** Replaced with each generation, and where history was lost. */
  #keys: Generation
  #log = new ChangeLog(0)
  #watcher: Watcher | undefined
  /** Resolves when there is a watcher again. */
  #following = Promise.resolve()
  /** A generation is being made the datacenter's from here. */
  #publishing = false
  /** Which store it is, as it says itself. */
  #store = ''
  #closed = false

  constructor(options: FollowingOptions) {
    this.#options = options
    this.#keys = options.keyspace.of({ number: 0, floor: 0 })
  }

  get keys(): Generation {
    return this.#keys
  }

  get log(): ChangeLog {
    return this.#log
  }

  /** Resolves when something is followed. @throws why nothing is */
  get ready(): Promise<void> {
    return this.#following
  }

  /** @param store - what it said of itself when it was opened */
  isOf(store: string): void {
    this.#store = store
  }

  /** @throws STORE_OTHER_ETCD and others, where what answers now is not the store that was opened */
  verify() {
    const { client, keyspace, datacenter } = this.#options
    return verify(client, keyspace, datacenter, this.#store)
  }

  /** The generation of the keys that are written to is gone, as of a revision. */
  async replaced(revision: number): Promise<void> {
    await this.verify()
    void this.#watcher?.replaced(revision)
  }

  /** In a turn of the commits: begins to follow the generation that there is now. `published`: this engine's own. */
  async begin(published?: GenerationPlace): Promise<void> {
    const { clock, log } = this.#options
    if (published === undefined) await this.verify()
    const keys = this.#options.keyspace.of(
      published ?? (await generationNow(this.#options.client, this.#options.keyspace)),
    )
    const revision = await this.#options.commits().start(keys, published?.floor)
    if (this.#closed) return
    const changes = new ChangeLog(revision)
    this.#keys = keys
    this.#log = changes
    const watcher = new Watcher(
      {
        client: this.#options.client,
        keys,
        log: changes,
        clock,
        logger: log,
        own: this.#own(keys),
        verify: () => this.verify(),
        onEnd: (error) => {
          changes.fail(error)
          if (this.#watcher !== watcher) return
          this.#watcher = undefined
          if (!this.#publishing) this.#followAgain(error)
        },
      },
      revision,
    )
    this.#watcher = watcher
  }

  #own(keys: Generation): string {
    return keys.writer(this.#options.writer)
  }

  /** Whether this server's mark is among the marks of a generation: without it that one is none any more. */
  hasOwn(marks: readonly EtcdKeyValue[] | null, keys: Generation): boolean {
    const own = this.#own(keys)
    return marks?.some(({ key }) => key === own) ?? false
  }

  /** History was compacted away, or all was replaced: subscribers were told, and load again. */
  #followAgain(reason: unknown): void {
    const { clock, log } = this.#options
    if (this.#closed) return
    log.warn('the stream of changes from etcd has a gap, following anew', { reason: messageOf(reason) })
    const attempt = () => {
      if (this.#closed) return
      this.#following = this.#options.commits().inTurn(() => this.begin())
      // Those who wait for it hear it as well.
      this.#following.catch((error: unknown) => {
        if (this.#closed) return
        log.warn('cannot follow etcd, trying again', { error: messageOf(error) })
        clock.after(FOLLOW_RETRY_MS, attempt)
      })
    }
    attempt()
  }

  /** What follows etcd now. @throws why nothing does */
  async followed(): Promise<Watcher> {
    for (;;) {
      const following = this.#following
      await following
      if (this.#watcher !== undefined) return this.#watcher
      if (following === this.#following) throw this.#options.closed()
    }
  }

  /**
   * Resolves when those who follow have everything up to a revision. An etcd that dies between its answer and its news of
   * it would be waited for without end.
   *
   * @throws STORE_UNREACHABLE when that takes too long; why it can not come
   */
  async delivered(revision: number): Promise<void> {
    const { clock, client } = this.#options
    const { promise: late, reject } = Promise.withResolvers<never>()
    const reason = `it has something at revision ${revision}, and its stream of changes does not tell what`
    const timer = clock.after(DELIVERY_MS, () =>
      reject(storeError('STORE_UNREACHABLE', { path: client.place, reason })),
    )
    try {
      await Promise.race([this.#reached(revision), late])
    } finally {
      timer.cancel()
    }
  }

  /** Where history was lost meanwhile, those who follow load again, and have it then. */
  async #reached(revision: number): Promise<void> {
    for (;;) {
      const watcher = await this.followed()
      try {
        return await watcher.reached(revision)
      } catch (error) {
        if (codeOf(error) !== 'STORE_HISTORY_GONE') throw error
      }
    }
  }

  /** In a turn of the commits: makes a draft the datacenter's generation, and follows it. */
  async publish(draft: Draft): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#following = promise
    this.#publishing = true
    const { client, keyspace, clock } = this.#options
    const mark = { writer: this.#options.writer, value: this.#options.commits().newMark() }
    try {
      const floor = await publish({ client, keyspace, clock }, draft, mark)
      await this.#watcher?.replaced(floor)
      await this.begin({ number: draft.number, floor })
      this.#options.commits().refuse(storeError('STORE_REPLACED', { revision: floor }))
      return floor
    } catch (error) {
      // It may have happened: what there is now is found out.
      this.#watcher?.end(error)
      this.#followAgain(error)
      throw error
    } finally {
      this.#publishing = false
      resolve()
    }
  }

  close(): void {
    this.#closed = true
    this.#watcher?.end(this.#options.closed())
    this.#log.close()
  }
}
