/**
 * The victim of crash.test.ts: a process that writes from 16 sides as fast as it can and says each answered write on
 * its standard output. Writes `kill -9` may cut off at any byte, so every line ends in a newline and counts only whole.
 *
 * Line: writer, round, revision. Writer w keeps `w/<writer>` = round by compare-and-set, adds `log/<writer>/<round>` and
 * deletes the one before the last, all in one transaction.
 */
import { writeSync } from 'node:fs'
import { argv } from 'node:process'
import { openVictim } from './crash-store.ts'

const WRITERS = 16

const engine = await openVictim(argv.slice(2))
/** Tells servers of one store apart. */
const server = argv[3] ?? ''
const rounds = new Map<string, { round: number; modRevision: number }>()
await engine.load((batch) => {
  for (const { key, value, modRevision } of batch) {
    rounds.set(key, { round: Number(Buffer.from(value).toString()), modRevision })
  }
})

async function write(writer: string): Promise<void> {
  const key = `w/${writer}`
  let { round, modRevision } = rounds.get(key) ?? { round: 0, modRevision: 0 }
  for (;;) {
    round++
    const value = Buffer.from(String(round))
    const result = await engine.commit({
      writes: [
        { key, value, expect: modRevision },
        { key: `log/${writer}/${round}`, value: Buffer.concat([value, Buffer.alloc(round % 3000, ' ')]), expect: 0 },
        { key: `log/${writer}/${round - 2}`, value: null },
      ],
    })
    if (!result.ok) throw new Error(`writer ${writer} met a conflict on ${result.conflicts.join(', ')}`)
    modRevision = result.revision
    writeSync(1, `${writer} ${round} ${result.revision}\n`)
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(`${server}${writer}`)))
