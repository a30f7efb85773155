/**
 * A snapshot's file, read to its end and found right.
 */
import { createReadStream } from 'node:fs'
import { codeOf, messageOf } from '#base'
import { readArchive, type SnapshotMeta, type SnapshotRecord } from '#snapshot'
import { cliError } from './errors.ts'

/** @throws FILE_UNREADABLE, SNAPSHOT_NO_ARCHIVE, SNAPSHOT_DAMAGED, SNAPSHOT_FOREIGN, SNAPSHOT_NEWER */
export async function checkedFile(
  path: string,
  onRecords: (records: readonly SnapshotRecord[]) => Promise<void> | void = () => {},
): Promise<SnapshotMeta> {
  try {
    return await readArchive(createReadStream(path), { onState: (_, records) => onRecords(records) })
  } catch (error) {
    if (!/^E[A-Z]+$/.test(codeOf(error) ?? '')) throw error
    throw cliError('FILE_UNREADABLE', { path, reason: messageOf(error) }, error)
  }
}
