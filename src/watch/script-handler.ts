/**
 * A handler that is a program: it gets the answer as JSON on its standard input and the index in CONSUL_INDEX, and runs in
 * a process group of its own, so that what it starts ends with it.
 */
import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 2_000

export interface ScriptHandler {
  readonly words: readonly string[]
  /** The words are one line for a shell. */
  readonly shell: boolean
}

export interface ScriptIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Writable
  readonly stderr: Writable
  /** Ends the program. */
  readonly signal: AbortSignal
}

/** Runs to its end. @returns what went wrong; undefined where nothing did, or the signal ended it */
export function runHandler(
  { words, shell }: ScriptHandler,
  { text, index }: { readonly text: string; readonly index: string },
  { env, stdout, stderr, signal }: ScriptIo,
): Promise<string | undefined> {
  const [program = '', ...args] = shell ? ['sh', '-c', words.join(' ')] : words
  const child = spawn(program, args, { env: { ...env, CONSUL_INDEX: index }, detached: true })
  child.stdout.pipe(stdout, { end: false })
  child.stderr.pipe(stderr, { end: false })
  // A handler need not read what it is given.
  child.stdin.on('error', () => {})
  child.stdin.end(`${text}\n`)
  const kill = (how: NodeJS.Signals) => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, how)
    } catch {
      // It is gone already.
    }
  }
  let timer: NodeJS.Timeout | undefined
  return new Promise((resolve) => {
    const done = (problem: string | undefined) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve(signal.aborted ? undefined : problem)
    }
    const stop = () => {
      kill('SIGTERM')
      timer = setTimeout(() => {
        kill('SIGKILL')
        // What left the group may hold the pipes for ever.
        for (const pipe of [child.stdout, child.stderr]) pipe.destroy()
      }, GRACE_MS)
    }
    child.once('error', (error) => done(error.message))
    child.once('close', (code, killed) => done(code === 0 ? undefined : `exit status ${code ?? killed}`))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
}
