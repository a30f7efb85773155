/**
 * The processes of a local federation: started with their log in a file, watched, and stopped together.
 *
 * Each child holds the end of a pipe to us as its standard input and stops when that closes, so that nothing is left
 * even if we are killed without a chance to clean up.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { localError } from './errors.ts'

/** The program as users start it. */
export const HANSE = fileURLToPath(new URL('../../bin/hanse', import.meta.url))
/** How long a process may take to stop before it is killed: a member of etcd hands its lead over first, if anyone takes it. */
const STOP_TIMEOUT_MS = 25_000
const SHOWN_LOG_LINES = 6

export interface ProcessSpec {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface LocalProcess {
  readonly name: string
  readonly pid: number
  /** Rejects as soon as the process ends without having been told to. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

/**
 * What a process is told of access control: the file of its token, or none. Never a token itself, and never the one of
 * whoever starts it.
 */
export function withToken(
  env: Readonly<Record<string, string | undefined>>,
  tokenFile: string | undefined,
): Readonly<Record<string, string | undefined>> {
  return { ...env, CONSUL_HTTP_TOKEN: undefined, CONSUL_HTTP_TOKEN_FILE: tokenFile }
}

function lastLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-SHOWN_LOG_LINES)
  } catch {
    return []
  }
}

export function startProcess(spec: ProcessSpec): LocalProcess {
  const log = openSync(spec.logFile, 'a', 0o600)
  const child: ChildProcess = spawn(spec.command, [...spec.args], {
    stdio: ['pipe', log, log],
    env: { ...spec.env, HANSE_STOP_WITH_STDIN: '1' },
  })
  closeSync(log)
  child.stdin?.on('error', () => {
    // The child closed its end: its exit says the rest.
  })
  let stopping = false
  let onExit: () => void = () => {}
  const exited = new Promise<void>((resolve) => {
    onExit = resolve
  })
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => {
      onExit()
      reject(
        localError('UP_PROCESS_ENDED', { name: spec.name, how: error.message, log: spec.logFile, lines: [] }, error),
      )
    })
    child.once('exit', (code, signal) => {
      onExit()
      if (stopping) return
      const how = signal ? `signal ${signal}` : `status ${code}`
      reject(
        localError('UP_PROCESS_ENDED', { name: spec.name, how, log: spec.logFile, lines: lastLines(spec.logFile) }),
      )
    })
  })
  failed.catch(() => {
    // Whoever waits for it hears of it; nobody waiting is no crash of ours.
  })
  return {
    name: spec.name,
    pid: child.pid ?? 0,
    failed,
    stop: async () => {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await exited
      clearTimeout(timer)
    },
  }
}
