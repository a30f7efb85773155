/**
 * A gRPC subscription as Consul's servers make it, on a connection that is there: what it is told, as short text, and how
 * it ends.
 */
import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { CheckServiceNodeMessage, EventBatch, SubscribeEvent, SubscribeRequest } from '#codec'

/** Whether a message is compressed, and its length. */
const PREFIX_BYTES = 5
const NOTHING = SubscribeRequest.decode(new Uint8Array())

/** The request as one gRPC message. */
export function framedRequest(request: Partial<SubscribeRequest>): Buffer {
  const message = SubscribeRequest.encode({ ...NOTHING, ...request })
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

export class Subscription {
  readonly stream: ClientHttp2Stream
  readonly #told: AsyncGenerator<string>
  readonly #status: Promise<string>

  /** @param headers - as recorded of a Consul server */
  constructor(session: ClientHttp2Session, headers: Readonly<Record<string, string>>, body: Buffer) {
    this.stream = session.request({ ...headers })
    this.#status = statusOf(this.stream)
    this.#told = told(this.stream)
    this.stream.end(body)
  }

  /** The next event: "+id:port", "-id:port" or "end of snapshot"; undefined at the end. */
  async next(): Promise<string | undefined> {
    const { value, done } = await this.#told.next()
    return done ? undefined : value
  }

  /** "status text" that it ends with, once it ends. */
  end(): Promise<string> {
    return this.#status
  }
}

function statusOf(stream: ClientHttp2Stream): Promise<string> {
  return new Promise((resolve) => {
    for (const event of ['response', 'trailers'] as const) {
      stream.on(event, (headers: Readonly<Record<string, unknown>>) => {
        const { 'grpc-status': status, 'grpc-message': text } = headers
        if (status !== undefined) resolve(`${status} ${decodeURIComponent(String(text))}`)
      })
    }
    void once(stream, 'close').then(
      () => resolve('cut'),
      (error: unknown) => resolve(`cut: ${String(error)}`),
    )
  })
}

async function* told(stream: ClientHttp2Stream): AsyncGenerator<string> {
  let waiting = Buffer.alloc(0)
  for await (const chunk of stream) {
    waiting = Buffer.concat([waiting, chunk])
    while (waiting.length >= PREFIX_BYTES && waiting.length >= PREFIX_BYTES + waiting.readUInt32BE(1)) {
      const end = PREFIX_BYTES + waiting.readUInt32BE(1)
      yield* events(waiting.subarray(PREFIX_BYTES, end))
      waiting = waiting.subarray(end)
    }
  }
}

function* events(message: Uint8Array): Generator<string> {
  const { EndOfSnapshot, EventBatch: batch, ServiceHealth } = SubscribeEvent.decode(message)
  if (batch !== null) {
    for (const event of EventBatch.decode(batch).Events ?? []) yield* events(event)
    return
  }
  if (EndOfSnapshot) {
    yield 'end of snapshot'
    return
  }
  const { Service } = CheckServiceNodeMessage.decode(ServiceHealth?.CheckServiceNode ?? Buffer.alloc(0))
  yield `${ServiceHealth?.Op === 1 ? '-' : '+'}${Service?.ID}:${Service?.Port}`
}
