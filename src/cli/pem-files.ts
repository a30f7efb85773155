/**
 * Files of certificates and keys: never overwritten, keys for their owner only.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { codeOf, messageOf } from '#base'
import type { PemPair } from '#codec'
import { cliError } from './errors.ts'

export interface PemPaths {
  readonly cert: string
  readonly key: string
}

const KEY_MODE = 0o600
const CERTIFICATE_MODE = 0o644

/** @throws FILE_EXISTS, FILE_UNWRITABLE */
function writeNew(path: string, text: string, mode: number): void {
  try {
    writeFileSync(path, text, { mode, flag: 'wx' })
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw cliError('FILE_EXISTS', { path }, error)
    throw cliError('FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}

/** Refuses before a key is made for nothing. @throws FILE_EXISTS */
export function refuseExisting({ cert, key }: PemPaths): void {
  for (const path of [cert, key]) if (existsSync(path)) throw cliError('FILE_EXISTS', { path })
}

/** Writes both or none. @throws FILE_EXISTS, FILE_UNWRITABLE */
export function writePair(paths: PemPaths, pair: PemPair): void {
  writeNew(paths.cert, pair.certPem, CERTIFICATE_MODE)
  try {
    writeNew(paths.key, pair.keyPem, KEY_MODE)
  } catch (error) {
    rmSync(paths.cert, { force: true })
    throw error
  }
}
