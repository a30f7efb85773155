/**
 * For tests: gRPC calls with node:http2 over any connection, message by message.
 */
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { Duplex } from 'node:stream'

/** A message with its five bytes before it. */
export function framed(message: Uint8Array, compressed = 0): Buffer {
  const prefix = Buffer.from([compressed, 0, 0, 0, 0])
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

export class GrpcTestCall {
  readonly stream: ClientHttp2Stream
  readonly #ended: Promise<unknown>
  #buffered = Buffer.alloc(0)
  #status: string | undefined
  #text = ''

  constructor(session: ClientHttp2Session, path: string, body: Uint8Array, headers: Record<string, string> = {}) {
    const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers }
    this.stream = session.request(head)
    this.stream.on('error', () => {})
    for (const event of ['response', 'trailers'] as const) {
      this.stream.on(event, (each: Record<string, unknown>) => {
        if (each['grpc-status'] === undefined) return
        this.#status = String(each['grpc-status'])
        this.#text = decodeURIComponent(String(each['grpc-message']))
      })
    }
    this.stream.on('data', (chunk: Buffer) => {
      this.#buffered = Buffer.concat([this.#buffered, chunk])
      this.stream.emit('arrived')
    })
    this.#ended = new Promise((resolve) => this.stream.once('close', () => resolve(this.stream.emit('arrived'))))
    this.stream.end(body)
  }

  /** The next message. @throws at the end */
  async next(): Promise<Buffer> {
    for (;;) {
      const length = this.#buffered.length < 5 ? Number.POSITIVE_INFINITY : this.#buffered.readUInt32BE(1)
      if (this.#buffered.length >= 5 + length) {
        const message = this.#buffered.subarray(5, 5 + length)
        this.#buffered = this.#buffered.subarray(5 + length)
        return message
      }
      if (this.stream.closed) throw new Error(`the call ended: ${this.#status} ${this.#text}`)
      await once(this.stream, 'arrived')
    }
  }

  /** How many bytes wait to be taken. */
  get waiting(): number {
    return this.#buffered.length
  }

  /** Status and text that ended the call; an undefined status when it was cut. */
  async end(): Promise<{ status: string | undefined; text: string }> {
    await this.#ended
    return { status: this.#status, text: this.#text }
  }
}

/** An HTTP/2 session over a connection that is there. */
export function grpcSession(connection: Duplex): ClientHttp2Session {
  const session = connect('http://s1.dc1', { createConnection: () => connection })
  session.on('error', () => {})
  return session
}
