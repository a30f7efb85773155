/**
 * The embedded store's tables: transactions with expectations, folded many to one sync of the disk. Synchronous; runs
 * in the engine's thread (sqlite-thread.ts).
 *
 * Write-ahead log, synchronous=FULL: a commit returns when the log is on disk. locking_mode=EXCLUSIVE is the lock
 * against other processes: the system frees it when this one dies. Every record has a checksum, because SQLite has
 * none and a damaged page can look like another value.
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { storeError } from './errors.ts'
import { nameFailure } from './sqlite-failure.ts'
import { checkIdentity, createTables, prepareFile } from './sqlite-file.ts'
import { ANY, DELETED, NOT_WRITTEN, type Outcome, type PackedRecords, type PackedTransactions } from './sqlite-wire.ts'

/** Most records and bytes of one page that load() asks for; one value may go over. */
const PAGE_RECORDS = 1000
const PAGE_BYTES = 1_048_576
/** The log is cut back to this size after a checkpoint. */
const LOG_BYTES = 16_777_216

const NO_BYTES = new Uint8Array(0)

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly length: number
  readonly expect: number
}

function checksumOf(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key))
}

function numberOf(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number') throw new TypeError(`expected a number, found ${typeof value}`)
  return value
}

function bytesOf(value: SQLOutputValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`expected bytes, found ${typeof value}`)
  return value
}

export class SqliteDatabase {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #find: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #page: StatementSync
  readonly #setRevision: StatementSync
  #revision: number
  /** While everything is being replaced: the revision to go back to. */
  #beforeReplacing: number | undefined

  /**
   * Opens the store, makes it where it is missing, locks and checks it.
   *
   * @param path - null: in memory
   * @param maxBytes - size of the database that it refuses to grow beyond
   * @throws STORE_LOCKED, STORE_CORRUPT, STORE_FOREIGN, STORE_VERSION, STORE_UNWRITABLE, STORE_FULL, STORE_FAILED
   */
  static open(path: string | null, maxBytes: number): SqliteDatabase {
    const place = path ?? ':memory:'
    let database: DatabaseSync | undefined
    try {
      if (path !== null) prepareFile(path)
      database = new DatabaseSync(place, { enableForeignKeyConstraints: false })
      return new SqliteDatabase(place, database, maxBytes)
    } catch (error) {
      if (database?.isOpen) database.close()
      throw nameFailure(place, error)
    }
  }

  private constructor(path: string, database: DatabaseSync, maxBytes: number) {
    this.#path = path
    this.#database = database
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    if (path === ':memory:') createTables(database)
    else this.#checkFile()
    const pageBytes = numberOf(database.prepare('PRAGMA page_size').get()?.['page_size'])
    database.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${LOG_BYTES};
      PRAGMA max_page_count = ${Math.ceil(maxBytes / pageBytes)}`)
    this.#find = database.prepare('SELECT mod_revision FROM records WHERE key = ?')
    this.#put = database.prepare(`INSERT INTO records VALUES (?1, ?2, ?3, ?3, ?4)
      ON CONFLICT DO UPDATE SET value = ?2, mod_revision = ?3, checksum = ?4 RETURNING create_revision`)
    this.#delete = database.prepare('DELETE FROM records WHERE key = ?')
    this.#page = database.prepare('SELECT * FROM records WHERE key > ? ORDER BY key')
    this.#setRevision = database.prepare("UPDATE facts SET value = ? WHERE name = 'revision'")
    for (const statement of [this.#find, this.#put, this.#page]) statement.setReturnArrays(true)
    this.#revision = numberOf(database.prepare("SELECT value FROM facts WHERE name = 'revision'").get()?.['value'])
  }

  get revision(): number {
    return this.#revision
  }

  /** Takes the lock and looks again at what the log may have changed, then at every page. */
  #checkFile(): void {
    const database = this.#database
    database.exec('BEGIN IMMEDIATE; COMMIT')
    checkIdentity(
      this.#path,
      database.prepare('PRAGMA application_id').get()?.['application_id'],
      database.prepare('PRAGMA user_version').get()?.['user_version'],
    )
    const verdict = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
    if (verdict !== 'ok') throw storeError('STORE_CORRUPT', { path: this.#path, reason: String(verdict) })
  }

  /**
   * Runs the transactions in order, each by itself, and syncs the disk once. Nothing is written when it throws.
   *
   * @throws STORE_FULL, STORE_CORRUPT, STORE_FAILED
   */
  commit(packed: PackedTransactions): Outcome[] {
    const before = this.#revision
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      const outcomes = entriesOf(packed).map((entries) => this.#run(entries))
      if (this.#revision !== before) this.#setRevision.run(this.#revision)
      this.#database.exec('COMMIT')
      return outcomes
    } catch (error) {
      this.#revision = before
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw nameFailure(this.#path, error)
    }
  }

  #run(entries: readonly Entry[]): Outcome {
    const conflicts: number[] = []
    for (const [position, { key, expect }] of entries.entries()) {
      if (expect !== ANY && this.#modRevision(key) !== expect) conflicts.push(position)
    }
    if (conflicts.length > 0) return { conflicts }
    const revision = this.#revision + 1
    const created = entries.map((entry) => this.#write(entry, revision))
    if (created.some((result) => result !== 0)) this.#revision = revision
    return { revision: this.#revision, created }
  }

  #modRevision(key: Uint8Array): number {
    const [revision] = rowOf(this.#find.get(key)) ?? []
    return revision === undefined ? 0 : numberOf(revision)
  }

  /** @returns the create revision, DELETED, or 0 where nothing changed */
  #write({ key, value, length }: Entry, revision: number): number {
    if (length === NOT_WRITTEN) return 0
    if (length === DELETED) return this.#delete.run(key).changes === 0 ? 0 : DELETED
    return numberOf(rowOf(this.#put.get(key, value, revision, checksumOf(key, value)))?.[0])
  }

  /**
   * Begins to replace everything: nothing is left, and what replace() puts is there for others once endReplacing()
   * has returned. A crash before leaves what was there.
   *
   * @throws STORE_FULL, STORE_CORRUPT, STORE_FAILED, as those that go on with it; then stopReplacing() takes it back
   */
  beginReplacing(): void {
    this.#replacing(() => {
      this.#database.exec('BEGIN IMMEDIATE; DELETE FROM records')
      this.#beforeReplacing = this.#revision++
    })
  }

  replace(packed: PackedTransactions): void {
    this.#replacing(() => {
      for (const entries of entriesOf(packed)) {
        for (const entry of entries) this.#write(entry, this.#revision)
      }
    })
  }

  /** Syncs the disk. @returns the revision of all that is there now */
  endReplacing(): number {
    return this.#replacing(() => {
      this.#setRevision.run(this.#revision)
      this.#database.exec('COMMIT')
      this.#beforeReplacing = undefined
      return this.#revision
    })
  }

  stopReplacing(): void {
    if (this.#database.isTransaction) this.#replacing(() => this.#database.exec('ROLLBACK'))
    this.#revision = this.#beforeReplacing ?? this.#revision
    this.#beforeReplacing = undefined
  }

  #replacing<T>(step: () => T): T {
    try {
      return step()
    } catch (error) {
      throw nameFailure(this.#path, error)
    }
  }

  /**
   * The next records after a key, in the order of their keys; none: that was all.
   *
   * @throws STORE_CORRUPT, STORE_FAILED
   */
  page(after: Uint8Array | null): PackedRecords {
    try {
      return this.#readPage(after ?? NO_BYTES)
    } catch (error) {
      throw nameFailure(this.#path, error)
    }
  }

  #readPage(after: Uint8Array): PackedRecords {
    const parts: Uint8Array[] = []
    const keyBytes: number[] = []
    const valueBytes: number[] = []
    const createRevisions: number[] = []
    const modRevisions: number[] = []
    let total = 0
    for (const row of this.#page.iterate(after)) {
      const [keyColumn, valueColumn, createRevision, modRevision, checksum] = rowOf(row) ?? []
      const key = bytesOf(keyColumn)
      const value = bytesOf(valueColumn)
      if (checksumOf(key, value) !== checksum) {
        throw storeError('STORE_CORRUPT', { path: this.#path, reason: 'a record does not match its checksum' })
      }
      parts.push(key, value)
      keyBytes.push(key.byteLength)
      valueBytes.push(value.byteLength)
      createRevisions.push(numberOf(createRevision))
      modRevisions.push(numberOf(modRevision))
      total += key.byteLength + value.byteLength
      if (keyBytes.length >= PAGE_RECORDS || total >= PAGE_BYTES) break
    }
    return { keyBytes, valueBytes, createRevisions, modRevisions, bytes: joined(parts, total) }
  }

  close(): void {
    try {
      this.#database.close()
    } catch (error) {
      throw nameFailure(this.#path, error)
    }
  }
}

/** The entries of each transaction. */
function entriesOf({ counts, keyBytes, valueBytes, expects, bytes }: PackedTransactions): Entry[][] {
  let index = 0
  let at = 0
  return counts.map((count) => {
    const entries: Entry[] = []
    for (const end = index + count; index < end; index++) {
      const key = bytes.subarray(at, at + (keyBytes[index] ?? 0))
      at += key.byteLength
      const length = valueBytes[index] ?? NOT_WRITTEN
      const value = length > 0 ? bytes.subarray(at, at + length) : NO_BYTES
      at += value.byteLength
      entries.push({ key, value, length, expect: expects[index] ?? ANY })
    }
    return entries
  })
}

/** A row as the array that setReturnArrays() makes of it; the types of node:sqlite only know objects. */
function rowOf(row: unknown): readonly SQLOutputValue[] | undefined {
  return Array.isArray(row) ? row : undefined
}

/** One buffer with memory of its own, so that it can be handed to another thread. */
function joined(parts: readonly Uint8Array[], totalBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(totalBytes)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}
