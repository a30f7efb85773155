/**
 * The directory that holds the store: made 0700, used by one engine at a time, with its owner's process id beside it.
 *
 * The lock itself is SQLite's (sqlite-database.ts): the system drops it when the process dies, however it dies. The
 * file with the process id only lets the next one say who is in the way. Inside one process the lock needs the registry
 * below: POSIX drops all of a process's locks on a file as soon as it closes any descriptor of it, and looking at the
 * file's header does that.
 */
import { accessSync, constants, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pid } from 'node:process'
import { messageOf } from '#base'
import { storeError } from './errors.ts'

const DATABASE_FILE = 'store.db'
const OWNER_FILE = 'store.pid'

/** Directories that this process has open. */
const claimed = new Set<string>()

export interface DataDirectory {
  /** The database's file; it need not exist. */
  readonly path: string
  /** Writes who has it open, once the lock is held. */
  nameOwner(): void
  /** Who has it open, for an error: "process 4711". */
  owner(): string
  /** Lets another engine of this process have it. `held`: this one had the lock, so the owner's name is its own. */
  release(held: boolean): void
}

function makeDirectory(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (!statSync(directory).isDirectory()) throw new Error('it is not a directory')
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    return realpathSync(directory)
  } catch (error) {
    throw storeError('STORE_UNWRITABLE', { path: directory, reason: messageOf(error) }, error)
  }
}

function readOwner(file: string): string {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return /^\d{1,10}$/.test(text) ? `process ${text}` : 'another process'
  } catch {
    return 'another process'
  }
}

function writeOwner(file: string): void {
  try {
    writeFileSync(file, `${pid}\n`, { mode: 0o600 })
  } catch {
    // A courtesy to who comes next: a full disk that can still be read must open without it.
  }
}

/**
 * Makes the directory where it is missing and takes it for this process.
 *
 * @throws STORE_UNWRITABLE; STORE_LOCKED when this very process has it open
 */
export function claimDirectory(directory: string): DataDirectory {
  const place = makeDirectory(directory)
  const path = join(place, DATABASE_FILE)
  const ownerFile = join(place, OWNER_FILE)
  if (claimed.has(place)) throw storeError('STORE_LOCKED', { path, reason: `process ${pid}, which is this one` })
  claimed.add(place)
  return {
    path,
    nameOwner: () => writeOwner(ownerFile),
    owner: () => readOwner(ownerFile),
    release: (held) => {
      if (held) rmSync(ownerFile, { force: true })
      claimed.delete(place)
    },
  }
}
