/**
 * Keeps a pool's snapshot on disk: appends lines twice a second, rewrites the file when it has grown.
 *
 * A disk that fails costs the snapshot, never the pool: errors are handed to `onError` and writing goes on.
 *
 * Source: gossip wire notes §14.
 */
import { appendFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, codeOf, type Timer } from '#base'
import { SnapshotState } from './snapshot.ts'

const FLUSH_INTERVAL_MS = 500
const MIN_COMPACT_BYTES = 128 * 1024
const BYTES_PER_NODE = 128
/** Most of an existing file that is read; our own files stay far below. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024

export class SnapshotFile {
  readonly state: SnapshotState
  readonly #path: string
  readonly #onError: (thrown: unknown) => void
  #pending: string[] = []
  #bytes: number
  #writing: Promise<void> = Promise.resolve()
  readonly #timer: Timer

  private constructor(path: string, state: SnapshotState, bytes: number, modules: Modules) {
    this.#path = path
    this.state = state
    this.#bytes = bytes
    this.#onError = modules.onError
    this.#timer = modules.clock.every(FLUSH_INTERVAL_MS, () => void this.flush())
  }

  /** Reads what is there. A missing file is an empty one. */
  static async open(path: string, options: { rejoinAfterLeave: boolean }, modules: Modules): Promise<SnapshotFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const state = new SnapshotState(options)
    let bytes = 0
    try {
      bytes = (await stat(path)).size
      if (bytes <= MAX_SNAPSHOT_BYTES) state.replay(await readFile(path, 'utf8'))
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') throw thrown
    }
    return new SnapshotFile(path, state, bytes, modules)
  }

  record(line: string): void {
    // A line break in a name would forge lines.
    const clean = line.replaceAll(/[\r\n]/g, ' ')
    this.state.apply(clean)
    this.#pending.push(clean)
  }

  /** Writes what is pending; resolves when it is written. */
  flush(): Promise<void> {
    if (this.#pending.length > 0) {
      const text = `${this.#pending.join('\n')}\n`
      this.#pending = []
      this.#writing = this.#writing.then(() => this.#write(text)).catch(this.#onError)
    }
    return this.#writing
  }

  async #write(text: string): Promise<void> {
    this.#bytes += Buffer.byteLength(text)
    if (this.#bytes <= Math.max(MIN_COMPACT_BYTES, 2 * BYTES_PER_NODE * this.state.alive.size)) {
      await appendFile(this.#path, text, { mode: 0o600 })
      return
    }
    const compact = this.state.compact()
    await writeFile(`${this.#path}.compact`, compact, { mode: 0o600 })
    await rename(`${this.#path}.compact`, this.#path)
    this.#bytes = Buffer.byteLength(compact)
  }

  async close(): Promise<void> {
    this.#timer.cancel()
    await this.flush()
  }
}

interface Modules {
  readonly clock: Clock
  readonly onError: (thrown: unknown) => void
}
