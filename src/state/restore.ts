/**
 * The state as stored records: dumped as of one index, and made ready to take the place of everything.
 *
 * What is dumped is the stored bytes, so what it was written by does not matter: any engine, any machine. What is
 * restored differs from it in three facts that belong to the store it goes into. The base of its indexes is such that
 * none goes back. All that is not there counts as departed now. And serial numbers of certificates go on far above those
 * that may have been used since the dump.
 */
import type { Content, Engine } from '#store'
import { authorityKey, caAuthorityTable, StoredAuthority } from './ca-declarations.ts'
import { decodeHeader, encodeHeader, HEADER_KEY, SCHEMA } from './header.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import { Slots } from './slots.ts'
import { Tables } from './tables.ts'

/** Serial numbers that a restore leaves out: more than an authority signs between a snapshot and its restore. */
const SKIPPED_SERIALS = 1_000_000_000

export interface Dumped {
  readonly index: number
  readonly schema: number
}

/** Hands over all records, in the order of their keys. */
export async function dump(engine: Engine, onRecords: (records: readonly Content[]) => void): Promise<Dumped> {
  let header = { schema: SCHEMA, indexBase: 0 }
  const { revision } = await engine.load((records) => {
    for (const { key, value } of records) if (key === HEADER_KEY) header = decodeHeader(value)
    onRecords(records)
  })
  return { index: Math.max(1, revision + header.indexBase), schema: header.schema }
}

/** Whether this version can hold a record: what it refuses may not be restored. */
export class RecordCheck {
  readonly #tables = new Tables(0)

  /** @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER */
  check({ key, value }: Content): void {
    if (key === HEADER_KEY) decodeHeader(value)
    else this.#tables.check(key, value)
  }
}

const ALL_LEFT_KEY = new Slots('left').keyOfEvery

/** What to store of what was dumped. @param indexBase - added to revisions to make indexes */
export async function* restored(
  records: AsyncIterable<readonly Content[]>,
  indexBase: number,
): AsyncGenerator<readonly Content[]> {
  const own: Content[] = [
    { key: ALL_LEFT_KEY, value: Buffer.from([1]) },
    { key: HEADER_KEY, value: encodeHeader(indexBase) },
  ]
  for await (const batch of records) {
    const next: Content[] = []
    for (const record of batch) {
      while (own[0] && Buffer.compare(Buffer.from(own[0].key), Buffer.from(record.key)) <= 0)
        next.push(...own.splice(0, 1))
      if (record.key !== HEADER_KEY && record.key !== ALL_LEFT_KEY) next.push(adapted(record))
    }
    yield next
  }
  if (own.length > 0) yield own
}

const AUTHORITY_KEY = `${caAuthorityTable.name}/${authorityKey}`

function adapted(record: Content): Content {
  if (record.key !== AUTHORITY_KEY) return record
  const authority = decodeRecord(StoredAuthority, caAuthorityTable.name, authorityKey, record.value)
  const NextSerial = authority.NextSerial + SKIPPED_SERIALS
  return { key: record.key, value: encodeRecord(StoredAuthority, { ...authority, NextSerial }, authority.CreateIndex) }
}
