/**
 * The engine's thread: answers one request after another with the database. Entry point of its own; the disk is slow,
 * and here it holds up nobody.
 */
import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { PLACE_CODES } from './errors.ts'
import { SqliteDatabase } from './sqlite-database.ts'
import { nameFailure } from './sqlite-failure.ts'
import type { Failure, Reply, Request, ThreadOptions } from './sqlite-wire.ts'

const port = parentPort
if (!port) throw new Error('sqlite-thread is started by the SQLite engine, as a thread')
const options: ThreadOptions = workerData
const place = options.path ?? ':memory:'

function failureOf(error: unknown): Failure {
  const { code, facts } = nameFailure(place, error)
  return {
    code: PLACE_CODES.find((known) => known === code) ?? 'STORE_FAILED',
    path: String(facts['path']),
    reason: String(facts['reason']),
  }
}

function answer(reply: () => Reply, transferOf?: (reply: Reply) => ArrayBuffer[]): void {
  try {
    const message = reply()
    port?.postMessage(message, transferOf?.(message) ?? [])
  } catch (error) {
    port?.postMessage({ kind: 'failed', failure: failureOf(error) } satisfies Reply)
  }
}

function serve(database: SqliteDatabase, request: Request): void {
  switch (request.kind) {
    case 'commit':
      answer(() => ({ kind: 'committed', outcomes: database.commit(request.transactions) }))
      break
    case 'page':
      answer(
        () => ({ kind: 'records', records: database.page(request.after) }),
        (reply) => (reply.kind === 'records' ? [reply.records.bytes.buffer] : []),
      )
      break
    case 'begin-replacing':
      answer(() => {
        database.beginReplacing()
        return { kind: 'replacing' }
      })
      break
    case 'replace':
      answer(() => {
        database.replace(request.records)
        return { kind: 'replacing' }
      })
      break
    case 'end-replacing':
      answer(() => ({ kind: 'replaced', revision: database.endReplacing() }))
      break
    case 'stop-replacing':
      answer(() => {
        database.stopReplacing()
        return { kind: 'replacing' }
      })
      break
    case 'close':
      answer(() => {
        database.close()
        return { kind: 'closed' }
      })
      port?.close()
      break
  }
}

answer(() => {
  const database = SqliteDatabase.open(options.path, options.maxBytes)
  port.on('message', (request: Request) => serve(database, request))
  return { kind: 'opened', revision: database.revision }
})
// So that the next server, which may start while we run, need not compile this thread's code.
flushCompileCache()
