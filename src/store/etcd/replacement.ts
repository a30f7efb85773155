/**
 * Puts other records in the place of everything, on etcd: they are written into a generation that nobody reads yet, and
 * one transaction then makes it the datacenter's. The same transaction deletes the marks of the old generation, so that
 * no server can write there any more and all of them notice.
 *
 * While it is written, a generation is named by a key under a lease. What a crash left behind has no such key, and is
 * removed by whoever finds it (`sweep()`).
 */
import { type Clock, sleep } from '#base'
import type { EtcdOperation } from '#codec'
import type { Content } from '../engine.ts'
import { storeError } from '../errors.ts'
import { checkReplacement, MAX_TRANSACTION_BYTES, startOfAscent } from '../transaction.ts'
import type { EtcdClient } from './client.ts'
import { MAX_OPERATIONS } from './fold.ts'
import { generationNow } from './identity.ts'
import { endOf, type Generation, type Keyspace } from './keyspace.ts'
import { leaseGrant, leaseKeepAlive, leaseRevoke, range, txn } from './methods.ts'
import { allBelow, deleteOf, expectRevision, expectValue, foundBy, putOf, readOf } from './operations.ts'

const CALL_MS = 10_000
/** How long a generation that is being written outlives its writer. */
const WRITING_TTL_S = 60
const RENEW_MS = 15_000
/** Times that another restore may be quicker. */
const MAX_FLIPS = 8

export interface ReplacementOptions {
  readonly client: EtcdClient
  readonly keyspace: Keyspace
  readonly clock: Clock
}

/** A generation that is written and not yet read. */
export interface Draft {
  readonly number: number
  /** Mod revision of the key that names it. */
  readonly named: number
  readonly lease: bigint
}

/** Writes the records into a generation of their own. @throws as Engine.replaceAll() says; nothing is left then */
export async function writeDraft(
  options: ReplacementOptions,
  records: AsyncIterable<readonly Content[]>,
): Promise<Draft> {
  const { client, clock } = options
  const draft = await begin(options)
  const done = new AbortController()
  const renewal = keepNamed(client, clock, draft.lease, done.signal)
  try {
    const keys = options.keyspace.of({ number: draft.number, floor: 0 })
    const ascent = startOfAscent()
    let operations: EtcdOperation[] = []
    let bytes = 0
    const flush = async () => {
      if (operations.length === 0) return
      await client.call(txn, { compare: [], success: operations, failure: [] }, { timeoutMs: CALL_MS })
      operations = []
      bytes = 0
    }
    for await (const batch of records) {
      checkReplacement(batch, ascent)
      for (const { key, value } of batch) {
        const own = Buffer.byteLength(key) + value.byteLength
        if (operations.length === MAX_OPERATIONS || bytes + own > MAX_TRANSACTION_BYTES) await flush()
        operations.push(putOf(keys.record(key), value))
        bytes += own
      }
    }
    await flush()
    return draft
  } catch (error) {
    await discard(options, draft)
    throw error
  } finally {
    done.abort()
    await renewal
  }
}

async function begin({ client, keyspace }: ReplacementOptions): Promise<Draft> {
  const limits = { timeoutMs: CALL_MS }
  const { id: lease } = await client.call(leaseGrant, { ttlSeconds: WRITING_TTL_S }, limits)
  // A revision is nobody else's, so it makes a good number.
  const { header } = await client.call(
    txn,
    { compare: [], success: [putOf(keyspace.drafts, Buffer.of())], failure: [] },
    limits,
  )
  const number = header?.revision ?? 0
  const named = await client.call(
    txn,
    { compare: [], success: [putOf(keyspace.draft(number), Buffer.of(), lease)], failure: [] },
    limits,
  )
  return { number, named: named.header?.revision ?? 0, lease }
}

/** Keeps the lease alive until it is done. */
async function keepNamed(client: EtcdClient, clock: Clock, lease: bigint, done: AbortSignal): Promise<void> {
  const { stream } = client.stream(leaseKeepAlive)
  stream.on('error', () => {})
  stream.resume()
  try {
    for (;;) {
      stream.write({ id: lease })
      await sleep(clock, RENEW_MS, done)
    }
  } catch {
    stream.cancel()
  }
}

/**
 * Makes the draft the datacenter's generation.
 *
 * @returns the revision that did it
 * @throws STORE_FAILED where the draft was swept away meanwhile; STORE_UNREACHABLE: then it may have happened
 */
export async function publish(
  { client, keyspace }: ReplacementOptions,
  draft: Draft,
  mark: { readonly writer: string; readonly value: Buffer },
): Promise<number> {
  const number = Buffer.from(String(draft.number))
  for (let attempt = 0; attempt < MAX_FLIPS; attempt++) {
    const current = await generationNow(client, keyspace)
    if (current.number === draft.number) return current.floor
    const old = keyspace.of(current)
    const next = keyspace.of({ number: draft.number, floor: 0 })
    const reply = await client.call(
      txn,
      {
        compare: [
          expectValue(keyspace.generation, Buffer.from(String(current.number))),
          expectRevision(keyspace.draft(draft.number), draft.named),
        ],
        success: [
          putOf(keyspace.generation, number),
          putOf(next.writer(mark.writer), mark.value),
          deleteOf(old.writers, endOf(old.writers)),
          deleteOf(keyspace.draft(draft.number)),
        ],
        failure: [readOf(keyspace.generation), readOf(keyspace.draft(draft.number))],
      },
      { timeoutMs: CALL_MS },
    )
    if (reply.succeeded) return reply.header?.revision ?? 0
    const [now, named] = [foundBy(reply, 0), foundBy(reply, 1)]
    if (now?.value?.equals(number)) return now.modRevision
    if (named === undefined) {
      throw storeError('STORE_FAILED', { path: client.place, reason: 'writing the new records took too long' })
    }
  }
  throw storeError('STORE_FAILED', { path: client.place, reason: 'other restores keep being quicker' })
}

/** Removes what was written. */
export async function discard(options: ReplacementOptions, draft: Draft): Promise<void> {
  await options.client.call(leaseRevoke, { id: draft.lease }, { timeoutMs: CALL_MS }).catch(() => {})
  await sweep(options).catch(() => {})
}

/** Removes generations that are neither read nor being written. */
export async function sweep({ client, keyspace }: ReplacementOptions): Promise<void> {
  const limits = { timeoutMs: CALL_MS }
  const read = (question: ReturnType<typeof allBelow>) => client.call(range, question, limits)
  let after = keyspace.generations
  for (;;) {
    const { kvs } = await read({ ...allBelow(keyspace.generations), key: after, limit: 1, keysOnly: true })
    const found = keyspace.numberIn(kvs?.[0]?.key ?? '')
    if (found === undefined) return
    const { prefix }: Generation = keyspace.of({ number: found, floor: 0 })
    const current = await generationNow(client, keyspace)
    if (found !== current.number) {
      await client.call(
        txn,
        {
          compare: [
            expectValue(keyspace.generation, Buffer.from(String(current.number))),
            expectRevision(keyspace.draft(found), 0),
          ],
          success: [deleteOf(prefix, endOf(prefix))],
          failure: [],
        },
        limits,
      )
    }
    after = endOf(prefix)
  }
}
