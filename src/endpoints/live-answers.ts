/**
 * Live answers: one shared answer per question, good until something that it read changes.
 *
 * All who ask the same question get the same object and the same rendered bytes; all who wait for its change wait on
 * one run of the query. An answer is forgotten when it changes, when others are used more (bounded by count and by the
 * bytes rendered from it), but never taken from those who hold or wait for it.
 */
import type { Clock, Metrics } from '#base'
import type { QueryMeta } from '#codec'
import type { Reading, Watch } from '#state'
import { endpointError } from './errors.ts'

export interface LiveLimits {
  /** Answers kept for those who ask next. */
  readonly answers: number
  /** Bytes rendered from the answers kept. */
  readonly answerBytes: number
  /** Requests that wait for a change, over all questions. */
  readonly parkedWaiters: number
}

export const LIVE_LIMITS: LiveLimits = { answers: 8_192, answerBytes: 64 * 1024 * 1024, parkedWaiters: 50_000 }

/** Waiters answered per turn of the event loop, so that waking thousands does not hold up everything else. */
const WAKE_CHUNK = 128

export interface WaitOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export interface LiveAnswer<R> {
  /** With QueryMeta. Shared: not to be changed. */
  readonly reply: R
  /** The highest index that changed what it read, at least 1. */
  readonly index: number
  /** True once something that it read has changed. */
  readonly fired: boolean
  /** What `make` gives, made once per format and kept with the answer. */
  bytes(format: string, make: (reply: R) => Buffer): Buffer
  /**
   * The answer once its index is above `minIndex`, or the current one when the time is over.
   *
   * @throws HanseError TOO_MANY_WAITERS, REQUEST_CANCELLED
   */
  next(minIndex: number, options: WaitOptions): Promise<LiveAnswer<R>>
}

/** One question: what identifies it, and how it is answered. */
export interface Question<R extends QueryMeta> {
  /** The same text for the same question. */
  readonly key: string
  /** For messages: the operation's name. */
  readonly operation: string
  /** Never shared: it depends on more than its reading tells (distances). */
  readonly volatile: boolean
  run(): Reading<R>
}

class Answer<R extends QueryMeta> implements LiveAnswer<R> {
  readonly reply: R
  readonly index: number
  readonly watch: Watch
  readonly #question: Question<R>
  readonly #answers: LiveAnswers
  readonly #rendered = new Map<string, Buffer>()

  constructor(answers: LiveAnswers, question: Question<R>) {
    const reading = question.run()
    this.index = Math.max(1, reading.index)
    this.reply = Object.freeze({ ...reading.value, Index: this.index, KnownLeader: true, LastContact: 0 })
    this.watch = reading.watch
    this.#question = question
    this.#answers = answers
  }

  get fired(): boolean {
    return this.watch.fired
  }

  bytes(format: string, make: (reply: R) => Buffer): Buffer {
    const known = this.#rendered.get(format)
    if (known !== undefined) return known
    const made = make(this.reply)
    this.#rendered.set(format, made)
    this.#answers.rendered(this.#question.key, this, made.length)
    return made
  }

  next(minIndex: number, options: WaitOptions): Promise<LiveAnswer<R>> {
    return this.#answers.next(this.#question, minIndex, options)
  }
}

interface Kept {
  readonly answer: Answer<QueryMeta>
  readonly unwatch: () => void
  bytes: number
}

interface Waiter {
  readonly minIndex: number
  wake(answer: Answer<QueryMeta>): void
  fail(error: unknown): void
}

/** Those who wait on one question. */
interface Group {
  readonly question: Question<QueryMeta>
  readonly waiters: Set<Waiter>
  answer: Answer<QueryMeta>
  unwatch: () => void
}

export class LiveAnswers {
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #limits: LiveLimits
  /** In the order of use, oldest first. */
  readonly #kept = new Map<string, Kept>()
  readonly #groups = new Map<string, Group>()
  #keptBytes = 0
  #parked = 0

  constructor(options: { clock: Clock; metrics: Metrics; limits: LiveLimits }) {
    this.#clock = options.clock
    this.#metrics = options.metrics
    this.#limits = options.limits
  }

  /** Answers kept, for tests and metrics. */
  get size(): number {
    return this.#kept.size
  }

  /** Requests that wait now. */
  get parked(): number {
    return this.#parked
  }

  /** The current answer, from those kept or made now. @throws what the query throws */
  get<R extends QueryMeta>(question: Question<R>): LiveAnswer<R> {
    return this.#current(question)
  }

  /** See LiveAnswer.next(). */
  next<R extends QueryMeta>(question: Question<R>, minIndex: number, options: WaitOptions): Promise<LiveAnswer<R>> {
    const { signal, timeoutMs } = options
    return new Promise((resolve, reject) => {
      const cancelled = () => endpointError('REQUEST_CANCELLED', { operation: question.operation }, signal?.reason)
      if (signal?.aborted) return reject(cancelled())
      const now = this.#current(question)
      if (now.index > minIndex || timeoutMs <= 0) return resolve(now)
      if (this.#parked >= this.#limits.parkedWaiters) return reject(this.#refusal(question))

      const group = this.#groupOf(question, now)
      let settled = false
      const settle = (finish: () => void) => {
        if (settled) return
        settled = true
        this.#leave(group, waiter)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const waiter: Waiter = {
        minIndex,
        wake: (answer) => settle(() => resolve(ofQuestion(answer))),
        fail: (error) => settle(() => reject(error)),
      }
      const onAbort = () => waiter.fail(cancelled())
      const onTimeout = () => {
        try {
          waiter.wake(this.#current(question))
        } catch (error) {
          waiter.fail(error)
        }
      }
      const timer = this.#clock.after(timeoutMs, onTimeout)
      signal?.addEventListener('abort', onAbort, { once: true })
      group.waiters.add(waiter)
      this.#park(1)
    })
  }

  /** Counts the bytes rendered from an answer, if it is still kept. */
  rendered(key: string, answer: Answer<QueryMeta>, bytes: number): void {
    const kept = this.#kept.get(key)
    if (kept?.answer !== answer) return
    kept.bytes += bytes
    this.#keptBytes += bytes
    this.#evict()
  }

  #current<R extends QueryMeta>(question: Question<R>): Answer<R> {
    const { key } = question
    if (question.volatile) return new Answer(this, question)
    const kept = this.#kept.get(key)
    if (kept !== undefined && !kept.answer.fired) {
      this.#kept.delete(key)
      this.#kept.set(key, kept)
      return ofQuestion(kept.answer)
    }
    const waitedFor = this.#groups.get(key)?.answer
    if (waitedFor !== undefined && !waitedFor.fired) return ofQuestion(waitedFor)
    this.#drop(key)
    const answer = new Answer(this, question)
    this.#keep(key, answer)
    return answer
  }

  #keep(key: string, answer: Answer<QueryMeta>): void {
    const unwatch = answer.watch.onFire(() => {
      if (this.#kept.get(key)?.answer === answer) this.#drop(key)
    })
    this.#kept.set(key, { answer, unwatch, bytes: 0 })
    this.#evict()
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    this.#keptBytes -= kept.bytes
    kept.unwatch()
  }

  #evict(): void {
    while (this.#kept.size > this.#limits.answers || this.#keptBytes > this.#limits.answerBytes) {
      const oldest = this.#kept.keys().next().value
      if (oldest === undefined) return
      this.#drop(oldest)
    }
  }

  #groupOf(question: Question<QueryMeta>, answer: Answer<QueryMeta>): Group {
    const known = this.#groups.get(question.key)
    if (known !== undefined) return known
    const group: Group = { question, waiters: new Set(), answer, unwatch: () => {} }
    this.#groups.set(question.key, group)
    this.#watch(group)
    return group
  }

  /** Runs the query again when its answer changes; all changes of one turn of the event loop at once. */
  #watch(group: Group): void {
    group.unwatch = group.answer.watch.onFire(() => setImmediate(() => this.#renew(group)))
  }

  #renew(group: Group): void {
    if (group.waiters.size === 0) return
    group.unwatch()
    try {
      group.answer = this.#current(group.question)
    } catch (error) {
      this.#groups.delete(group.question.key)
      inChunks([...group.waiters], (waiter) => waiter.fail(error))
      return
    }
    this.#watch(group)
    const { answer } = group
    const ready = [...group.waiters].filter((waiter) => answer.index > waiter.minIndex)
    inChunks(ready, (waiter) => waiter.wake(answer))
  }

  #leave(group: Group, waiter: Waiter): void {
    this.#park(-1)
    group.waiters.delete(waiter)
    if (group.waiters.size > 0) return
    group.unwatch()
    if (this.#groups.get(group.question.key) === group) this.#groups.delete(group.question.key)
  }

  #park(by: 1 | -1): void {
    this.#parked += by
    this.#metrics.gauge('consul.rpc.queries_blocking', this.#parked)
  }

  #refusal(question: Question<QueryMeta>): Error {
    this.#metrics.count('hanse.endpoints.waiters_refused')
    return endpointError('TOO_MANY_WAITERS', { operation: question.operation, limit: this.#limits.parkedWaiters })
  }
}

/** A key begins with its operation's name, so what stands under it is an answer of that operation. */
function ofQuestion<R extends QueryMeta>(answer: Answer<QueryMeta>): Answer<R> {
  return answer as Answer<R>
}

/** Does `task` for every item, a chunk per turn of the event loop, the first chunk at once. */
function inChunks<T>(items: readonly T[], task: (item: T) => void, from = 0): void {
  const end = Math.min(items.length, from + WAKE_CHUNK)
  for (const item of items.slice(from, end)) task(item)
  if (end < items.length) setImmediate(() => inChunks(items, task, end))
}
