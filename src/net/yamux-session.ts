/**
 * A yamux session over a connection: drives the core with the connection's bytes and the process's time, and gives each
 * stream as a Duplex.
 *
 * Bytes waiting to be sent are bounded: when the connection does not drain, writers wait and only answers (window
 * updates, pongs) still go out, up to a limit at which the session ends.
 *
 * Source: RPC wire notes §3.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, type HanseError, systemClock, type Timer } from '#base'
import { netError } from './errors.ts'
import { stepYamux } from './yamux-core.ts'
import { encodeFrameHeader, FLAG, FRAME, type FrameHeader, FrameParser, GO_AWAY } from './yamux-frame.ts'
import {
  ACCEPT_BACKLOG,
  KEEPALIVE_TIMEOUT_MS,
  MAX_STREAMS,
  newYamuxState,
  type YamuxEffect,
  type YamuxInput,
  type YamuxState,
} from './yamux-state.ts'
import { YamuxStream } from './yamux-stream.ts'

export const KEEPALIVE_INTERVAL_MS = 30_000
/** Answers that may wait for a connection that does not drain. */
export const MAX_WAITING_ANSWER_BYTES = 1024 * 1024
/** Payloads up to this size are copied behind their header: one write instead of two. */
const COPY_BELOW_BYTES = 1024
/** After a stall of this process a pong may lie unread in the socket: it gets this long to be read. */
const STALL_GRACE_MS = 200
/** How long the last bytes of a closed session may take to leave. */
const CLOSE_GRACE_MS = 2000

export interface YamuxSessionOptions {
  readonly role: 'client' | 'server'
  readonly clock?: Clock
  /** Streams that the other side opens. Without it they are reset. */
  readonly onStream?: (stream: YamuxStream) => void
  /** Whether they are taken now; where not they are reset unseen, which tells the other side that nothing was done. */
  readonly accepting?: () => boolean
  /** Once, when the session is over; the error is undefined after an orderly end. */
  readonly onClose?: (error: Error | undefined) => void
}

interface WaitingWrite {
  readonly id: number
  readonly bytes: Buffer
}

export class YamuxSession {
  readonly clock: Clock
  readonly #connection: Duplex
  readonly #options: YamuxSessionOptions
  readonly #state: YamuxState
  readonly #parser: FrameParser
  readonly #streams = new Map<number, YamuxStream>()
  readonly #writeDone = new Map<number, (error?: Error | null) => void>()
  #waitingWrites: WaitingWrite[] = []
  readonly #openWaiters: (() => void)[] = []
  readonly #keepAlive: Timer
  #answerBytes = 0
  #corked = false
  #lastOpened: YamuxStream | HanseError | undefined
  #closed = false
  #onHeard: (() => void) | undefined
  /** The last round trip of a keep-alive ping. */
  roundTripMs: number | undefined

  constructor(connection: Duplex, options: YamuxSessionOptions) {
    this.clock = options.clock ?? systemClock
    this.#connection = connection
    this.#options = options
    this.#state = newYamuxState(options.role)
    this.#parser = new FrameParser({
      onHeader: (header) => {
        if ((header.flags & FLAG.syn) !== 0) this.#state.accepting = options.accepting?.() ?? true
        this.#step({ type: 'header', header })
      },
      onPayload: (header, piece, last) => this.#step({ type: 'payload', header, piece, last }),
    })
    this.#keepAlive = this.clock.every(KEEPALIVE_INTERVAL_MS, () => this.#ping())
    if (connection instanceof Socket) connection.setNoDelay(true)
    connection.on('data', (chunk: Buffer) => this.#receive(chunk))
    connection.on('drain', () => this.#onDrain())
    connection.on('end', () => this.destroy())
    connection.on('close', () => this.destroy())
    connection.on('error', (error: Error) => this.destroy(error))
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether a new stream may be opened: not closed, and neither side is going away. */
  get usable(): boolean {
    return !this.#closed && !this.#state.remoteGoAway && !this.#state.localGoAway
  }

  get streamCount(): number {
    return this.#streams.size
  }

  /**
   * Opens a stream; waits while the other side has too many opens to acknowledge.
   *
   * @throws YAMUX_SHUTDOWN, YAMUX_GO_AWAY, YAMUX_STREAMS, or the signal's reason
   */
  async openStream(signal?: AbortSignal): Promise<YamuxStream> {
    signal?.throwIfAborted()
    while (this.usable && this.#state.unacked >= ACCEPT_BACKLOG) await this.#acknowledgement(signal)
    if (this.#closed) throw netError('YAMUX_SHUTDOWN', { reason: 'closed' })
    this.#step({ type: 'open' })
    const opened = this.#lastOpened
    this.#lastOpened = undefined
    if (opened instanceof YamuxStream) return opened
    throw opened ?? netError('YAMUX_SHUTDOWN', { reason: 'closed' })
  }

  #acknowledgement(signal: AbortSignal | undefined): Promise<void> {
    if (this.#openWaiters.length >= MAX_STREAMS) throw netError('YAMUX_STREAMS', { limit: MAX_STREAMS })
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        const at = this.#openWaiters.indexOf(wake)
        if (at >= 0) this.#openWaiters.splice(at, 1)
        reject(signal?.reason)
      }
      const wake = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#openWaiters.push(wake)
    })
  }

  /** Asks the other side to open no more streams, and opens none itself; those that are open go on. */
  goAway(): void {
    this.#step({ type: 'goAway' })
  }

  /**
   * Goes away as `goAway()` does, and resolves when the other side has heard it and all that it sent before it heard is
   * here, or when the session has ended. Called once.
   */
  farewell(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onHeard = resolve
      this.#step({ type: 'farewell' })
    })
  }

  /** Says good-bye, then ends the connection. Streams that are still open are cut. */
  close(): void {
    this.goAway()
    this.destroy()
  }

  /** Ends the session at once; every stream that had not ended fails. */
  destroy(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#keepAlive.cancel()
    const shutdown = netError('YAMUX_SHUTDOWN', { reason: error?.message ?? 'connection closed' }, error)
    for (const done of this.#writeDone.values()) done(shutdown)
    this.#writeDone.clear()
    this.#waitingWrites = []
    for (const stream of this.#streams.values()) if (!stream.remoteEnded) stream.destroy(shutdown)
    this.#streams.clear()
    for (const wake of this.#openWaiters.splice(0)) wake()
    this.#onHeard?.()
    this.#uncork()
    if (error) this.#connection.destroy()
    else {
      this.#connection.end(() => this.#connection.destroy())
      this.clock.after(CLOSE_GRACE_MS, () => this.#connection.destroy())
    }
    this.#options.onClose?.(error)
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return
    try {
      this.#parser.push(chunk)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    if (this.#closed) return
    this.#send({ type: FRAME.goAway, flags: 0, stream: 0, length: GO_AWAY.protocolError }, undefined)
    this.#uncork()
    this.#connection.end()
    this.destroy(error)
  }

  #step(input: YamuxInput): void {
    if (this.#closed) return
    for (const effect of stepYamux(this.#state, input, this.clock.nowMs())) this.#apply(effect)
  }

  #apply(effect: YamuxEffect) {
    switch (effect.type) {
      case 'send':
        return this.#send(effect.header, effect.payload)
      case 'opened':
        this.#lastOpened = this.#newStream(effect.stream)
        return
      case 'openRefused':
        this.#lastOpened = effect.error
        return
      case 'accepted':
        return this.#accept(effect.stream)
      case 'acknowledged':
        return this.#openWaiters.shift()?.()
      case 'data':
        return this.#streams.get(effect.stream)?.receive(effect.bytes)
      case 'remoteEnd':
        return this.#streams.get(effect.stream)?.receiveEnd()
      case 'remoteReset':
        return this.#onReset(effect.stream, effect.refused)
      case 'written':
        return this.#onWritten(effect.stream)
      case 'finished':
        this.#streams.delete(effect.stream)
        return
      case 'pong':
        this.roundTripMs = effect.roundTripMs
        return
      case 'farewellHeard':
        return this.#onHeard?.()
      case 'remoteGoAway':
        for (const wake of this.#openWaiters.splice(0)) wake()
        return
      case 'fatal':
        return this.#fail(effect.error)
    }
  }

  #newStream(id: number): YamuxStream {
    const stream = new YamuxStream(id, this)
    this.#streams.set(id, stream)
    return stream
  }

  #accept(id: number): void {
    const stream = this.#newStream(id)
    if (this.#options.onStream) this.#options.onStream(stream)
    else stream.destroy()
  }

  #onReset(id: number, refused: boolean): void {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    const error = netError(refused ? 'YAMUX_REFUSED' : 'YAMUX_RESET', { stream: id })
    this.#settleWrite(id, error)
    stream?.destroy(error)
  }

  /** The window took all of it; the writer goes on once the connection drained too. */
  #onWritten(id: number): void {
    if (!this.#connection.writableNeedDrain) this.#settleWrite(id, null)
  }

  #settleWrite(id: number, error: Error | null): void {
    const done = this.#writeDone.get(id)
    this.#writeDone.delete(id)
    done?.(error)
  }

  #onDrain(): void {
    this.#answerBytes = 0
    for (const id of [...this.#writeDone.keys()]) {
      const blocked = this.#state.streams.get(id)?.pending !== undefined
      if (!blocked && !this.#waitingWrites.some((write) => write.id === id)) this.#settleWrite(id, null)
    }
    while (!this.#connection.writableNeedDrain) {
      const next = this.#waitingWrites.shift()
      if (!next) break
      this.#step({ type: 'write', stream: next.id, bytes: next.bytes })
    }
  }

  #send(header: FrameHeader, payload: Buffer | undefined): void {
    const connection = this.#connection
    if (connection.destroyed || connection.writableEnded) return
    if (!this.#corked) {
      this.#corked = true
      connection.cork()
      queueMicrotask(() => this.#uncork())
    }
    const head = encodeFrameHeader(header)
    if (!payload) this.#countAnswer(connection.write(head), head.length)
    else if (payload.length <= COPY_BELOW_BYTES) connection.write(Buffer.concat([head, payload]))
    else {
      connection.write(head)
      connection.write(payload)
    }
  }

  #countAnswer(drained: boolean, bytes: number): void {
    this.#answerBytes = drained ? 0 : this.#answerBytes + bytes
    if (this.#answerBytes > MAX_WAITING_ANSWER_BYTES) {
      this.destroy(netError('YAMUX_FLOOD', { limitBytes: MAX_WAITING_ANSWER_BYTES }))
    }
  }

  #uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#connection.uncork()
  }

  #ping(): void {
    const id = this.#state.nextPing
    this.#step({ type: 'keepAlive' })
    this.clock.after(KEEPALIVE_TIMEOUT_MS, () => {
      this.clock.after(STALL_GRACE_MS, () => {
        if (this.#state.ping?.id === id) this.#step({ type: 'keepAlive' })
      })
    })
  }

  writeStream(id: number, bytes: Buffer, done: (error?: Error | null) => void) {
    if (this.#closed) return done(netError('YAMUX_SHUTDOWN', { reason: 'closed' }))
    this.#writeDone.set(id, done)
    if (this.#connection.writableNeedDrain) this.#waitingWrites.push({ id, bytes })
    else this.#step({ type: 'write', stream: id, bytes })
  }

  consumedStream(id: number, bytes: number): void {
    this.#step({ type: 'consumed', stream: id, bytes })
  }

  endStream(id: number): void {
    this.#step({ type: 'end', stream: id })
  }

  resetStream(id: number): void {
    this.#streams.delete(id)
    this.#settleWrite(id, netError('YAMUX_RESET', { stream: id }))
    this.#waitingWrites = this.#waitingWrites.filter((write) => write.id !== id)
    this.#step({ type: 'reset', stream: id })
  }
}
