/** kill -9 in a write storm, or while everything is replaced: what was answered is there, and nothing by half. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { seededRandom, sleep, systemClock } from '#base'
import { generation, RECORDS } from './crash-replacer.ts'
import { openSqlite } from './sqlite-engine.ts'

const ROUNDS = 20
const MAX_STORM_MS = 200
const REPLACER = fileURLToPath(new URL('./crash-replacer.ts', import.meta.url))
const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url))

interface Answered {
  readonly lines: number
  readonly rounds: ReadonlyMap<string, number>
  readonly revision: number
}

function readAnswers(output: string): Answered {
  const rounds = new Map<string, number>()
  let revision = 0
  const lines = output.split('\n').slice(0, -1)
  for (const line of lines) {
    const [writer, round, answered] = line.split(' ').map(Number)
    rounds.set(`${writer}`, round ?? Number.NaN)
    revision = Math.max(revision, answered ?? Number.NaN)
  }
  return { lines: lines.length, rounds, revision }
}

/** Lets the program run for `stormMs` after its first answer, kills it, and returns all that it had answered. */
async function storm(program: string, directory: string, stormMs: number): Promise<string> {
  const args = ['--disable-warning=ExperimentalWarning', program, directory]
  const child = spawn(execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_, signal) => resolve(signal)))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), closed])
  await sleep(systemClock, stormMs)
  child.kill('SIGKILL')
  assert.equal(await closed, 'SIGKILL', 'the writer ended by itself')
  return output
}

async function verify(directory: string, answered: Answered): Promise<void> {
  const engine = await openSqlite({ directory })
  const stored = new Map<string, string>()
  const { revision } = await engine.load((batch) => {
    for (const { key, value } of batch) stored.set(key, Buffer.from(value).toString().trim())
  })
  await engine.close()
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

test('commit() names a disk that fails, and loses nothing that was answered before', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hanse-failing-'))
  const directory = join(root, 'data')
  try {
    // The system refuses the log's growth beyond 1 MiB, with an error that is not "no space".
    const command = `ulimit -f 2048; exec "$0" --disable-warning=ExperimentalWarning "$1" "$2"`
    const child = spawn('sh', ['-c', command, execPath, WRITER, directory], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [output, complaint, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.once('close', resolve)),
    ])
    assert.equal(code, 1)
    assert.match(complaint, /STORE_FAILED/)
    const answered = readAnswers(output)
    assert.ok(answered.lines > 0)
    await verify(directory, answered)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test(`commit() loses nothing that was answered in ${ROUNDS} kills -9 of a write storm`, async () => {
  const root = mkdtempSync(join(tmpdir(), 'hanse-crash-'))
  const directory = join(root, 'data')
  const random = seededRandom(20)
  let last = 0
  let lines = 0
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const answered = readAnswers(await storm(WRITER, directory, random.int(MAX_STORM_MS)))
      assert.ok(answered.revision > last, `revisions began again after ${last}`)
      await verify(directory, answered)
      last = answered.revision
      lines += answered.lines
    }
    assert.ok(lines > ROUNDS * 16)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test(`replaceAll() leaves the old or the new whole, and what was answered, in ${ROUNDS} kills -9`, async () => {
  const root = mkdtempSync(join(tmpdir(), 'hanse-replaced-'))
  const directory = join(root, 'data')
  const random = seededRandom(21)
  let cut = 0
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const output = await storm(REPLACER, directory, random.int(MAX_STORM_MS))
      const [answered = 0, revision = 0] = (output.split('\n').at(-2) ?? '').split(' ').map(Number)
      const engine = await openSqlite({ directory })
      const stored: string[] = []
      const loaded = await engine.load((batch) => {
        for (const { key, value } of batch) stored.push(`${key} ${Buffer.from(value).toString().trim()}`)
      })
      await engine.close()
      const kept = stored.length - RECORDS
      assert.ok(kept === answered || kept === answered + 1, `generation ${kept} is there and ${answered} was answered`)
      const whole = [...generation(kept)].flat().map(({ key }) => `${key} ${kept}`)
      assert.deepEqual(stored, whole, 'two generations are mixed')
      assert.ok(loaded.revision >= revision)
      if (kept === answered) cut++
    }
    assert.ok(cut > 0, 'no kill came before the end of a replacement')
  } finally {
    rmSync(root, { recursive: true })
  }
})
