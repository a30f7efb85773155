/**
 * The child that runs while the lock is held: in a shell or without, in a process group of its own, so that what it
 * starts ends with it.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { CommandIo } from './command.ts'

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 5_000

/** How the child ended, as a shell says it. */
export interface Ended {
  readonly ok: boolean
  readonly how: string
}

export interface ChildOptions {
  readonly words: readonly string[]
  readonly shell: boolean
  readonly passStdin: boolean
}

export class LockedChild {
  readonly #process: ChildProcess
  readonly #grouped: boolean
  readonly ended: Promise<Ended>

  /** @throws never; a child that cannot be started has ended, and says why */
  constructor({ words, shell, passStdin }: ChildOptions, io: CommandIo) {
    const [program = '', ...args] = shell ? [io.env.SHELL || '/bin/sh', '-c', words.join(' ')] : words
    // A terminal sends what is typed only to its foreground group.
    this.#grouped = !passStdin
    const stdio: StdioOptions = [passStdin ? ofProcess(io.stdin) : 'ignore', ofProcess(io.stdout), ofProcess(io.stderr)]
    const env = { ...io.env, CONSUL_LOCK_HELD: 'true' }
    this.#process = spawn(program, args, { stdio, env, detached: this.#grouped })
    this.#process.stdout?.pipe(io.stdout, { end: false })
    this.#process.stderr?.pipe(io.stderr, { end: false })
    if (this.#process.stdin) io.stdin.pipe(this.#process.stdin)
    this.#process.stdin?.on('error', () => {
      // It closed its input: its end says the rest.
    })
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve({ ok: false, how: error.message }))
      this.#process.once('close', (code, signal) =>
        resolve({ ok: code === 0, how: signal === null ? `exit status ${code}` : `signal: ${signal}` }),
      )
    })
  }

  /** Ends it: SIGTERM, and SIGKILL if it does not go in time. */
  async stop(): Promise<void> {
    this.#kill('SIGTERM')
    const timer = setTimeout(() => this.#kill('SIGKILL'), GRACE_MS)
    await this.ended
    clearTimeout(timer)
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#process
    if (pid === undefined) return
    try {
      process.kill(this.#grouped ? -pid : pid, signal)
    } catch {
      // It is gone already.
    }
  }
}

/** A stream of this process is handed on as it is, another one through a pipe. */
function ofProcess(stream: Readable | Writable): 'pipe' | (Readable | Writable) {
  return 'fd' in stream && typeof stream.fd === 'number' ? stream : 'pipe'
}
