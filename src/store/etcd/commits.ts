/**
 * The writing side of a server on etcd: one fold of transactions after the other, each exactly once.
 *
 * Every server has a key of its own (its mark) that each of its folds compares and writes. When an answer is lost, the
 * same fold is sent again: if the first one happened, the mark has moved on, and its value says that it was this fold.
 * A fold that is given up is fenced off by moving the mark, before anything else is written.
 *
 * The marks of all servers together tell as well whether anything was committed since a revision, which is all that a
 * transaction expects that is too large for its keys to be compared one by one (large.ts).
 */
import { type Clock, codeOf, type Metrics } from '#base'
import type { EtcdTxn, EtcdTxnReply } from '#codec'
import { CommitQueue, type QueuedTransaction } from '../commit-queue.ts'
import type { Transaction } from '../engine.ts'
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import {
  changedRecords,
  conflictsOf,
  encodeFold,
  encodeQuestion,
  expectedKeys,
  fitsInFold,
  foldRule,
  revisionsIn,
  type WriterMark,
} from './fold.ts'
import { Gathering } from './gathering.ts'
import type { Generation, Keyspace } from './keyspace.ts'
import { encodeLarge, needsFence, questionsOf } from './large.ts'
import { range, txn } from './methods.ts'
import { expectRevision, expectValue, foundBy, putOf, rangeOf, readOf } from './operations.ts'

/** How long a fold may take, all attempts together: longer than an election of etcd's. */
export const COMMIT_MS = 10_000
/** Folds that may wait for their batches while the next is sent. */
const MAX_ANSWERING = 8
/** Errors that whoever waits would meet as well. */
const HOPELESS: ReadonlySet<string> = new Set(['STORE_UNREACHABLE', 'STORE_REPLACED', 'STORE_OTHER_ETCD'])
/** Times that the mark may be found elsewhere than it was read a moment ago. */
const MAX_MARK_ATTEMPTS = 4

export interface CommitsOptions {
  readonly client: EtcdClient
  readonly keyspace: Keyspace
  readonly clock: Clock
  readonly metrics: Metrics | undefined
  /** This server, as no other is called: its node ID. */
  readonly writer: string
  /** Tells this process from an earlier one of the same server. */
  readonly nonce: string
  /** Resolves when every subscriber has what was changed up to a revision; then tells the last batch's revision. */
  readonly delivered: (revision: number) => Promise<{ readonly lastBatch: number; has(revision: number): boolean }>
  /** The generation of these keys is no longer there at a revision. @throws where something else is the matter */
  readonly onReplaced: (revision: number) => Promise<void>
}

/** What became of a fold. `changed` is undefined where it is not known whether it changed anything. */
interface Done {
  readonly kind: 'done'
  readonly revision: number
  readonly changed: boolean | undefined
}
type Outcome =
  | Done
  | { readonly kind: 'conflict'; readonly revisions: ReadonlyMap<string, number> }
  /** Another server has committed something between the look at a large transaction's keys and the write. */
  | { readonly kind: 'contended' }

export class Commits {
  readonly #options: CommitsOptions
  readonly #queue = new CommitQueue()
  readonly #gathering: Gathering
  #keys: Generation
  /** Mod revision of the own key; undefined when it is not known where it is. */
  #mark: number | undefined
  #sequence = 0
  #pumping: Promise<void> | undefined
  /** One at a time: a fold that is being sent, or what must not be beside one. */
  #turn = Promise.resolve()
  /** Since when a large transaction has been tried. */
  readonly #contended = new WeakMap<QueuedTransaction, number>()
  /** Folds that are written, and not delivered yet. */
  readonly #answering = new Set<Promise<void>>()

  constructor(options: CommitsOptions, keys: Generation) {
    this.#options = options
    this.#keys = keys
    this.#gathering = new Gathering(options.clock)
  }

  /**
   * Begins, in a turn, to write into a generation: moves the mark, and so fences off what an earlier process of this
   * server may still have on its way.
   *
   * @param mark - where the mark is, where that was just written
   * @returns the mark's revision
   */
  async start(keys: Generation, mark?: number): Promise<number> {
    this.#keys = keys
    this.#mark = undefined
    this.#mark = mark ?? (await this.#moveMark())
    return this.#mark
  }

  /** What the mark of a generation that is about to be published says. */
  newMark(): Buffer {
    return this.#nextMark().value
  }

  /** Runs `task` while nothing is being written. */
  async inTurn<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#turn
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = promise
    try {
      await before
      return await task()
    } finally {
      resolve()
    }
  }

  /** Refuses all that waits. */
  refuse(error: unknown): void {
    this.#queue.fail(error)
  }

  /** @throws STORE_BUSY, through the queue */
  add(queued: QueuedTransaction): void {
    this.#queue.add(queued)
    this.#gathering.waiting(this.#queue.length)
    this.#pumping ??= this.#pump()
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#pumping
    await Promise.all(this.#answering)
  }

  async #pump(): Promise<void> {
    const { clock } = this.#options
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const startedMs = clock.nowMs()
      const sent = await this.inTurn(() => this.#commitNext())
      await this.#gathering.next(sent, this.#queue.length, clock.nowMs() - startedMs)
      while (this.#answering.size >= MAX_ANSWERING) await Promise.race(this.#answering)
    }
    this.#pumping = undefined
  }

  /** @returns how many were in the fold */
  async #commitNext(): Promise<number> {
    const fold = this.#queue.length > 0 ? this.#queue.takeAccepted(foldRule()) : []
    if (fold.length === 0) return 0
    try {
      this.#mark ??= await this.#moveMark()
      this.#options.metrics?.sample('hanse.store.fold', fold.length)
      const keys = this.#keys
      const outcome = await this.#send(fold.map(({ transaction }) => transaction))
      if (outcome.kind === 'conflict') this.#sortOut(fold, keys, outcome.revisions)
      else if (outcome.kind === 'contended') for (const queued of fold) this.#tryAgain(queued)
      else {
        // Not waited for: the next fold is on its way to etcd while this one's batch comes from there.
        const answering: Promise<void> = this.#answer(fold, outcome).finally(() => this.#answering.delete(answering))
        this.#answering.add(answering)
      }
    } catch (error) {
      this.#fail(fold, error)
      // Who waits behind would wait as long for the same answer.
      if (HOPELESS.has(codeOf(error) ?? '')) this.#queue.fail(error)
    }
    return fold.length
  }

  #fail(fold: readonly QueuedTransaction[], error: unknown): void {
    this.#options.metrics?.count('hanse.store.failed')
    for (const { reject } of fold) reject(error)
  }

  async #answer(fold: readonly QueuedTransaction[], { revision, changed }: Done): Promise<void> {
    try {
      const log = await this.#options.delivered(revision)
      const answered = (changed ?? log.has(revision)) ? revision : log.lastBatch
      for (const { resolve } of fold) resolve({ ok: true, revision: answered })
    } catch (error) {
      this.#fail(fold, error)
    }
  }

  /** Answers those whose expectations do not hold, and has the others tried again. */
  #sortOut(fold: readonly QueuedTransaction[], keys: Generation, revisions: ReadonlyMap<string, number>): void {
    const again: QueuedTransaction[] = []
    for (const queued of fold) {
      const conflicts = conflictsOf(queued.transaction, keys, revisions)
      if (conflicts.length > 0) queued.resolve({ ok: false, conflicts })
      else again.push(queued)
    }
    this.#queue.putBack(again)
  }

  /** After all that waits, so that nothing is held up by it; for so long as a commit may take. */
  #tryAgain(queued: QueuedTransaction): void {
    const now = this.#options.clock.nowMs()
    const sinceMs = this.#contended.get(queued) ?? now
    this.#contended.set(queued, sinceMs)
    if (now - sinceMs < COMMIT_MS) this.#queue.putLast(queued)
    else this.#fail([queued], storeError('STORE_CONTENDED', { seconds: COMMIT_MS / 1_000 }))
  }

  async #send(fold: readonly Transaction[]): Promise<Outcome> {
    const [first] = fold
    if (first !== undefined && fold.length === 1 && !fitsInFold(first)) return this.#sendLarge(first)
    const mark = this.#nextMark()
    const sent = await this.#sendMarked(encodeFold(fold, this.#keys, mark), mark)
    if (sent === undefined) return this.#conflict(fold)
    const { revision, reply } = sent
    return { kind: 'done', revision, changed: reply && changedRecords(fold, reply) }
  }

  /**
   * @returns undefined if an expectation other than that of the mark did not hold; else where it was written, with the
   *   reply unless that was lost
   * @throws STORE_REPLACED, STORE_WRITER_CLASH
   */
  async #sendMarked(
    request: EtcdTxn,
    mark: WriterMark,
  ): Promise<{ readonly revision: number; readonly reply: EtcdTxnReply | undefined } | undefined> {
    let reply: EtcdTxnReply
    try {
      reply = await this.#call(request)
    } catch (error) {
      this.#mark = undefined
      throw error
    }
    if (reply.succeeded) {
      const revision = reply.header?.revision ?? 0
      this.#mark = revision
      return { revision, reply }
    }
    const found = foundBy(reply, 0)
    if (found === undefined) throw await this.#replaced(reply)
    if (found.modRevision === mark.expect) return undefined
    if (!found.value?.equals(mark.value)) throw this.#clash()
    // An earlier sending of this very request happened.
    this.#mark = found.modRevision
    return { revision: found.modRevision, reply: undefined }
  }

  async #sendLarge(transaction: Transaction): Promise<Outcome> {
    let fence: number | undefined
    if (needsFence(transaction)) {
      const { revision, revisions } = await this.#lookUp(transaction)
      if (conflictsOf(transaction, this.#keys, revisions).length > 0) return { kind: 'conflict', revisions }
      fence = revision
    }
    const mark = this.#nextMark()
    const sent = await this.#sendMarked(encodeLarge(transaction, this.#keys, mark, fence), mark)
    if (sent) return { kind: 'done', revision: sent.revision, changed: undefined }
    return fence === undefined ? this.#conflict([transaction]) : { kind: 'contended' }
  }

  /** Where all its keys are at one revision: that at which the first question was answered. */
  async #lookUp(transaction: Transaction): Promise<{ revision: number; revisions: ReadonlyMap<string, number> }> {
    let revision = 0
    const revisions = new Map<string, number>()
    for (const asked of questionsOf(transaction)) {
      const question = encodeQuestion(asked, this.#keys, revision)
      const reply = await this.#call(question)
      revision ||= reply.header?.revision ?? 0
      for (const [key, found] of revisionsIn(question, reply)) revisions.set(key, found)
    }
    return { revision, revisions }
  }

  /**
   * Nothing of the fold was written. Where its keys are is asked afterwards, so that folds that succeed, nearly all,
   * need not carry the question; whose expectations hold by then is tried again.
   */
  async #conflict(fold: readonly Transaction[]): Promise<Outcome> {
    const question = encodeQuestion(expectedKeys(fold), this.#keys)
    return { kind: 'conflict', revisions: revisionsIn(question, await this.#call(question)) }
  }

  #nextMark(): WriterMark {
    const { writer, nonce } = this.#options
    this.#sequence++
    return {
      key: this.#keys.writer(writer),
      expect: this.#mark ?? 0,
      value: Buffer.from(`${nonce} ${this.#sequence}`),
    }
  }

  /**
   * Writes the mark, wherever it is, so that nothing that is still on its way can happen any more.
   *
   * @throws STORE_REPLACED, STORE_WRITER_CLASH
   */
  async #moveMark(): Promise<number> {
    const { keyspace, client } = this.#options
    const { key, value } = this.#nextMark()
    for (let attempt = 0; attempt < MAX_MARK_ATTEMPTS; attempt++) {
      const { kvs } = await client.call(range, rangeOf(key), { timeoutMs: COMMIT_MS })
      const reply = await this.#call({
        compare: [
          expectValue(keyspace.generation, Buffer.from(String(this.#keys.number))),
          expectRevision(key, kvs?.[0]?.modRevision ?? 0),
        ],
        success: [putOf(key, value)],
        failure: [readOf(keyspace.generation), readOf(key)],
      })
      const revision = reply.header?.revision ?? 0
      if (reply.succeeded) return revision
      const [generation, mark] = [foundBy(reply, 0), foundBy(reply, 1)]
      if (generation?.value?.toString() !== String(this.#keys.number)) throw await this.#replaced(reply)
      if (mark?.value?.equals(value)) return mark.modRevision
    }
    throw this.#clash()
  }

  #call(request: EtcdTxn): Promise<EtcdTxnReply> {
    return this.#options.client.call(txn, request, { timeoutMs: COMMIT_MS })
  }

  async #replaced(reply: EtcdTxnReply): Promise<Error> {
    const revision = reply.header?.revision ?? 0
    await this.#options.onReplaced(revision)
    return storeError('STORE_REPLACED', { revision })
  }

  #clash(): Error {
    this.#mark = undefined
    return storeError('STORE_WRITER_CLASH', { path: this.#options.client.place, writer: this.#options.writer })
  }
}
