/**
 * Up to n holders: each is a key `<prefix>/<session>` that its session locks, and `<prefix>/.lock` lists those that
 * hold a slot; it is written by check-and-set only. As in Consul's semaphores, with which it may share a prefix.
 */
import { messageOf } from '#base'
import type { DirEntry } from '#codec'
import { cliError } from './errors.ts'
import { beforeNextTry, type LockKv, type Seen, watchUntilLost } from './lock-kv.ts'
import type { Held } from './lock-mutex.ts'

const SEMAPHORE_FLAGS = 0xe0f69a2baa414de0n
/** Most holders that one entry is made to list. */
export const MAX_HOLDERS = 1024

/** Times that giving a slot back is tried while others change the list; what is left then ends with the session. */
const MAX_RELEASE_TRIES = 32

interface Slots {
  readonly Limit: number
  readonly Holders: readonly string[]
}

/** @throws Error saying what is wrong */
function parseSlots(entry: DirEntry): Slots {
  const json: unknown = JSON.parse(entry.Value?.toString('utf8') ?? 'null')
  const { Limit, Holders } = { Limit: undefined, Holders: undefined, ...Object(json) }
  if (typeof Limit !== 'number') throw new Error('it names no limit')
  // A list in old texts, a map of session to true in what clients write.
  const named: unknown[] = Array.isArray(Holders) ? Holders : Object.keys(Object(Holders))
  return { Limit, Holders: named.filter((each) => typeof each === 'string') }
}

function slotsText({ Limit, Holders }: Slots): string {
  return JSON.stringify({ Limit, Holders: Object.fromEntries(Holders.map((id) => [id, true])) })
}

export class Semaphore implements Held {
  readonly #kv: LockKv
  readonly #prefix: string
  readonly #session: string
  readonly #limit: number

  constructor(kv: LockKv, prefix: string, session: string, limit: number) {
    this.#kv = kv
    this.#prefix = `${prefix}/`
    this.#session = session
    this.#limit = limit
  }

  get #lockKey(): string {
    return `${this.#prefix}.lock`
  }

  get #ownKey(): string {
    return `${this.#prefix}${this.#session}`
  }

  async acquire(signal: AbortSignal): Promise<void> {
    const flags = String(SEMAPHORE_FLAGS)
    if (!(await this.#kv.put(this.#ownKey, { acquire: this.#session, flags }))) {
      throw cliError('LOCK_CONFLICT', { key: this.#ownKey, reason: 'the key of this contender cannot be locked' })
    }
    let index = 0
    for (;;) {
      const seen = await this.#kv.read(this.#prefix, { recurse: true, index, signal })
      const { entry, slots } = this.#look(seen)
      if (slots.Holders.length >= this.#limit) {
        index = seen.index
        continue
      }
      const next = { Limit: this.#limit, Holders: [...slots.Holders, this.#session] }
      if (await this.#kv.put(this.#lockKey, { cas: entry?.ModifyIndex ?? 0, flags }, slotsText(next))) return
      index = 0
      await beforeNextTry(signal)
    }
  }

  /** Who holds a slot and is still there. @throws LOCK_CONFLICT */
  #look({ entries }: Seen): { readonly entry: DirEntry | undefined; readonly slots: Slots } {
    const entry = entries.find(({ Key }) => Key === this.#lockKey)
    const conflict = (reason: string) => cliError('LOCK_CONFLICT', { key: this.#lockKey, reason })
    if (entry === undefined) return { entry, slots: { Limit: this.#limit, Holders: [] } }
    if (entry.Flags !== SEMAPHORE_FLAGS) throw conflict('the key is used for something else than a semaphore')
    let slots: Slots
    try {
      slots = parseSlots(entry)
    } catch (error) {
      throw conflict(messageOf(error))
    }
    if (slots.Limit !== this.#limit) {
      throw conflict(`semaphore limit conflict (lock: ${slots.Limit}, local: ${this.#limit})`)
    }
    const alive = new Set(entries.filter(({ Session }) => Session !== '').map(({ Session }) => Session))
    return { entry, slots: { ...slots, Holders: slots.Holders.filter((id) => alive.has(id)) } }
  }

  lost(options: { readonly retries: number; readonly signal: AbortSignal }): Promise<string> {
    const isHeld = (entries: readonly DirEntry[]) =>
      entries.some(({ Key, Session }) => Key === this.#ownKey && Session === this.#session) &&
      this.#look({ entries, index: 0 }).slots.Holders.includes(this.#session)
    return watchUntilLost(this.#kv, { key: this.#prefix, recurse: true, isHeld }, options)
  }

  async release(): Promise<void> {
    for (let tries = 0; tries < MAX_RELEASE_TRIES; tries++) {
      const { entry, slots } = this.#look(await this.#kv.read(this.#prefix, { recurse: true }))
      if (entry === undefined) return
      const Holders = slots.Holders.filter((id) => id !== this.#session)
      const query = { cas: entry.ModifyIndex, flags: String(SEMAPHORE_FLAGS) }
      // Nobody else competes and nobody holds: the last one takes it away.
      const done =
        Holders.length === 0
          ? await this.#kv.remove(entry)
          : await this.#kv.put(this.#lockKey, query, slotsText({ ...slots, Holders }))
      if (done) return
    }
  }
}
