/**
 * Gives what SQLite and the file system throw the names of the store's errors.
 *
 * Source: SQLite's "Result and Error Codes"; the primary code is the low byte.
 */
import { codeOf, type HanseError, messageOf } from '#base'
import { isOfPlace, storeError } from './errors.ts'

/** SQLite's primary result code, for a thrown error that has one. */
function resultCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}

/** Gives an error of SQLite or the file system its name. */
export function nameFailure(path: string, error: unknown): HanseError {
  if (isOfPlace(error)) return error
  const reason = messageOf(error)
  switch (resultCode(error) ?? codeOf(error)) {
    case 5: // SQLITE_BUSY
      return storeError('STORE_LOCKED', { path, reason: 'another process' }, error)
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return storeError('STORE_CORRUPT', { path, reason }, error)
    case 13: // SQLITE_FULL
    case 'ENOSPC':
    case 'EDQUOT':
      return storeError('STORE_FULL', { path, reason }, error)
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return storeError('STORE_UNWRITABLE', { path, reason }, error)
    default:
      return storeError('STORE_FAILED', { path, reason }, error)
  }
}
