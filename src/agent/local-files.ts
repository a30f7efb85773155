/**
 * Registrations on disk: one JSON file for each service, check and TTL state, so that they outlive a restart.
 *
 * Files are written beside their place and renamed into it, 0600. One that cannot be read is put aside, said in the log,
 * and does not keep the agent from starting.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, type Logger, messageOf } from '#base'
import { localAgentError } from './local-errors.ts'

export type RecordKind = 'services' | 'checks' | 'check-state'

export class LocalFiles {
  readonly #root: string
  readonly #log: Logger

  /** @throws LOCAL_FILE_UNWRITABLE */
  constructor(dataDir: string, log: Logger) {
    this.#root = dataDir
    this.#log = log
    for (const kind of ['services', 'checks', 'check-state'] as const) {
      const path = join(dataDir, kind)
      try {
        mkdirSync(path, { recursive: true, mode: 0o700 })
      } catch (error) {
        throw localAgentError('LOCAL_FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
      }
    }
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  save(kind: RecordKind, id: string, value: unknown): void {
    const path = this.#path(kind, id)
    try {
      writeFileSync(`${path}.new`, `${JSON.stringify(value)}\n`, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch (error) {
      throw localAgentError('LOCAL_FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
    }
  }

  remove(kind: RecordKind, id: string): void {
    rmSync(this.#path(kind, id), { force: true })
  }

  /** Every record of a kind as `parse` reads it; those that it refuses are put aside. */
  load<T>(kind: RecordKind, parse: (json: unknown) => T): readonly T[] {
    const directory = join(this.#root, kind)
    const records: T[] = []
    for (const name of readdirSync(directory).sort()) {
      if (!name.endsWith('.json')) continue
      const path = join(directory, name)
      try {
        records.push(parse(JSON.parse(readFileSync(path, 'utf8'))))
      } catch (error) {
        this.#putAside(path, error)
      }
    }
    return records
  }

  #putAside(path: string, error: unknown): void {
    const problem = localAgentError('LOCAL_FILE_CORRUPT', { path, reason: messageOf(error) }, error)
    this.#log.error(problem.message, { remedy: problem.hint })
    try {
      renameSync(path, `${path}.corrupt`)
    } catch (failure) {
      this.#log.warn('the file could not be put aside', { path, error: codeOf(failure) })
    }
  }

  #path(kind: RecordKind, id: string): string {
    return join(this.#root, kind, `${createHash('sha256').update(id).digest('hex').slice(0, 40)}.json`)
  }
}
