/**
 * Streams that we opened and whose answer is awaited, by number.
 */

import type { Destination } from './effects.ts'
import { gossipError } from './errors.ts'
import type { CoreRuntime } from './runtime.ts'
import type { StreamMessage, StreamProblem } from './stream.ts'

export interface ExchangeResult {
  readonly message?: StreamMessage
  readonly error?: string
  readonly problem?: StreamProblem
}

/** Most streams that may be open at once; further ones fail at once. */
export const MAX_EXCHANGES = 256

export class Exchanges {
  readonly #runtime: CoreRuntime
  readonly #pending = new Map<number, { to: Destination; done: (result: ExchangeResult) => void }>()
  #next = 1

  constructor(runtime: CoreRuntime) {
    this.#runtime = runtime
  }

  /** Sends `bytes` on a new stream; `done` gets the one answer or the error, exactly once. */
  open(to: Destination, bytes: Buffer, timeoutMs: number, done: (result: ExchangeResult) => void): void {
    if (this.#pending.size >= MAX_EXCHANGES) {
      done({ error: gossipError('GOSSIP_STREAM', { reason: `${MAX_EXCHANGES} streams are open already` }).message })
      return
    }
    const exchange = this.#next++
    const { name, address, port } = to
    const destination = { name, address, port }
    this.#pending.set(exchange, { to: destination, done })
    this.#runtime.emit({ kind: 'exchange', exchange, to: destination, bytes, timeoutMs })
  }

  /** Where a pending exchange went. */
  destination(exchange: number): Destination | undefined {
    return this.#pending.get(exchange)?.to
  }

  close(exchange: number, result: ExchangeResult): void {
    const pending = this.#pending.get(exchange)
    this.#pending.delete(exchange)
    pending?.done(result)
  }
}
