/**
 * The state's own record in the store: which schema the records have, and what is added to revisions to make indexes.
 *
 * Clients remember indexes. When the store is made anew (a restore, another engine) its revisions begin low again; then
 * the base is set so that indexes go on above the highest that was ever shown.
 */
import { META_PREFIX } from '#store'
import { stateError } from './errors.ts'

export const HEADER_KEY = `${META_PREFIX}state`
/** Of the keys and records of this version. */
export const SCHEMA = 1

export interface Header {
  readonly schema: number
  readonly indexBase: number
}

export function encodeHeader(indexBase: number): Buffer {
  return Buffer.from(JSON.stringify({ schema: SCHEMA, indexBase }))
}

/** @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER */
export function decodeHeader(bytes: Uint8Array): Header {
  const { schema, indexBase } = readNumbers(bytes)
  if (schema > SCHEMA) throw stateError('STATE_SCHEMA_NEWER', { found: schema, known: SCHEMA })
  return { schema, indexBase }
}

function readNumbers(bytes: Uint8Array): Header {
  const corrupt = (reason: string) => stateError('STATE_RECORD_CORRUPT', { table: 'meta', key: 'state', reason })
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    throw corrupt('it is not JSON')
  }
  if (typeof value !== 'object' || value === null) throw corrupt('it is not an object')
  const { schema, indexBase } = { schema: undefined, indexBase: undefined, ...value }
  if (!isCount(schema) || !isCount(indexBase)) throw corrupt('schema and indexBase are not whole numbers')
  return { schema, indexBase }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
