/**
 * The calling end of one RPC stream: one call at a time, the reply or the error of each.
 *
 * Which stream a call gets, and what happens to it afterwards, is rpc-pool.ts.
 *
 * Source: RPC wire notes §5.
 */
import type { Duplex } from 'node:stream'
import { codeOf } from '#base'
import { netError, RpcRemoteError } from './errors.ts'
import { decodeRpcHeader, encodeRequestHeader, MAX_RPC_BODY_BYTES, RpcMessageReader } from './rpc-framing.ts'

export interface CallerOptions {
  /** "s1.dc1", for errors. */
  readonly target: string
  readonly maxBodyBytes?: number
  /** When the stream went away while no call was using it. */
  readonly onClosed?: () => void
}

interface Waiting {
  readonly method: string
  readonly seq: number
  settle(error: unknown, reply?: Buffer): void
}

export class RpcCaller {
  readonly #stream: Duplex
  readonly #options: CallerOptions
  readonly #reader: RpcMessageReader
  #waiting: Waiting | undefined
  #usable = true

  constructor(stream: Duplex, options: CallerOptions) {
    this.#stream = stream
    this.#options = options
    this.#reader = new RpcMessageReader(options.maxBodyBytes ?? MAX_RPC_BODY_BYTES)
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('end', () => this.#onClosed())
    stream.on('close', () => this.#onClosed())
    stream.on('error', (error: Error) => this.#onClosed(error))
  }

  /** Whether another call may use the stream: no error came back on it and it is open. */
  get usable(): boolean {
    return this.#usable
  }

  /** Ends the stream in order; the other side answers with its own end. */
  close(): void {
    this.#usable = false
    if (!this.#stream.writableEnded) this.#stream.end()
    this.#stream.resume()
  }

  /**
   * Sends one call and waits for its reply. When the signal is aborted the stream is reset, which cancels the call at
   * the other side.
   *
   * @returns the reply, raw msgpack
   * @throws RpcRemoteError, RPC_CLOSED, YAMUX_REFUSED when the other side has seen nothing of the call, RPC_MALFORMED, RPC_TOO_LARGE, or the signal's reason
   */
  call(seq: number, method: string, body: Buffer, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#fail(signal.reason)
      const settle = (error: unknown, reply?: Buffer) => {
        this.#waiting = undefined
        signal.removeEventListener('abort', onAbort)
        if (reply) resolve(reply)
        else reject(error)
      }
      this.#waiting = { method, seq, settle }
      if (signal.aborted) return onAbort()
      if (this.#stream.destroyed || !this.#usable) return this.#onClosed()
      signal.addEventListener('abort', onAbort, { once: true })
      const header = encodeRequestHeader({ seq, method })
      if (body.length <= 4096) {
        this.#stream.write(Buffer.concat([header, body]))
      } else {
        this.#stream.write(header)
        this.#stream.write(body)
      }
    })
  }

  #receive(chunk: Buffer) {
    const waiting = this.#waiting
    if (!waiting) return this.#fail(netError('RPC_MALFORMED', { reason: 'bytes that answer no call' }))
    try {
      this.#reader.push(chunk)
      const message = this.#reader.next()
      if (!message) return
      const header = decodeRpcHeader(message.header)
      if (header.error !== '') {
        this.close()
        waiting.settle(new RpcRemoteError(header.error, waiting.method, this.#options.target))
      } else if (Number(header.seq) !== waiting.seq || this.#reader.midMessage) {
        this.#fail(netError('RPC_MALFORMED', { reason: 'the reply is not that of the call' }))
      } else {
        waiting.settle(undefined, message.body)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Resets the stream; the call, if any, fails with `error`. */
  #fail(error: unknown): void {
    this.#usable = false
    this.#stream.destroy()
    this.#waiting?.settle(error)
  }

  #onClosed(cause?: Error): void {
    this.#usable = false
    const { target } = this.#options
    if (this.#waiting && codeOf(cause) === 'YAMUX_REFUSED') this.#waiting.settle(cause)
    else if (this.#waiting)
      this.#waiting.settle(netError('RPC_CLOSED', { method: this.#waiting.method, target }, cause))
    else this.#options.onClosed?.()
    if (!this.#stream.writableEnded) this.#stream.end()
  }
}
