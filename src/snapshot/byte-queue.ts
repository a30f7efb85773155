/**
 * The bytes of a stream, taken by count.
 */
import { snapshotError } from './errors.ts'

export class ByteQueue {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async #next(): Promise<Buffer | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest
      this.#rest = Buffer.alloc(0)
      return rest
    }
    const { done, value } = await this.#source.next()
    return done ? undefined : value
  }

  /** The next `count` bytes, as they come. @throws SNAPSHOT_DAMAGED when there are not so many */
  async *chunks(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      const chunk = await this.#next()
      if (chunk === undefined) throw snapshotError('SNAPSHOT_DAMAGED', { reason: 'it is cut' })
      const part = chunk.subarray(0, left)
      this.#rest = chunk.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  /** The same in one piece: for counts that are known to be small. */
  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const part of this.chunks(count)) parts.push(part)
    return Buffer.concat(parts)
  }

  /** All that is left. */
  async *rest(): AsyncGenerator<Buffer> {
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) yield chunk
  }
}
