/**
 * What `hanse lock` asks of the key/value store and of sessions, and the session that it works with.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '#base'
import { clientError, type HttpClient, type Query, segment } from '#client'
import { DirEntry, list, parseGoJson } from '#codec'
import { kvPath, wasDone } from './kv-entries.ts'

/** A question for changes waits so long, then it is asked again. */
const WAIT = '15s'
/** Of the session: a command that dies without a word holds its lock no longer than twice that. */
const TTL_MS = 15_000
const Entries = list(DirEntry)
const NOT_FOUND = 404

/** Entries as they were at an index. */
export interface Seen {
  readonly entries: readonly DirEntry[]
  readonly index: number
}

export class LockKv {
  readonly #client: HttpClient

  constructor(client: HttpClient) {
    this.#client = client
  }

  /** Reads what is there now, or waits for what is after an index. */
  async read(key: string, options: { recurse?: boolean; index?: number; signal?: AbortSignal } = {}): Promise<Seen> {
    const { recurse = false, index = 0, signal } = options
    const waiting: Query = index > 0 ? { index, wait: WAIT } : {}
    const query = { recurse, consistent: true, ...waiting }
    const answer = await this.#client.request('GET', kvPath(key), { query, ...(signal && { signal }) })
    if (answer.status === NOT_FOUND && answer.body.length === 0) return { entries: [], index: answer.index }
    const entries = Entries.fromJson(parseGoJson(expectDone(answer, 'GET', key)), '', { unknownKeys: 'skip' })
    return { entries: entries ?? [], index: answer.index }
  }

  /** @returns whether the condition in the query was met */
  async put(key: string, query: Query, body: string | Buffer = ''): Promise<boolean> {
    return wasDone(await this.#client.expect('PUT', kvPath(key), { query, body }))
  }

  /** Deletes an entry that is still as it was seen. */
  async remove({ Key, ModifyIndex }: DirEntry): Promise<boolean> {
    return wasDone(await this.#client.expect('DELETE', kvPath(Key), { query: { cas: ModifyIndex } }))
  }
}

function expectDone(answer: { status: number; body: Buffer }, method: string, key: string): string {
  const body = answer.body.toString('utf8')
  if (answer.status === 200) return body
  throw clientError('API_STATUS', { statusCode: answer.status, body: body.trim(), method, path: kvPath(key) })
}

/** A session that is renewed until it is destroyed. */
export class LockSession {
  readonly id: string
  readonly #client: HttpClient
  readonly #gone = new AbortController()
  readonly #timer: NodeJS.Timeout
  #heardMs = systemClock.nowMs()

  private constructor(client: HttpClient, id: string) {
    this.#client = client
    this.id = id
    this.#timer = setInterval(() => void this.#renew(), TTL_MS / 2)
  }

  static async create(
    client: HttpClient,
    given: { readonly Name: string; readonly Behavior: 'release' | 'delete' },
    signal: AbortSignal,
  ): Promise<LockSession> {
    const body = { ...given, TTL: `${TTL_MS / 1000}s` }
    const made = await client.json('PUT', '/v1/session/create', { body, signal })
    return new LockSession(client, String(Object(made).ID))
  }

  /** Aborted, with the reason, when the session has ended, or may have because nobody answers. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  async #renew(): Promise<void> {
    try {
      const path = `/v1/session/renew/${segment(this.id)}`
      const { status } = await this.#client.request('PUT', path, { timeoutMs: TTL_MS / 2 })
      if (status === 200) this.#heardMs = systemClock.nowMs()
      else if (status === NOT_FOUND) this.#gone.abort(new Error('the session has ended'))
    } catch {
      // It is tried again, until the session may be over.
    }
    if (systemClock.nowMs() - this.#heardMs > TTL_MS) this.#gone.abort(new Error('the session could not be renewed'))
  }

  async destroy(): Promise<void> {
    clearInterval(this.#timer)
    await this.#client.expect('PUT', `/v1/session/destroy/${segment(this.id)}`)
  }
}

/** Between two tries of a lock that is free and was not given: its lock-delay, or another who was quicker. */
const TRY_AGAIN_MS = 1_000
/** Between two looks at a lock while the agent answers with errors. */
const RETRY_MS = 1_000

export function beforeNextTry(signal: AbortSignal): Promise<void> {
  return pause(TRY_AGAIN_MS, undefined, { signal })
}

/**
 * Waits until something that is held is held no more.
 *
 * @param retries - errors of the agent in a row that are put up with
 * @returns why
 */
export async function watchUntilLost(
  kv: LockKv,
  watched: { readonly key: string; readonly recurse: boolean; isHeld(entries: readonly DirEntry[]): boolean },
  { retries, signal }: { readonly retries: number; readonly signal: AbortSignal },
): Promise<string> {
  let index = 0
  let errors = 0
  for (;;) {
    try {
      const seen = await kv.read(watched.key, { recurse: watched.recurse, index, signal })
      if (!watched.isHeld(seen.entries)) return 'somebody else may hold it now'
      errors = 0
      // An index that went back is that of another past.
      index = seen.index < index ? 0 : seen.index
    } catch (error) {
      if (signal.aborted) return 'it was given back'
      if (++errors > retries) return error instanceof Error ? error.message : String(error)
      await pause(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  }
}
