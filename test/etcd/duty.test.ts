/** A duty whose holder is killed: another server has it within five seconds, and never two at a time. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { rounds } from '../support/long.ts'
import { leaderOf } from './admin.ts'
import { machineMs } from './holder.ts'

const HOLDER = fileURLToPath(new URL('./holder.ts', import.meta.url))
const KILLS = rounds(3, 50)
const MAX_GAP_MS = 5_000

/** One process that wants the duty. */
class Candidate {
  readonly name: string
  readonly #child: ChildProcess
  /** When it said that it has the duty. */
  readonly held: number[] = []
  waits = 0

  constructor(name: string, endpoints: readonly string[]) {
    this.name = name
    const args = ['--disable-warning=ExperimentalWarning', HOLDER, 'duty/', name, ...endpoints]
    this.#child = spawn(execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let rest = ''
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [what, time] = line.split(' ')
        if (what === 'held') this.held.push(Number(time))
        else this.waits++
      }
    })
  }

  get last(): number {
    return this.held.at(-1) ?? 0
  }

  kill(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#child.once('close', () => resolve()))
    this.#child.kill('SIGKILL')
    return gone
  }
}

test(`a duty goes on within ${MAX_GAP_MS} ms in each of ${KILLS} kills -9 of its holder, and is nobody else's before`, async (t) => {
  const cluster = await EtcdCluster.start(3)
  const all: Candidate[] = []
  let names = 0
  const add = () => {
    const candidate = new Candidate(`s${++names}`, cluster.endpoints)
    all.push(candidate)
    return candidate
  }
  let alive: Candidate[] = []
  try {
    await leaderOf(cluster)
    alive = [add(), add(), add()]
    await eventually('all want the duty', () => assert.ok(alive.every(({ waits }) => waits > 0)))
    const gaps: number[] = []
    for (let round = 0; round < KILLS; round++) {
      await eventually('somebody has it', () => assert.ok(alive.some(({ last }) => machineMs() - last < 200)))
      const [holder] = alive.sort((a, b) => b.last - a.last)
      assert.ok(holder)
      await holder.kill()
      const killedMs = machineMs()
      alive = alive.filter((candidate) => candidate !== holder)
      await eventually('another has it', () => assert.ok(alive.some(({ last }) => last > holder.last)))
      const next = Math.min(...alive.flatMap(({ held }) => held.filter((time) => time > holder.last)))
      gaps.push(next - killedMs)
      alive.push(add())
    }
    t.diagnostic(`nobody had it for ${gaps.join(', ')} ms`)
    for (const gap of gaps) assert.ok(gap <= MAX_GAP_MS, `nobody had the duty for ${gap} ms`)
    const said = all.flatMap(({ name, held }) => held.map((time) => ({ name, time }))).sort((a, b) => a.time - b.time)
    const changes = said.filter(({ name }, at) => name !== said[at - 1]?.name)
    assert.equal(changes.length, KILLS + 1, `it went to and fro: ${JSON.stringify(changes)}`)
  } finally {
    await Promise.all(alive.map((candidate) => candidate.kill()))
    await cluster.stop()
  }
})
