/**
 * A snapshot of another datacenter: asked of one of its servers, through the gateways.
 *
 * Source: RPC wire notes §12.
 */
import { Readable } from 'node:stream'
import { messageOf } from '#base'
import { decode, encode, SNAPSHOT_OP, SnapshotRequest, SnapshotResponse } from '#codec'
import { readLed, writeLed } from '#net'
import { endpointError } from './errors.ts'
import type { Router } from './ports.ts'

export interface SavedSnapshot {
  readonly index: number
  /** To be read to its end, or destroyed. */
  readonly archive: Readable
}

/** What other datacenters' texts of missing permission begin with. */
const REFUSED = /^Permission denied|ACL not found/

/**
 * Asks another datacenter to save a snapshot, or to restore `archive`; then what comes back is empty.
 *
 * @throws REMOTE_ERROR, REMOTE_REFUSED with that datacenter's text; what Router.open() throws
 */
export async function askSnapshot(
  router: Router,
  request: SnapshotRequest,
  signal: AbortSignal | undefined,
  archive?: AsyncIterable<Uint8Array>,
): Promise<SavedSnapshot> {
  const stream = await router.open({ datacenter: request.Datacenter, protocol: 'consul/rpc-snapshot', signal })
  const abort = () => stream.destroy()
  stream.on('error', () => {})
  signal?.addEventListener('abort', abort, { once: true })
  // What goes wrong while the archive is sent is told by the reply, or by its absence.
  const writing = writeLed(stream, encode(SnapshotRequest, request), archive).catch((error: unknown) => error)
  try {
    const { lead, rest } = await readLed(stream)
    const { Error: error, Index } = decode(SnapshotResponse, lead)
    if (error !== '') throw endpointError(REFUSED.test(error) ? 'REMOTE_REFUSED' : 'REMOTE_ERROR', { text: error })
    const saved = Readable.from(rest, { objectMode: false })
    saved.once('close', () => {
      signal?.removeEventListener('abort', abort)
      stream.destroy()
    })
    if (request.Op === SNAPSHOT_OP.restore) saved.destroy()
    return { index: Index, archive: saved }
  } catch (error) {
    stream.destroy()
    signal?.removeEventListener('abort', abort)
    const failure = await writing
    throw failure instanceof Error && isSilence(error) ? failure : error
  }
}

/** The reply did not come: why it could not be asked for says more. */
function isSilence(error: unknown): boolean {
  return /stream ended in its first value|premature close|aborted/i.test(messageOf(error))
}
