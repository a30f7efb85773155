/**
 * What a member of etcd writes: into a file beside its data, from which the server reads it.
 *
 * No pipe: a program in Go ends at its first word into one whose reader is gone, and a member has to outlive a server that
 * was killed. The file is emptied when it has been read and is large, and at each start.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import type { Clock, Timer } from '#base'

const LOOK_MS = 100
const CHUNK_BYTES = 64 * 1024
/** A line longer than this is cut. */
const MAX_LINE_CHARACTERS = 64 * 1024
/** From here on the file is emptied. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

export class MemberOutput {
  /** For the member to write to; always at the end. */
  readonly descriptor: number
  readonly #reading: number
  readonly #onLine: (line: string) => void
  readonly #timer: Timer
  #position = 0
  #rest = ''
  #closed = false

  constructor(path: string, clock: Clock, onLine: (line: string) => void) {
    this.descriptor = openSync(path, 'a', 0o600)
    this.#reading = openSync(path, 'r+')
    ftruncateSync(this.#reading)
    this.#onLine = onLine
    this.#timer = clock.every(LOOK_MS, () => this.read())
  }

  /** Hands on all lines that are complete by now. */
  read(): void {
    if (this.#closed) return
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      const count = readSync(this.#reading, chunk, 0, CHUNK_BYTES, this.#position)
      if (count === 0) break
      this.#position += count
      const lines = (this.#rest + chunk.toString('utf8', 0, count)).split('\n')
      this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS)
      for (const line of lines) if (line !== '') this.#onLine(line)
    }
    if (this.#position > MAX_FILE_BYTES && fstatSync(this.#reading).size === this.#position) {
      ftruncateSync(this.#reading)
      this.#position = 0
    }
  }

  /** Hands on the rest. */
  close(): void {
    this.read()
    if (this.#rest !== '') this.#onLine(this.#rest)
    this.#rest = ''
    this.#closed = true
    this.#timer.cancel()
    closeSync(this.descriptor)
    closeSync(this.#reading)
  }
}

export type EtcdLogLevel = 'debug' | 'info' | 'warn' | 'error'
const LEVELS: Readonly<Record<string, EtcdLogLevel>> = { warn: 'warn', error: 'error', fatal: 'error', panic: 'error' }
const MAX_TEXT_CHARACTERS = 500

/** etcd's log lines are JSON; what is none is kept as it is. Its routine goes to our debug level. */
export function parseLogLine(line: string): { readonly level: EtcdLogLevel; readonly text: string } {
  try {
    const { level, msg, error } = Object(JSON.parse(line))
    if (typeof msg !== 'string') return { level: 'debug', text: line.slice(0, MAX_TEXT_CHARACTERS) }
    const text = typeof error === 'string' ? `${msg}: ${error}` : msg
    const known = Object.hasOwn(LEVELS, String(level)) ? LEVELS[String(level)] : undefined
    return { level: known ?? 'debug', text: text.slice(0, MAX_TEXT_CHARACTERS) }
  } catch {
    return { level: 'warn', text: line.slice(0, MAX_TEXT_CHARACTERS) }
  }
}
