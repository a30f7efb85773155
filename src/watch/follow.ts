/**
 * Follows the answer to a question: a handler runs first with what is there, then once for each answer that differs from
 * the last; one run ends before the next begins. What fails is told and tried again.
 */
import { type Clock, messageOf, sleep } from '#base'
import type { ApiAnswer, Query } from '#client'
import { goJson, type JsonValue } from '#codec'
import { watchError } from './errors.ts'
import type { WatchedQuestion } from './question.ts'

/** After a failure, growing with each up to the longest. */
const RETRY_MS = 5_000
const MAX_RETRY_MS = 180_000
/** How long one question waits for a change. */
const WAIT = '300s'

/** Asks the agent: an answer with status 200, or 404 where there is nothing. */
export type Ask = (path: string, query: Query) => Promise<ApiAnswer>

export interface WatchAnswer {
  readonly value: JsonValue
  /** As text: those of events use all 64 bits. Empty where there is none. */
  readonly index: string
}

/** The answer now; with an index, once there is another one, or after a while. */
export async function watched(
  ask: Ask,
  { path, query, byHash, pick }: WatchedQuestion,
  known = '',
): Promise<WatchAnswer> {
  const waiting = known === '' ? {} : { [byHash ? 'hash' : 'index']: known, wait: WAIT }
  const answer = await ask(path, { ...query, ...waiting })
  const header = answer.headers[byHash ? 'x-consul-contenthash' : 'x-consul-index']
  const body = answer.status === 404 ? undefined : answer.body.toString('utf8')
  return { value: pick(body), index: typeof header === 'string' ? header : '' }
}

export interface FollowOptions {
  readonly ask: Ask
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Its failures are its own to tell. @param text - the answer as JSON */
  handle(text: string, index: string): Promise<void>
  warn(line: string): void
}

/** Resolves when the signal is aborted and the handler has ended. */
export async function follow(question: WatchedQuestion, options: FollowOptions): Promise<void> {
  const { ask, clock, signal, handle, warn } = options
  let known = ''
  let shown: string | undefined
  let failures = 0
  while (!signal.aborted) {
    try {
      const { value, index } = await watched(ask, question, known)
      // Without one the next question would not wait.
      if (index === '') throw watchError('WATCH_NO_INDEX', { path: question.path })
      failures = 0
      // One that went back is of a server that began anew: nothing is to be waited for.
      known = !question.byHash && !question.anyOrder && isLower(index, known) ? '' : index
      const text = goJson(value)
      if (text === shown) continue
      shown = text
      await handle(text, index)
    } catch (error) {
      if (signal.aborted) break
      const delayMs = Math.min(MAX_RETRY_MS, RETRY_MS * ++failures)
      warn(`${messageOf(error)}, retry in ${delayMs / 1_000}s`)
      await sleep(clock, delayMs, signal).catch(() => undefined)
    }
  }
}

function isLower(index: string, than: string): boolean {
  return than !== '' && BigInt(index) < BigInt(than)
}
