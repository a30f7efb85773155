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
  readonly #pending = new Map<number, (result: ExchangeResult) => void>()
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
    this.#pending.set(exchange, done)
    const { name, address, port } = to
    this.#runtime.emit({ kind: 'exchange', exchange, to: { name, address, port }, bytes, timeoutMs })
  }

  close(exchange: number, result: ExchangeResult): void {
    const done = this.#pending.get(exchange)
    this.#pending.delete(exchange)
    done?.(result)
  }
}
