/**
 * A store's file before SQLite touches it: what its header says, and how a new one comes into being.
 *
 * A file that is not ours, damaged or of a newer version is refused from its first 100 bytes, so that nothing on disk
 * changes. A new store is made whole under another name and then linked into place, so a crash leaves all or nothing.
 *
 * Source: the SQLite file format, §1.3 "The Database Header".
 */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { pid } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { codeOf } from '#base'
import { storeError } from './errors.ts'

/** "Hans": marks a SQLite file as a store of Hanse. */
const APPLICATION_ID = 0x48616e73
/** The layout of the tables. A file of a higher one is refused. */
export const FORMAT_VERSION = 1

const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'

/** Keys are blobs: their order is by bytes, and text may hold NUL, which SQLite's text functions stop at. */
const SCHEMA = `
  CREATE TABLE records (
    key BLOB PRIMARY KEY NOT NULL,
    value BLOB NOT NULL,
    create_revision INTEGER NOT NULL,
    mod_revision INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO facts VALUES ('revision', 0);
`

/**
 * Reads what a file's header says about it.
 *
 * @throws STORE_FOREIGN, STORE_VERSION, STORE_CORRUPT
 */
export function checkHeader(path: string, header: Uint8Array): void {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength)
  if (bytes.length === 0) throw storeError('STORE_CORRUPT', { path, reason: 'the file is empty' })
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw storeError('STORE_CORRUPT', { path, reason: 'the file is not a database' })
  }
  checkIdentity(path, bytes.readUInt32BE(68), bytes.readUInt32BE(60))
}

/** @throws STORE_FOREIGN, STORE_VERSION */
export function checkIdentity(path: string, applicationId: unknown, version: unknown): void {
  if (applicationId !== APPLICATION_ID) {
    throw storeError('STORE_FOREIGN', { path, reason: 'it is the database of another program' })
  }
  if (version !== FORMAT_VERSION) {
    const reason = `it has format ${version} and this version of Hanse knows format ${FORMAT_VERSION}`
    throw storeError('STORE_VERSION', { path, reason })
  }
}

function readHeader(path: string): Uint8Array | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    return header.subarray(0, readSync(file, header, 0, HEADER_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

/** Creates the tables in an open, empty database. */
export function createTables(database: DatabaseSync): void {
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT_VERSION}; ${SCHEMA}`)
}

function syncDirectory(path: string): void {
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

function createFile(path: string): void {
  const draft = `${path}.new-${pid}`
  const clean = () => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(draft + suffix, { force: true })
  }
  clean()
  try {
    closeSync(openSync(draft, 'wx', 0o600))
    const database = new DatabaseSync(draft)
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      createTables(database)
    } finally {
      database.close()
    }
    linkSync(draft, path)
  } catch (error) {
    // Another process was first: opening will find its lock.
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    clean()
  }
  syncDirectory(path)
}

/**
 * Makes sure that there is a store's file at `path`.
 *
 * @throws STORE_FOREIGN, STORE_VERSION, STORE_CORRUPT; what the file system throws
 */
export function prepareFile(path: string): void {
  const header = readHeader(path)
  if (header) {
    checkHeader(path, header)
    return
  }
  if (existsSync(`${path}-wal`)) {
    throw storeError('STORE_CORRUPT', { path, reason: 'the file is missing, and the log beside it is there' })
  }
  createFile(path)
}
