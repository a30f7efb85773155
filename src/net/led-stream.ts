/**
 * Streams that one msgpack value leads: a request and what belongs to it, or a reply and what belongs to it.
 *
 * A snapshot travels so: the asker writes its value, and an archive to restore; ends its half; and reads the reply's value,
 * and an archive that was saved, to the end.
 *
 * Source: RPC wire notes §12.
 */
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { netError } from './errors.ts'
import { ValueScanner } from './rpc-framing.ts'

/** Largest value at the beginning. */
export const MAX_LEAD_BYTES = 65_536

export interface LedStream {
  /** Raw msgpack. */
  readonly lead: Buffer
  /** To be read to the end by one reader. */
  readonly rest: AsyncIterable<Buffer>
}

/**
 * Reads the value at the beginning of a stream. The stream stays open for writing when its end is reached.
 *
 * @throws RPC_MALFORMED, RPC_TOO_LARGE; what the stream fails with
 */
export async function readLed(stream: Duplex): Promise<LedStream> {
  const chunks = stream.iterator({ destroyOnReturn: false })
  const scanner = new ValueScanner()
  const parts: Buffer[] = []
  let length = 0
  for (;;) {
    const { done, value: chunk } = await chunks.next()
    if (done || !Buffer.isBuffer(chunk))
      throw netError('RPC_MALFORMED', { reason: 'the stream ended in its first value' })
    const end = scanner.scan(chunk, 0)
    parts.push(end === -1 ? chunk : chunk.subarray(0, end))
    length += chunk.length
    if (end !== -1) return { lead: Buffer.concat(parts), rest: restOf(chunk.subarray(end), chunks) }
    if (length > MAX_LEAD_BYTES) throw netError('RPC_TOO_LARGE', { limitBytes: MAX_LEAD_BYTES })
  }
}

async function* restOf(first: Buffer, chunks: AsyncIterator<unknown>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first
  for (;;) {
    const { done, value } = await chunks.next()
    if (done) return
    if (Buffer.isBuffer(value)) yield value
  }
}

/** Drops what still comes of a stream whose reader has stopped: unread, it would reset the connection and the reply. */
export function dropRest(stream: Duplex): void {
  stream.removeAllListeners('readable')
  stream.resume()
}

/** Writes a value and what belongs to it, no faster than it is taken, and ends this half of the stream. */
export async function writeLed(stream: Duplex, lead: Buffer, body?: AsyncIterable<Uint8Array>): Promise<void> {
  await pipeline(ledBy(lead, body), stream)
}

async function* ledBy(lead: Buffer, body: AsyncIterable<Uint8Array> | undefined): AsyncGenerator<Uint8Array> {
  yield lead
  if (body !== undefined) yield* body
}
