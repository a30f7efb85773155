/**
 * Snapshots for the servers of other datacenters: one stream for each, saved or restored.
 *
 * Source: RPC wire notes §12.
 */
import type { Duplex } from 'node:stream'
import { type Logger, messageOf } from '#base'
import { decode, encode, SNAPSHOT_OP, SnapshotRequest, SnapshotResponse } from '#codec'
import { dropRest, readLed, writeLed } from '#net'
import { endpointError } from './errors.ts'
import type { SavedSnapshot } from './snapshot-call.ts'
import type { Snapshots } from './snapshots.ts'

/** Serves one stream of the server port: reads what is asked, does it, answers, ends. Never rejects. */
export async function serveSnapshot(snapshots: Snapshots, stream: Duplex, log: Logger): Promise<void> {
  stream.on('error', () => {})
  const gone = new AbortController()
  stream.once('close', () => gone.abort(new Error('the asker has gone')))
  try {
    const { lead, rest } = await readLed(stream)
    await answer(snapshots, stream, decode(SnapshotRequest, lead), rest, gone.signal)
  } catch (error) {
    log.debug('snapshot call failed', { error: messageOf(error) })
    stream.destroy()
  }
}

async function answer(
  snapshots: Snapshots,
  stream: Duplex,
  { Op, Datacenter, Token }: SnapshotRequest,
  rest: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const options = { datacenter: Datacenter, token: Token, signal }
  let saved: SavedSnapshot | undefined
  let error = ''
  try {
    if (Op === SNAPSHOT_OP.save) saved = await snapshots.save(options)
    else if (Op === SNAPSHOT_OP.restore) await snapshots.restore(options, rest)
    else throw endpointError('INVALID_REQUEST', { text: `unrecognized snapshot op "${Op}"` })
  } catch (thrown) {
    error = messageOf(thrown)
  }
  const reply = SnapshotResponse.of({ Error: error, Index: saved?.index ?? 0, KnownLeader: true })
  dropRest(stream)
  await writeLed(stream, encode(SnapshotResponse, reply), saved?.archive)
}
