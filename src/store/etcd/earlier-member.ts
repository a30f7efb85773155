/**
 * The process id of a member beside its data: by it the next start finds what a server that was killed left running.
 *
 * A process is ours only if it was started for our data directory: ids are used again. One whose server still lives is
 * left alone, because two servers then have one data directory.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pid as ownPid } from 'node:process'
import { type Clock, type Logger, sleep } from '#base'
import { storeError } from '../errors.ts'

/** How long it may take to end by itself. */
const STOP_MS = 10_000
const LOOK_MS = 100

export interface EarlierMemberModules {
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

export function notePid(file: string, pid: number): void {
  writeFileSync(file, `${pid} ${ownPid}\n`, { mode: 0o600 })
}

export function forgetPid(file: string): void {
  rmSync(file, { force: true })
}

/**
 * Ends what an earlier server left running.
 *
 * @param argument - what only a member of this data directory was started with
 * @throws STORE_LOCKED where its server runs; the reason of the signal
 */
export async function endEarlierMember(
  file: string,
  argument: string,
  { clock, log, signal }: EarlierMemberModules,
): Promise<void> {
  const [pid = 0, server = 0] = pidsIn(file)
  const found = () => {
    const process = pid > 1 ? processOf(pid) : undefined
    return process?.args.includes(argument) ? process : undefined
  }
  const process = found()
  if (process === undefined) return
  if (process.parent === server && server > 1 && server !== ownPid) {
    throw storeError('STORE_LOCKED', { path: file, reason: `process ${server}` })
  }
  log.info('etcd of an earlier start is still running, ending it', { pid })
  kill(pid, 'SIGTERM')
  for (let waitedMs = 0; found(); waitedMs += LOOK_MS) {
    if (waitedMs === STOP_MS) kill(pid, 'SIGKILL')
    await sleep(clock, LOOK_MS, signal)
  }
}

/** Empty where there is no such file, or none that we wrote. */
function pidsIn(file: string): readonly number[] {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return /^\d{1,10} \d{1,10}\n$/.test(text) ? text.trim().split(' ').map(Number) : []
}

interface RunningProcess {
  readonly args: readonly string[]
  readonly parent: number
}

function processOf(pid: number): RunningProcess | undefined {
  try {
    if (!existsSync('/proc/self/cmdline')) return byPs(execFileSync('ps', ['-o', 'ppid=,command=', '-p', `${pid}`]))
    const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return { args: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'), parent: Number(parent) }
  } catch {
    // It has ended.
    return undefined
  }
}

function byPs(output: Buffer): RunningProcess {
  const [parent, ...args] = output.toString().trim().split(/\s+/)
  return { args, parent: Number(parent) }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
