/**
 * Serves gRPC calls on one connection: HTTP/2 without asking for it first, one request message in, a stream of messages out.
 *
 * Only methods with one request are served; what a message means is the handler's business. A handler gives its messages
 * one after the other, and is asked for the next when the client has taken the one before, so a slow client holds up only
 * its own call. A call's signal is aborted when the client cancels it or is gone; a client that does not answer pings is.
 *
 * Source: the gRPC specification "gRPC over HTTP2"; RPC wire notes §12.
 */
import { once } from 'node:events'
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Duplex } from 'node:stream'
import { type Clock, type Logger, type Metrics, messageOf, silentLogger, systemClock } from '#base'
import { netError } from './errors.ts'
import type { RpcRemote } from './rpc-server.ts'

/** Codes of the gRPC specification, those that we give. */
export const GRPC_STATUS = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const
export type GrpcStatus = (typeof GRPC_STATUS)[keyof typeof GRPC_STATUS]

/** Ends a call with a status and a text for its caller. */
export class GrpcError extends Error {
  readonly status: GrpcStatus

  constructor(status: GrpcStatus, text: string, cause?: unknown) {
    super(text, { cause })
    this.name = 'GrpcError'
    this.status = status
  }
}

export interface GrpcCall {
  /** "/package.Service/Method" */
  readonly path: string
  /** The request, still encoded. */
  readonly message: Buffer
  /** Aborted when the caller has cancelled, or is gone. */
  readonly signal: AbortSignal
  readonly remote: RpcRemote
}

/** The messages of the answer, encoded. What it throws ends the call: a GrpcError as it says, all else as internal. */
export type GrpcHandler = (call: GrpcCall) => AsyncIterable<Buffer>

export interface GrpcLimits {
  /** Calls at a time on one connection: a datacenter's server asks for all of its proxies on one. */
  readonly calls: number
  readonly requestBytes: number
  /** For a request to arrive as a whole. */
  readonly requestTimeoutMs: number
  /** Between pings; one that is not answered before the next ends the connection. */
  readonly pingMs: number
}

export const GRPC_LIMITS: GrpcLimits = {
  calls: 4_096,
  requestBytes: 64 * 1024,
  requestTimeoutMs: 10_000,
  pingMs: 30_000,
}

/** Memory that HTTP/2 may hold for one connection before it refuses new calls, in MB. */
const SESSION_MEMORY_MB = 64
/** Before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5
const OK = { [constants.HTTP2_HEADER_STATUS]: 200, 'content-type': 'application/grpc' }

export interface GrpcServerOptions {
  readonly remote: RpcRemote
  readonly clock?: Clock
  readonly log?: Logger
  readonly metrics?: Metrics
  readonly limits?: Partial<GrpcLimits>
}

/** Serves calls until the connection ends. Never throws. */
export function serveGrpc(stream: Duplex, handler: GrpcHandler, options: GrpcServerOptions): void {
  new GrpcServing(stream, handler, options)
}

class GrpcServing {
  readonly #handler: GrpcHandler
  readonly #options: GrpcServerOptions
  readonly #limits: GrpcLimits
  readonly #clock: Clock
  readonly #log: Logger
  readonly #session: ServerHttp2Session

  constructor(stream: Duplex, handler: GrpcHandler, options: GrpcServerOptions) {
    this.#handler = handler
    this.#options = options
    this.#limits = { ...GRPC_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    const session = performServerHandshake(stream, {
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: { maxConcurrentStreams: this.#limits.calls },
    })
    this.#session = session
    const from = options.remote.address
    session.on('error', (error) => this.#log.debug('gRPC connection failed', { from, error: messageOf(error) }))
    session.on('stream', (call, headers) => void this.#serve(call, headers))
    // A client that ended its side takes no more answers, though the port lets connections be half open.
    stream.once('end', () => session.destroy())
    this.#keepAlive(stream)
  }

  #keepAlive(stream: Duplex): void {
    let waiting = false
    const timer = this.#clock.every(this.#limits.pingMs, () => {
      if (waiting || this.#session.destroyed) return this.#session.destroy()
      waiting = true
      this.#session.ping((error) => {
        waiting = error !== null
      })
    })
    const stop = () => timer.cancel()
    this.#session.once('close', stop)
    stream.once('close', stop)
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const path = headers[constants.HTTP2_HEADER_PATH]?.toString() ?? ''
    const controller = new AbortController()
    // An error is followed by 'close', which says the same.
    stream.on('error', () => {})
    stream.on('close', () => controller.abort(netError('RPC_CLIENT_GONE', { client: this.#options.remote.address })))
    this.#options.metrics?.count('hanse.grpc.calls')
    try {
      checkHeaders(headers)
      const message = await this.#request(stream)
      const call = { path, message, signal: controller.signal, remote: this.#options.remote }
      for await (const answer of this.#handler(call)) {
        if (!stream.headersSent) stream.respond(OK, { waitForTrailers: true })
        if (!(await sent(stream, answer, controller.signal))) return
      }
      finish(stream, GRPC_STATUS.ok, '')
    } catch (error) {
      if (stream.destroyed) return
      const status = error instanceof GrpcError ? error.status : GRPC_STATUS.internal
      this.#log.debug('gRPC call failed', { path, from: this.#options.remote.address, error: messageOf(error) })
      finish(stream, status, messageOf(error))
      // Nothing more of the request is read: the client need not send it.
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    }
  }

  /** The one message of the request. @throws GrpcError */
  async #request(stream: ServerHttp2Stream): Promise<Buffer> {
    const { requestBytes, requestTimeoutMs } = this.#limits
    const chunks: Buffer[] = []
    let bytes = 0
    const timer = this.#clock.after(requestTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL))
    try {
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > PREFIX_BYTES + requestBytes) {
          throw new GrpcError(GRPC_STATUS.resourceExhausted, `Request is above the limit of ${requestBytes} bytes`)
        }
      }
    } finally {
      timer.cancel()
    }
    return onlyMessage(Buffer.concat(chunks))
  }
}

function checkHeaders(headers: IncomingHttpHeaders): void {
  const type = headers['content-type'] ?? ''
  if (headers[constants.HTTP2_HEADER_METHOD] !== 'POST' || !/^application\/grpc(?:[+;]|$)/.test(type)) {
    throw new GrpcError(GRPC_STATUS.invalidArgument, `Not a gRPC request: its content type is "${type}"`)
  }
}

function onlyMessage(bytes: Buffer): Buffer {
  if (bytes.length < PREFIX_BYTES || bytes.readUInt32BE(1) !== bytes.length - PREFIX_BYTES) {
    throw new GrpcError(GRPC_STATUS.invalidArgument, `Request of ${bytes.length} bytes is not exactly one message`)
  }
  if (bytes[0] !== 0) throw new GrpcError(GRPC_STATUS.unimplemented, 'Compressed requests are not served')
  return bytes.subarray(PREFIX_BYTES)
}

/** Writes a message and waits until there is room for the next. @returns false when the client is gone */
async function sent(stream: ServerHttp2Stream, message: Buffer, signal: AbortSignal): Promise<boolean> {
  if (stream.destroyed || !stream.writable) return false
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  if (stream.write(Buffer.concat([prefix, message]))) return true
  try {
    await once(stream, 'drain', { signal })
    return true
  } catch {
    return false
  }
}

function finish(stream: ServerHttp2Stream, status: GrpcStatus, text: string): void {
  if (stream.destroyed || stream.closed) return
  const trailers = { 'grpc-status': String(status), 'grpc-message': percentEncoded(text) }
  if (!stream.headersSent) {
    stream.respond({ ...OK, ...trailers }, { endStream: true })
    return
  }
  stream.once('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end()
}

/** Bytes that a header may not hold, and "%", as %XX. */
function percentEncoded(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) =>
      byte < 0x20 || byte > 0x7e || byte === 0x25
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte),
    )
    .join('')
}
