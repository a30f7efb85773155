/**
 * Serves RPC calls on one stream: reads a call, runs it to its end, writes the answer, reads the next.
 *
 * One call at a time per stream; a client that wants more opens more streams. Bodies are handed on as raw msgpack. When
 * the client closes its end or the connection is gone, the call's signal is aborted, so that a blocking query does not
 * outlive the one who asked.
 *
 * Source: RPC wire notes §5.
 */
import type { Duplex } from 'node:stream'
import { codeOf, type Logger, messageOf, silentLogger } from '#base'
import { netError, UnknownMethodError } from './errors.ts'
import {
  decodeRpcHeader,
  encodeResponseHeader,
  MAX_RPC_BODY_BYTES,
  type RequestHeader,
  type RpcMessage,
  RpcMessageReader,
} from './rpc-framing.ts'

/** What of the next calls may arrive while one runs; then the stream is not read. */
export const MAX_PIPELINED_BYTES = 256 * 1024
/** Read and thrown away by the client after an error. */
const EMPTY_MAP = Buffer.from([0x80])

/** Who is at the other end. */
export interface RpcRemote {
  readonly address: string
  readonly port: number
}

export interface RpcCall {
  readonly method: string
  /** The argument, raw msgpack. */
  readonly body: Buffer
  /** Aborted when the client has closed its end or the connection is gone. */
  readonly signal: AbortSignal
  readonly remote: RpcRemote
}

/**
 * Runs one call and returns the reply as raw msgpack. What it throws becomes the Error text of the answer; an
 * UnknownMethodError, and a body that cannot be decoded (MSGPACK_…), close the stream after it.
 */
export type RpcHandler = (call: RpcCall) => Promise<Buffer>

export interface RpcServerOptions {
  readonly remote: RpcRemote
  readonly log?: Logger
  readonly maxBodyBytes?: number
}

/** Serves calls until the stream ends. Never throws; never rejects. */
export function serveRpcStream(stream: Duplex, handler: RpcHandler, options: RpcServerOptions): void {
  new RpcServing(stream, handler, options)
}

class RpcServing {
  readonly #stream: Duplex
  readonly #handler: RpcHandler
  readonly #remote: RpcRemote
  readonly #log: Logger
  readonly #reader: RpcMessageReader
  #running: AbortController | undefined
  #ended = false
  #closing = false

  constructor(stream: Duplex, handler: RpcHandler, options: RpcServerOptions) {
    this.#stream = stream
    this.#handler = handler
    this.#remote = options.remote
    this.#log = options.log ?? silentLogger
    this.#reader = new RpcMessageReader(options.maxBodyBytes ?? MAX_RPC_BODY_BYTES)
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('end', () => this.#onEnd())
    stream.on('close', () => this.#onGone())
    stream.on('error', () => this.#onGone())
  }

  #receive(chunk: Buffer): void {
    if (this.#closing) return
    this.#reader.push(chunk)
    if (!this.#running) this.#advance()
    else if (this.#reader.bufferedBytes > MAX_PIPELINED_BYTES) this.#stream.pause()
  }

  #onEnd(): void {
    this.#ended = true
    if (this.#running) this.#abort()
    else this.#stream.end()
  }

  #onGone(): void {
    this.#closing = true
    this.#abort()
  }

  #abort(): void {
    this.#running?.abort(netError('RPC_CLIENT_GONE', { client: this.#remote.address }))
  }

  #advance(): void {
    let message: RpcMessage | undefined
    try {
      message = this.#reader.next()
    } catch (error) {
      void this.#refuse(error)
      return
    }
    if (message) void this.#run(message)
    else if (this.#ended) this.#stream.end()
    else this.#stream.resume()
  }

  /** Answers a message that cannot be read to its end, as well as its header allows, and closes. */
  async #refuse(error: unknown): Promise<void> {
    this.#log.warn('rpc message refused', { from: this.#remote.address, error: messageOf(error) })
    const header = this.#reader.pendingHeader
    if (header) {
      try {
        await this.#write(encodeResponseHeader({ ...decodeRpcHeader(header), error: messageOf(error) }), EMPTY_MAP)
      } catch {
        // The header is as bad as the body, or the client is gone: there is nobody to tell.
      }
    }
    this.#closeStream()
  }

  #closeStream(): void {
    this.#closing = true
    this.#stream.resume()
    this.#stream.end()
  }

  async #run(message: RpcMessage): Promise<void> {
    const controller = new AbortController()
    this.#running = controller
    let header: RequestHeader
    try {
      header = decodeRpcHeader(message.header)
    } catch (error) {
      this.#running = undefined
      this.#log.warn('rpc header refused', { from: this.#remote.address, error: messageOf(error) })
      this.#closeStream()
      return
    }
    const last = await this.#answer(header, message.body, controller.signal)
    this.#running = undefined
    if (this.#closing) return
    if (last) this.#closeStream()
    else this.#advance()
  }

  /** @returns whether the stream has to be closed after this answer */
  async #answer(header: RequestHeader, body: Buffer, signal: AbortSignal): Promise<boolean> {
    let error = ''
    let last = false
    let reply: Buffer = EMPTY_MAP
    try {
      if (!header.method.includes('.')) throw new IllFormedMethodError(header.method)
      reply = await this.#handler({ method: header.method, body, signal, remote: this.#remote })
    } catch (thrown) {
      error = messageOf(thrown) || 'unknown error'
      last =
        thrown instanceof UnknownMethodError ||
        thrown instanceof IllFormedMethodError ||
        codeOf(thrown)?.startsWith('MSGPACK_') === true
    }
    try {
      if (!this.#closing)
        await this.#write(encodeResponseHeader({ error, seq: header.seq, method: header.method }), reply)
    } catch {
      return true
    }
    return last
  }

  /** Resolves when the stream took it, so that a client that does not read holds up only its own next call. */
  #write(header: Buffer, body: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(error) : resolve())
      if (this.#stream.destroyed || this.#stream.writableEnded)
        return reject(netError('RPC_CLIENT_GONE', { client: '' }))
      if (body.length <= 4096) return void this.#stream.write(Buffer.concat([header, body]), done)
      this.#stream.write(header)
      this.#stream.write(body, done)
    })
  }
}

class IllFormedMethodError extends Error {
  constructor(method: string) {
    super(`rpc: service/method request ill-formed: ${method}`)
  }
}
