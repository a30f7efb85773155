/**
 * meta.json: what a snapshot is of. Field names are those that Consul's snapshots have, where they say the same.
 */
import { snapshotError } from './errors.ts'

/** Of the archive: names, order and meaning of its files. */
export const ARCHIVE_VERSION = 1
/** How the records stand in state.bin; another program's archive has another word or none. */
const FORMAT = 'hanse-records'
/** There are no elections of our own; Consul's tools want a number. */
const TERM = 1

export interface SnapshotMeta {
  readonly Version: number
  readonly ID: string
  readonly Index: number
  readonly Term: number
  /** Bytes of state.bin. */
  readonly Size: number
  /** Version of keys and records. */
  readonly Schema: number
  readonly Datacenter: string
  readonly Records: number
}

export type SnapshotFacts = Pick<SnapshotMeta, 'Index' | 'Size' | 'Schema' | 'Datacenter' | 'Records'>

/** @param wallMs - when it was taken */
export function metaOf(facts: SnapshotFacts, wallMs: number): SnapshotMeta {
  return { Version: ARCHIVE_VERSION, ID: `${TERM}-${facts.Index}-${Math.floor(wallMs)}`, Term: TERM, ...facts }
}

export function encodeMeta({ Version, ID, Index, Term, ...rest }: SnapshotMeta): Buffer {
  return Buffer.from(`${JSON.stringify({ Version, ID, Index, Term, ...rest, Format: FORMAT })}\n`)
}

/** @throws SNAPSHOT_DAMAGED, SNAPSHOT_FOREIGN, SNAPSHOT_NEWER */
export function decodeMeta(bytes: Buffer): SnapshotMeta {
  const fields = fieldsOf(bytes)
  if (fields['Format'] !== FORMAT) {
    throw snapshotError('SNAPSHOT_FOREIGN', { reason: 'its records are of another format' })
  }
  const count = (name: string): number => {
    const value = fields[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw snapshotError('SNAPSHOT_DAMAGED', { reason: `"${name}" of meta.json is no whole number` })
  }
  const text = (name: string): string => {
    const value = fields[name]
    if (typeof value === 'string') return value
    throw snapshotError('SNAPSHOT_DAMAGED', { reason: `"${name}" of meta.json is no text` })
  }
  const Version = count('Version')
  if (Version > ARCHIVE_VERSION) {
    throw snapshotError('SNAPSHOT_NEWER', { what: 'version', found: Version, known: ARCHIVE_VERSION })
  }
  return {
    Version,
    ID: text('ID'),
    Index: count('Index'),
    Term: count('Term'),
    Size: count('Size'),
    Schema: count('Schema'),
    Datacenter: text('Datacenter'),
    Records: count('Records'),
  }
}

function fieldsOf(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value))
  } catch {
    // The same as JSON of another shape.
  }
  throw snapshotError('SNAPSHOT_DAMAGED', { reason: 'meta.json is no JSON object' })
}
