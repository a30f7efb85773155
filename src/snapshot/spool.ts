/**
 * A file that holds a snapshot's records while they are gathered or checked: on disk, because they may be more than
 * memory holds, and without a name, because they hold keys and tokens. It is gone with its last user, however that ends.
 */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { HanseError, messageOf } from '#base'
import { snapshotError } from './errors.ts'

const CHUNK_BYTES = 262_144

export class Spool {
  readonly #directory: string
  readonly #file: FileHandle
  #bytes = 0

  /** @throws SNAPSHOT_NO_SPACE */
  static async open(directory: string): Promise<Spool> {
    const path = join(directory, `.snapshot-${randomUUID()}`)
    try {
      const file = await open(path, 'wx+', 0o600)
      await unlink(path)
      return new Spool(directory, file)
    } catch (error) {
      throw noSpace(directory, error)
    }
  }

  private constructor(directory: string, file: FileHandle) {
    this.#directory = directory
    this.#file = file
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Appends at once: what hands the records over cannot wait. @throws SNAPSHOT_NO_SPACE */
  writeNow(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.byteLength; ) at += writeSync(this.#file.fd, bytes, at, bytes.byteLength - at)
    } catch (error) {
      throw noSpace(this.#directory, error)
    }
    this.#bytes += bytes.byteLength
  }

  /** Appends. @throws SNAPSHOT_NO_SPACE */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength; ) {
        at += (await this.#file.write(bytes, at, bytes.byteLength - at)).bytesWritten
      }
    } catch (error) {
      throw noSpace(this.#directory, error)
    }
    this.#bytes += bytes.byteLength
  }

  /** All that was written, from the start; each chunk has memory of its own. */
  async *read(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#bytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, this.#bytes - at))
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at)
      if (bytesRead === 0) throw noSpace(this.#directory, new Error('the file is shorter than what was written'))
      at += bytesRead
      yield chunk.subarray(0, bytesRead)
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function noSpace(directory: string, error: unknown): HanseError {
  if (error instanceof HanseError) return error
  return snapshotError('SNAPSHOT_NO_SPACE', { directory, reason: messageOf(error) }, error)
}
