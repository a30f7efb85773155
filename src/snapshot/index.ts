/**
 * snapshot/: the file that a whole datacenter is saved in. Written, checked and read as a stream, by servers and by the
 * command line; what the records mean is the state's.
 */
export { readArchive } from './archive-reader.ts'
export { writeArchive } from './archive-writer.ts'
export { snapshotError } from './errors.ts'
export { MAX_RECORD_BYTES, MAX_RECORD_KEY_BYTES, MAX_STATE_BYTES } from './limits.ts'
export { metaOf, type SnapshotMeta } from './meta.ts'
export { encodeRecords, RecordReader, type SnapshotRecord } from './records.ts'
export { Spool } from './spool.ts'
export { type Share, type Shares, Summary, typeOf } from './summary.ts'
