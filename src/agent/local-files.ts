/**
 * Registrations on disk: one JSON file for each service, check and TTL state, so that they outlive a restart.
 *
 * Files are written beside their place and renamed into it, 0600, so a killed process leaves the old or the new one.
 * One that cannot be read is put aside, said in the log, and does not keep the agent from starting.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, type Logger, messageOf } from '#base'
import { localAgentError } from './local-errors.ts'

const KINDS = ['services', 'checks', 'check-state'] as const
export type RecordKind = (typeof KINDS)[number]
const TEMPORARY = '.new'

export class LocalFiles {
  readonly #root: string
  readonly #log: Logger
  /** Paths of the files that are there: most removals concern none. */
  readonly #present = new Set<string>()

  /** @throws LOCAL_FILE_UNWRITABLE */
  constructor(dataDir: string, log: Logger) {
    this.#root = dataDir
    this.#log = log
    for (const kind of KINDS) {
      const path = join(dataDir, kind)
      attempt(path, () => {
        mkdirSync(path, { recursive: true, mode: 0o700 })
        for (const name of readdirSync(path)) {
          if (name.endsWith(TEMPORARY)) rmSync(join(path, name), { force: true })
          else if (name.endsWith('.json')) this.#present.add(join(path, name))
        }
      })
    }
  }

  has(kind: RecordKind, id: string): boolean {
    return this.#present.has(this.#path(kind, id))
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  save(kind: RecordKind, id: string, value: unknown): void {
    const path = this.#path(kind, id)
    attempt(path, () => {
      writeFileSync(`${path}${TEMPORARY}`, `${JSON.stringify(value)}\n`, { mode: 0o600 })
      renameSync(`${path}${TEMPORARY}`, path)
    })
    this.#present.add(path)
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  remove(kind: RecordKind, id: string): void {
    const path = this.#path(kind, id)
    if (!this.#present.has(path)) return
    attempt(path, () => rmSync(path, { force: true }))
    this.#present.delete(path)
  }

  /** Every record of a kind as `parse` reads it; those that it refuses are put aside. */
  load<T>(kind: RecordKind, parse: (json: unknown) => T): readonly T[] {
    const directory = join(this.#root, kind)
    const records: T[] = []
    for (const path of [...this.#present].filter((each) => each.startsWith(`${directory}/`)).sort()) {
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
      this.#present.delete(path)
    } catch (failure) {
      this.#log.warn('the file could not be put aside', { path, error: codeOf(failure) })
    }
  }

  #path(kind: RecordKind, id: string): string {
    return join(this.#root, kind, `${createHash('sha256').update(id).digest('hex').slice(0, 40)}.json`)
  }
}

/** @throws LOCAL_FILE_UNWRITABLE when it fails */
function attempt(path: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    throw localAgentError('LOCAL_FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}
