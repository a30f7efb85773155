/**
 * The victim of crash.test.ts that replaces everything, over and over, and says each generation that was answered on its
 * standard output.
 *
 * Generation g is `RECORDS + g` records of g, several batches of them, so that a mixture of two shows.
 */
import { writeSync } from 'node:fs'
import { argv } from 'node:process'
import { openVictim } from './crash-store.ts'
import type { Content } from './engine.ts'

export const RECORDS = 400
const BATCH_RECORDS = 50
const PADDING = ' '.repeat(2_000)

export function* generation(number: number): Generator<Content[]> {
  const count = RECORDS + number
  for (let at = 0; at < count; at += BATCH_RECORDS) {
    yield Array.from({ length: Math.min(BATCH_RECORDS, count - at) }, (_, index) => ({
      key: `k/${String(at + index).padStart(6, '0')}`,
      value: Buffer.from(`${number}${PADDING}`),
    }))
  }
}

async function* batches(number: number): AsyncGenerator<Content[]> {
  yield* generation(number)
}

if (import.meta.main) {
  const engine = await openVictim(argv.slice(2))
  let last = 0
  await engine.load((records) => {
    last = Number.parseInt(Buffer.from(records[0]?.value ?? []).toString(), 10)
  })
  for (;;) {
    last++
    const { revision } = await engine.replaceAll(batches(last))
    writeSync(1, `${last} ${revision}\n`)
  }
}
