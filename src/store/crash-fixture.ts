/**
 * What the tests of kills share, over both engines: victims that are killed, what they had answered, and whether the
 * store has it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import { sleep, systemClock } from '#base'
import { generation, RECORDS } from './crash-replacer.ts'
import type { Engine } from './engine.ts'

export const REPLACER = fileURLToPath(new URL('./crash-replacer.ts', import.meta.url))
export const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url))

export interface Answered {
  readonly lines: number
  /** Writer → its last round that was answered. */
  readonly rounds: ReadonlyMap<string, number>
  readonly revision: number
}

export function readAnswers(output: string): Answered {
  const rounds = new Map<string, number>()
  let revision = 0
  const lines = output.split('\n').slice(0, -1)
  for (const line of lines) {
    const [writer = '', round, answered] = line.split(' ')
    rounds.set(writer, Number(round))
    revision = Math.max(revision, Number(answered))
  }
  return { lines: lines.length, rounds, revision }
}

/**
 * Lets a victim run for `stormMs` after its first answer, kills it, and returns all that it had answered.
 *
 * @param beside - harm that is done right before
 */
export async function storm(
  program: string,
  args: readonly string[],
  stormMs: number,
  beside?: () => Promise<unknown>,
): Promise<string> {
  const child = spawn(execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_, signal) => resolve(signal)))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), closed])
  await sleep(systemClock, stormMs)
  await beside?.()
  child.kill('SIGKILL')
  assert.equal(await closed, 'SIGKILL', 'the victim ended by itself')
  return output
}

/** Everything that writers were answered is there, each transaction whole, and revisions have not gone back. */
export async function verifyWrites(engine: Engine, answered: Answered): Promise<void> {
  const stored = new Map<string, string>()
  const { revision } = await engine.load((batch) => {
    for (const { key, value } of batch) stored.set(key, Buffer.from(value).toString().trim())
  })
  assert.ok(revision >= answered.revision, `revision went back from ${answered.revision} to ${revision}`)
  for (const [writer, round] of answered.rounds) {
    const kept = Number(stored.get(`w/${writer}`))
    assert.ok(kept >= round, `writer ${writer} was answered round ${round} and the store has ${kept}`)
    const own = [...stored.keys()].filter((key) => key.startsWith(`log/${writer}/`)).sort()
    const whole = [kept - 1, kept].filter((log) => log > 0).map((log) => `log/${writer}/${log}`)
    assert.deepEqual(own, whole.sort(), 'half a transaction is there')
    assert.equal(stored.get(`log/${writer}/${kept}`), String(kept))
  }
}

/**
 * One generation of the replacer is there, whole, and it is the last that was answered or the one after.
 *
 * @returns whether it is the last that was answered
 */
export async function verifyReplacement(engine: Engine, output: string): Promise<boolean> {
  const [answered = 0, revision = 0] = (output.split('\n').at(-2) ?? '').split(' ').map(Number)
  const stored: string[] = []
  const loaded = await engine.load((batch) => {
    for (const { key, value } of batch) stored.push(`${key} ${Buffer.from(value).toString().trim()}`)
  })
  const kept = stored.length - RECORDS
  assert.ok(kept === answered || kept === answered + 1, `generation ${kept} is there and ${answered} was answered`)
  const whole = [...generation(kept)].flat().map(({ key }) => `${key} ${kept}`)
  assert.deepEqual(stored, whole, 'two generations are mixed')
  assert.ok(loaded.revision >= revision)
  return kept === answered
}
