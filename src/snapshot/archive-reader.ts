/**
 * Reads a snapshot as it comes, and believes it only at its end: when all three files were there, whole, in their order,
 * with the sums that they should have, and nothing behind them.
 */
import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { codeOf, HanseError, messageOf } from '#base'
import { META_FILE, STATE_FILE, SUMS_FILE, sumsText } from './archive-writer.ts'
import { ByteQueue } from './byte-queue.ts'
import { snapshotError } from './errors.ts'
import { MAX_META_BYTES, MAX_STATE_BYTES, MAX_SUMS_BYTES } from './limits.ts'
import { decodeMeta, type SnapshotMeta } from './meta.ts'
import { RecordReader, type SnapshotRecord } from './records.ts'
import { BLOCK_BYTES, paddingOf, readTarHeader } from './tar.ts'

/** How a gzip begins. */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])
/** Empty blocks after the end of an archive that are read over: tar fills up to 20. */
const MAX_END_BYTES = 20 * BLOCK_BYTES

export interface ArchiveSink {
  /** Comes first; what it throws ends the reading. */
  onMeta?(meta: SnapshotMeta): void
  /** The bytes of the records, and those records that are whole with them. */
  onState?(bytes: Buffer, records: readonly SnapshotRecord[]): Promise<void> | void
}

/**
 * Reads an archive to its end.
 *
 * @throws SNAPSHOT_NO_ARCHIVE, SNAPSHOT_DAMAGED, SNAPSHOT_FOREIGN, SNAPSHOT_NEWER, SNAPSHOT_TOO_LARGE, and what the sink
 *   throws; what `source` throws
 */
export async function readArchive(source: AsyncIterable<Uint8Array>, sink: ArchiveSink = {}): Promise<SnapshotMeta> {
  const input = { bytes: 0, first: Buffer.alloc(0) }
  const gunzip = createGunzip()
  pipeline(Readable.from(watching(source, input), { objectMode: false }), gunzip, () => {})
  const bytes = new ByteQueue(gunzip)
  try {
    const meta = await readFiles(bytes, sink)
    // The decompressor stops at the end of its stream, whatever follows.
    if (gunzip.bytesWritten !== input.bytes) throw damaged('other bytes follow its end')
    return meta
  } catch (error) {
    gunzip.destroy()
    throw named(error, input)
  }
}

interface Input {
  bytes: number
  /** The first of them, as many as tell what it is. */
  first: Buffer
}

async function* watching(source: AsyncIterable<Uint8Array>, input: Input): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    if (input.bytes < GZIP_MAGIC.length)
      input.first = Buffer.concat([input.first, chunk]).subarray(0, GZIP_MAGIC.length)
    input.bytes += chunk.byteLength
    yield chunk
  }
}

const damaged = (reason: string) => snapshotError('SNAPSHOT_DAMAGED', { reason })

function named(error: unknown, { first }: Input): unknown {
  if (error instanceof HanseError) return error
  const code = codeOf(error) ?? ''
  if (!code.startsWith('Z_')) return error
  if (first.length > 0 && !GZIP_MAGIC.subarray(0, first.length).equals(first)) {
    return snapshotError('SNAPSHOT_NO_ARCHIVE', {}, error)
  }
  return damaged(code === 'Z_BUF_ERROR' ? 'it is cut' : messageOf(error))
}

async function readFiles(bytes: ByteQueue, sink: ArchiveSink): Promise<SnapshotMeta> {
  const metaBytes = await small(bytes, META_FILE, MAX_META_BYTES)
  const meta = decodeMeta(metaBytes)
  sink.onMeta?.(meta)
  const stateSum = await readState(bytes, meta, sink)
  const sums = await small(bytes, SUMS_FILE, MAX_SUMS_BYTES)
  const metaSum = createHash('sha256').update(metaBytes).digest('hex')
  if (sums.toString('latin1') !== sumsText(metaSum, stateSum))
    throw damaged('its contents do not match their checksums')
  await expectEnd(bytes)
  return meta
}

async function small(bytes: ByteQueue, name: string, limitBytes: number): Promise<Buffer> {
  const size = readTarHeader(await bytes.take(BLOCK_BYTES), name)
  if (size > limitBytes) throw snapshotError('SNAPSHOT_TOO_LARGE', { what: name, limitBytes })
  const content = await bytes.take(size)
  await bytes.take(paddingOf(size))
  return content
}

/** @returns the sum of what was read */
async function readState(bytes: ByteQueue, meta: SnapshotMeta, sink: ArchiveSink): Promise<string> {
  const size = readTarHeader(await bytes.take(BLOCK_BYTES), STATE_FILE)
  if (size > MAX_STATE_BYTES)
    throw snapshotError('SNAPSHOT_TOO_LARGE', { what: STATE_FILE, limitBytes: MAX_STATE_BYTES })
  if (size !== meta.Size) throw damaged(`${STATE_FILE} has ${size} bytes and ${META_FILE} says ${meta.Size}`)
  const sum = createHash('sha256')
  const records = new RecordReader()
  for await (const chunk of bytes.chunks(size)) {
    sum.update(chunk)
    const whole = records.push(chunk)
    await sink.onState?.(chunk, whole)
  }
  records.end(meta.Records)
  await bytes.take(paddingOf(size))
  return sum.digest('hex')
}

async function expectEnd(bytes: ByteQueue): Promise<void> {
  let length = 0
  for await (const chunk of bytes.rest()) {
    length += chunk.length
    if (length > MAX_END_BYTES || chunk.some((byte) => byte !== 0)) throw damaged('other files follow its last one')
  }
  if (length < 2 * BLOCK_BYTES) throw damaged('it is cut')
}
