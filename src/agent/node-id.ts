/**
 * The node's ID: made once, kept in the data directory, the same over restarts.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf, messageOf, type Random, uuid } from '#base'
import { agentError } from './agent-errors.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Makes the data directory where it is missing, for its owner only.
 *
 * @throws DATA_DIR_UNWRITABLE
 */
export function makeDataDirectory(path: string): void {
  try {
    makeDirectories(path)
  } catch (error) {
    throw agentError('DATA_DIR_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}

/** One by one: Node's own `recursive` never comes back where the system refuses new directories with ENOENT (/proc). */
function makeDirectories(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const parent = dirname(path)
    if (codeOf(error) === 'EEXIST' && statSync(path).isDirectory()) return
    if (codeOf(error) !== 'ENOENT' || existsSync(parent)) throw error
    makeDirectories(parent)
    mkdirSync(path, { mode: 0o700 })
  }
}

/**
 * @param configured - `node_id` of the configuration, which wins and is kept
 * @throws DATA_DIR_UNWRITABLE, NODE_ID_CORRUPT
 */
export function nodeIdOf(dataDir: string, configured: string | undefined, random: Random): string {
  const path = join(dataDir, 'node-id')
  const stored = readStored(path, configured !== undefined)
  const id = configured?.toLowerCase() ?? stored ?? uuid(random)
  if (id !== stored) {
    try {
      writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch (error) {
      throw agentError('DATA_DIR_UNWRITABLE', { path, reason: messageOf(error) }, error)
    }
  }
  return id
}

/** @param replaceable - whether a file that says nothing sensible is no fault */
function readStored(path: string, replaceable: boolean): string | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim().toLowerCase()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw agentError('DATA_DIR_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
  if (!UUID.test(text) && replaceable) return undefined
  if (!UUID.test(text)) throw agentError('NODE_ID_CORRUPT', { path })
  return text
}
