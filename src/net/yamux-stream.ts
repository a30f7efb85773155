/**
 * One yamux stream as a Node Duplex.
 *
 * What arrived and is not read yet waits here; it is bounded by the receive window, because the session reports bytes as
 * consumed only when the reader took them. A write is finished when the window and the socket took all of it.
 */
import { Duplex } from 'node:stream'
import type { Clock, Timer } from '#base'
import { appendChunk } from './chunks.ts'

/** A stream whose writing end is closed is reset when the other end does not close for that long. */
export const HALF_CLOSED_TIMEOUT_MS = 300_000

/** What a stream needs of its session. */
export interface StreamOwner {
  readonly clock: Clock
  writeStream(id: number, bytes: Buffer, done: (error?: Error | null) => void): void
  consumedStream(id: number, bytes: number): void
  endStream(id: number): void
  resetStream(id: number): void
}

export class YamuxStream extends Duplex {
  readonly id: number
  readonly #owner: StreamOwner
  readonly #waiting: Buffer[] = []
  #wanted = false
  #remoteEnded = false
  #halfClosed: Timer | undefined

  constructor(id: number, owner: StreamOwner) {
    super({ allowHalfOpen: true, readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 })
    this.id = id
    this.#owner = owner
    // A reset must not bring the process down when nobody listens for errors; readers see it as 'close' all the same.
    this.on('error', () => {})
  }

  /** Whether the other end has closed its writing side. */
  get remoteEnded(): boolean {
    return this.#remoteEnded
  }

  /** Called by the session with what arrived. */
  receive(bytes: Buffer): void {
    appendChunk(this.#waiting, bytes)
    this.#deliver()
  }

  /** Called by the session when the other end closed its writing side. */
  receiveEnd(): void {
    this.#remoteEnded = true
    this.#halfClosed?.cancel()
    this.#deliver()
  }

  #deliver(): void {
    while (this.#wanted) {
      const next = this.#waiting.shift()
      if (!next) break
      this.#wanted = this.push(next)
      this.#owner.consumedStream(this.id, next.length)
    }
    if (this.#remoteEnded && this.#waiting.length === 0 && !this.readableEnded && !this.destroyed) this.push(null)
  }

  override _read(): void {
    this.#wanted = true
    if (this.#waiting.length > 0) this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#owner.writeStream(this.id, chunk, done)
  }

  override _final(done: () => void): void {
    this.#owner.endStream(this.id)
    if (!this.#remoteEnded) {
      this.#halfClosed = this.#owner.clock.after(HALF_CLOSED_TIMEOUT_MS, () => this.destroy())
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#halfClosed?.cancel()
    this.#waiting.length = 0
    this.#owner.resetStream(this.id)
    done(error)
  }
}
