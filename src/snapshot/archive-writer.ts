/**
 * Writes a snapshot: the gzip'd tar of meta.json, state.bin and the SHA-256 sums of both.
 */
import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { encodeMeta, type SnapshotMeta } from './meta.ts'
import { END_OF_ARCHIVE, paddingOf, tarHeader } from './tar.ts'

export const META_FILE = 'meta.json'
export const STATE_FILE = 'state.bin'
export const SUMS_FILE = 'SHA256SUMS'

const MS_PER_S = 1000

/** As `sha256sum` prints and checks them. */
export function sumsText(metaSum: string, stateSum: string): string {
  return `${metaSum}  ${META_FILE}\n${stateSum}  ${STATE_FILE}\n`
}

export interface ArchiveState {
  /** As many bytes as the meta says. */
  readonly chunks: () => AsyncIterable<Buffer>
  /** SHA-256 of them, in hex. */
  readonly sum: string
}

/**
 * The archive as a stream.
 *
 * @param onEnd - told once when the stream is over, read to its end or not
 */
export function writeArchive(meta: SnapshotMeta, state: ArchiveState, wallMs: number, onEnd: () => void): Readable {
  const mtimeS = Math.floor(wallMs / MS_PER_S)
  const gzip = createGzip()
  // An error reaches whoever reads the stream.
  pipeline(Readable.from(tar(meta, state, mtimeS)), gzip, () => onEnd())
  return gzip
}

async function* tar(meta: SnapshotMeta, state: ArchiveState, mtimeS: number): AsyncGenerator<Buffer> {
  const metaBytes = encodeMeta(meta)
  yield* file(META_FILE, metaBytes, mtimeS)
  yield tarHeader(STATE_FILE, meta.Size, mtimeS)
  yield* state.chunks()
  yield Buffer.alloc(paddingOf(meta.Size))
  const metaSum = createHash('sha256').update(metaBytes).digest('hex')
  yield* file(SUMS_FILE, Buffer.from(sumsText(metaSum, state.sum)), mtimeS)
  yield END_OF_ARCHIVE
}

function* file(name: string, bytes: Buffer, mtimeS: number): Generator<Buffer> {
  yield tarHeader(name, bytes.length, mtimeS)
  yield bytes
  yield Buffer.alloc(paddingOf(bytes.length))
}
