/**
 * What a server weighs: resident memory of `hanse agent` and all its children, idle and with the catalog of 5,500
 * instances.
 *
 * Yardstick: a Node process that only listens with node:http.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
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

export async function run(): Promise<readonly BenchResult[]> {
  const bare = await bareNode()
  const server = await ServerProcess.start()
  try {
    await sleep(SETTLE_MS)
    const bareMb = residentMb(bare.pid ?? 0)
    const idleMb = residentMb(server.pid)
    await fillServer(server.httpPort)
    await sleep(SETTLE_MS)
    const what = 'resident memory of a server'
    const yardstick = 'bare: node:http, listening'
    return [
      benchResult(`${what}, idle; ${yardstick}`, 'MB', idleMb, bareMb, { valueAtMost: IDLE_GOAL_MB }),
      benchResult(`${what}, 5,500 instances; ${yardstick}`, 'MB', residentMb(server.pid), bareMb),
    ]
  } finally {
    await server.stop()
    bare.kill()
  }
}
