/**
 * The engine's end of its thread: one request at a time, each with one reply.
 *
 * A thread that dies, for whatever reason, fails the request that is under way and all that follow.
 */
import { Worker } from 'node:worker_threads'
import { messageOf } from '#base'
import { storeError } from './errors.ts'
import type { Failure, Reply, Request, ThreadOptions } from './sqlite-wire.ts'

type ReplyOf<Kind extends Reply['kind']> = Extract<Reply, { kind: Kind }>

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

function errorOf({ code, path, reason }: Failure): Error {
  return storeError(code, { path, reason })
}

/** The thread's objects are short-lived and few; without a limit the runtime sets aside several times as much. */
const YOUNG_GENERATION_MB = 3

export class SqliteChannel {
  readonly #worker: Worker
  readonly #place: string
  readonly #exited: Promise<void>
  /** Requests run one after the other; this is the end of the line. */
  #line: Promise<unknown> = Promise.resolve()
  #waiting: Waiting | undefined
  #death: Error | undefined

  private constructor(options: ThreadOptions) {
    this.#place = options.path ?? ':memory:'
    this.#worker = new Worker(new URL('./sqlite-thread.ts', import.meta.url), {
      workerData: options,
      name: 'store',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      // Its own: what the process was started with (--eval, --inspect) is not meant for this thread.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    this.#worker.on('message', (reply: Reply) => this.#settle((waiting) => waiting.resolve(reply)))
    this.#worker.on('error', (error) => this.#die(messageOf(error)))
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#die(`its thread ended with code ${code}`)
        resolve()
      })
    })
  }

  /**
   * Starts the thread and opens the database in it.
   *
   * @throws the errors of SqliteDatabase.open()
   */
  static async start(options: ThreadOptions): Promise<{ channel: SqliteChannel; revision: number }> {
    const channel = new SqliteChannel(options)
    try {
      const { revision } = await channel.#reply('opened')
      return { channel, revision }
    } catch (error) {
      await channel.#exited
      throw error
    }
  }

  /** Runs `task` when all that was asked before is done; its requests then come first. */
  exclusively<T>(task: (ask: SqliteChannel['ask']) => Promise<T>): Promise<T> {
    const turn = this.#line.then(() => task((kind, request, transfer) => this.#send(kind, request, transfer)))
    this.#line = turn.catch(() => {})
    return turn
  }

  /**
   * Sends a request when its turn comes, and waits for the reply of that kind.
   *
   * @param transfer - buffers that the thread takes over
   * @throws the failure that the thread names; STORE_FAILED when it is gone
   */
  ask<Kind extends Reply['kind']>(kind: Kind, request: Request, transfer?: ArrayBuffer[]): Promise<ReplyOf<Kind>> {
    return this.exclusively((ask) => ask(kind, request, transfer))
  }

  #send<Kind extends Reply['kind']>(kind: Kind, request: Request, transfer: ArrayBuffer[] = []) {
    if (!this.#death) this.#worker.postMessage(request, transfer)
    return this.#reply(kind)
  }

  async #reply<Kind extends Reply['kind']>(kind: Kind): Promise<ReplyOf<Kind>> {
    if (this.#death) throw this.#death
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    if (reply.kind === 'failed') throw errorOf(reply.failure)
    if (!isKind(reply, kind)) {
      throw storeError('STORE_FAILED', { path: this.#place, reason: `its thread answered "${reply.kind}"` })
    }
    return reply
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) how(waiting)
  }

  #die(reason: string): void {
    this.#death ??= storeError('STORE_FAILED', { path: this.#place, reason })
    const death = this.#death
    this.#settle((waiting) => waiting.reject(death))
  }

  /** Closes the database and waits for the thread to end. */
  async close(): Promise<void> {
    try {
      if (!this.#death) await this.ask('closed', { kind: 'close' })
    } finally {
      await this.#exited
    }
  }
}

function isKind<Kind extends Reply['kind']>(reply: Reply, kind: Kind): reply is ReplyOf<Kind> {
  return reply.kind === kind
}
