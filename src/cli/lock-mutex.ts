/**
 * One holder at a time: the key `<prefix>/.lock`, locked by a session, as Consul's clients do leader election.
 *
 * The flags of the key say what it is for, so that a lock and a semaphore of one name are told apart; they are those of
 * Consul's clients, which may compete for the same lock.
 */
import type { DirEntry } from '#codec'
import { cliError } from './errors.ts'
import { beforeNextTry, type LockKv, watchUntilLost } from './lock-kv.ts'

const LOCK_FLAGS = 0x2ddccbc058a50c18n

/** What is held while the child runs. */
export interface Held {
  /** Resolves when it is held. @throws the signal's reason; LOCK_CONFLICT */
  acquire(signal: AbortSignal): Promise<void>
  /** Resolves when it is held no more, with why. */
  lost(options: { readonly retries: number; readonly signal: AbortSignal }): Promise<string>
  /** Gives it back, and takes away what nobody needs any more. */
  release(): Promise<void>
}

export class Mutex implements Held {
  readonly #kv: LockKv
  readonly #key: string
  readonly #session: string

  constructor(kv: LockKv, prefix: string, session: string) {
    this.#kv = kv
    this.#key = `${prefix}/.lock`
    this.#session = session
  }

  async acquire(signal: AbortSignal): Promise<void> {
    let index = 0
    for (;;) {
      const { entries, index: seen } = await this.#kv.read(this.#key, { index, signal })
      const holder = this.#checked(entries)?.Session ?? ''
      if (holder === this.#session) return
      if (holder !== '') {
        index = seen
        continue
      }
      if (await this.#kv.put(this.#key, { acquire: this.#session, flags: String(LOCK_FLAGS) })) return
      index = 0
      await beforeNextTry(signal)
    }
  }

  #checked([entry]: readonly DirEntry[]): DirEntry | undefined {
    if (entry !== undefined && entry.Flags !== LOCK_FLAGS) {
      throw cliError('LOCK_CONFLICT', { key: this.#key, reason: 'the key is used for something else than a lock' })
    }
    return entry
  }

  lost(options: { readonly retries: number; readonly signal: AbortSignal }): Promise<string> {
    const isHeld = ([entry]: readonly DirEntry[]) => entry?.Session === this.#session
    return watchUntilLost(this.#kv, { key: this.#key, recurse: false, isHeld }, options)
  }

  async release(): Promise<void> {
    await this.#kv.put(this.#key, { release: this.#session, flags: String(LOCK_FLAGS) })
    const [entry] = (await this.#kv.read(this.#key)).entries
    if (entry !== undefined && entry.Session === '' && entry.Flags === LOCK_FLAGS) await this.#kv.remove(entry)
  }
}
