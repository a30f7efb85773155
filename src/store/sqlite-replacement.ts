/**
 * Puts other records in the place of everything, batch after batch inside one transaction of SQLite.
 *
 * The thread serves nothing else meanwhile. What fails on the way is taken back, and the error goes on to who asked.
 */
import type { Content } from './engine.ts'
import type { SqliteChannel } from './sqlite-channel.ts'
import { packTransactions } from './sqlite-wire.ts'
import { checkReplacement, startOfAscent } from './transaction.ts'

/** @returns the revision that all records have; see Engine.replaceAll() for what it throws */
export async function replaceAll(
  ask: SqliteChannel['ask'],
  records: AsyncIterable<readonly Content[]>,
): Promise<number> {
  try {
    await ask('replacing', { kind: 'begin-replacing' })
    const ascent = startOfAscent()
    for await (const writes of records) {
      const packed = packTransactions([{ writes }], checkReplacement(writes, ascent))
      await ask('replacing', { kind: 'replace', records: packed }, [packed.bytes.buffer])
    }
    return (await ask('replaced', { kind: 'end-replacing' })).revision
  } catch (error) {
    await ask('replacing', { kind: 'stop-replacing' })
    throw error
  }
}
