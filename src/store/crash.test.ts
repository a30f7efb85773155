/** kill -9 in a write storm, or while everything is replaced: what was answered is there, and nothing by half. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { rounds } from '../../test/support/long.ts'
import {
  type Answered,
  REPLACER,
  readAnswers,
  storm,
  verifyReplacement,
  verifyWrites,
  WRITER,
} from './crash-fixture.ts'
import { openSqlite } from './sqlite-engine.ts'

const ROUNDS = rounds(20, 100)
const MAX_STORM_MS = 200

async function verify(directory: string, answered: Answered): Promise<void> {
  const engine = await openSqlite({ directory })
  try {
    await verifyWrites(engine, answered)
  } finally {
    await engine.close()
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
      const answered = readAnswers(await storm(WRITER, [directory], random.int(MAX_STORM_MS)))
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
      const output = await storm(REPLACER, [directory], random.int(MAX_STORM_MS))
      const engine = await openSqlite({ directory })
      try {
        if (await verifyReplacement(engine, output)) cut++
      } finally {
        await engine.close()
      }
    }
    assert.ok(cut > 0, 'no kill came before the end of a replacement')
  } finally {
    rmSync(root, { recursive: true })
  }
})
