/**
 * Durable commits of the embedded store: how many per second and how much CPU each, with 1, 16 and 64 writers.
 *
 * Yardstick: bare SQLite in the same process and on the same disk, one synced transaction after the other, one row each.
 * Syncs bound both; folding is what makes many writers cheaper than many single commits.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Engine, openSqlite } from '#store'
import { type BenchResult, benchResult } from './result.ts'

const RUN_MS = 1_000
const VALUE_BYTES = 300
const WRITERS = [1, 16, 64]

interface Figures {
  readonly perSecond: number
  /** CPU of the whole process, all threads, in microseconds. */
  readonly cpuUsEach: number
}

async function measure(run: (until: number) => Promise<number>): Promise<Figures> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const count = await run(start + RUN_MS)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: count / seconds, cpuUsEach: (user + system) / count }
}

function bareSqlite(path: string): Promise<Figures> {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE')
  database.exec('CREATE TABLE rows (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT')
  const put = database.prepare('INSERT INTO rows VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
  return measure(async (until) => {
    let count = 0
    for (; performance.now() < until; count++)
      put.run(Buffer.from(`key/${count % 1000}`), Buffer.alloc(VALUE_BYTES, count))
    database.close()
    return count
  })
}

function commits(engine: Engine, writers: number): Promise<Figures> {
  return measure(async (until) => {
    let count = 0
    const write = async () => {
      while (performance.now() < until) {
        const key = `key/${count++ % 1000}`
        await engine.commit({ writes: [{ key, value: Buffer.alloc(VALUE_BYTES, count) }] })
      }
    }
    await Promise.all(Array.from({ length: writers }, write))
    return count
  })
}

export async function run(): Promise<BenchResult[]> {
  const root = mkdtempSync(join(tmpdir(), 'hanse-bench-'))
  const engine = await openSqlite({ directory: join(root, 'data') })
  try {
    const bare = await bareSqlite(join(root, 'bare.db'))
    const results: BenchResult[] = []
    for (const writers of WRITERS) {
      const { perSecond, cpuUsEach } = await commits(engine, writers)
      const who = `${writers} ${writers === 1 ? 'writer' : 'writers'}`
      results.push(
        benchResult(`durable commits, ${who}; bare: SQLite, one by one`, 'commits/s', perSecond, bare.perSecond),
        benchResult(`CPU of a durable commit, ${who}; bare: SQLite, one by one`, 'µs', cpuUsEach, bare.cpuUsEach),
      )
    }
    return results
  } finally {
    await engine.close()
    rmSync(root, { recursive: true })
  }
}
