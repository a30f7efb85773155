/**
 * What a server weighs: resident memory of `hanse agent` and all its children, idle and with the catalog of 5,500
 * instances; and idle after the first start ever, when nothing of the program has been compiled yet and the compiler stays
 * in memory.
 *
 * Yardstick: a Node process that only listens with node:http.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerProcess } from '../test/e2e-agent/server-process.ts'
import { fillServer } from './fill-server.ts'
import { type BenchResult, benchResult } from './result.ts'

/** Long enough for the timers of the first seconds, and for what the start left to be collected. */
const SETTLE_MS = 5_000
const IDLE_GOAL_MB = 150
const KB_PER_MB = 1024

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function childrenOf(pid: number): readonly number[] {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).flatMap((task) =>
    readFileSync(`${tasks}/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  )
}

/** Resident memory of a process and all below it, in MB. */
function residentMb(pid: number): number {
  const own = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / KB_PER_MB
  return childrenOf(pid).reduce((sum, child) => sum + residentMb(child), own)
}

async function bareNode(): Promise<ChildProcess> {
  const program = "require('node:http').createServer((q, r) => r.end()).listen(0, '127.0.0.1', () => console.log('up'))"
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout) await once(child.stdout, 'data')
  return child
}

/** Idle, with a compile cache that is empty at the first start and full at the second. */
async function idleMb(cache: string): Promise<number> {
  const server = await ServerProcess.start({}, { XDG_CACHE_HOME: cache })
  try {
    await sleep(SETTLE_MS)
    return residentMb(server.pid)
  } finally {
    await server.stop()
  }
}

async function filledMb(): Promise<number> {
  const server = await ServerProcess.start()
  try {
    await fillServer(server.httpPort)
    await sleep(SETTLE_MS)
    return residentMb(server.pid)
  } finally {
    await server.stop()
  }
}

export async function run(): Promise<readonly BenchResult[]> {
  const cache = mkdtempSync(join(tmpdir(), 'hanse-bench-'))
  const bare = await bareNode()
  try {
    const firstMb = await idleMb(cache)
    const laterMb = await idleMb(cache)
    const bareMb = residentMb(bare.pid ?? 0)
    const what = 'resident memory of a server'
    const yardstick = 'bare: node:http, listening'
    return [
      benchResult(`${what}, idle; ${yardstick}`, 'MB', laterMb, bareMb, { valueAtMost: IDLE_GOAL_MB }),
      benchResult(`${what}, idle after the first start ever; ${yardstick}`, 'MB', firstMb, bareMb),
      benchResult(`${what}, 5,500 instances; ${yardstick}`, 'MB', await filledMb(), bareMb),
    ]
  } finally {
    bare.kill()
    rmSync(cache, { recursive: true, force: true })
  }
}
