/**
 * What an etcd's prefix belongs to: said once by whoever is first, and compared by everyone after.
 *
 * Keys that are below the prefix without saying what they are, or that belong to another datacenter, are left alone.
 */
import type { EtcdOperationReply, MessageOf } from '#codec'
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import { allBelow, expectRevision, putOf, readOf } from './fold.ts'
import { type GenerationPlace, type Keyspace, LAYOUT } from './keyspace.ts'
import { range, txn } from './methods.ts'

/** How long the first contact may take: a datacenter's etcd may be starting as well. */
const ESTABLISH_MS = 30_000

/** @throws STORE_FOREIGN, STORE_VERSION, STORE_UNREACHABLE, STORE_REFUSED */
export async function establish(client: EtcdClient, keyspace: Keyspace, datacenter: string): Promise<void> {
  const limits = { timeoutMs: ESTABLISH_MS }
  const found = await client.call(
    txn,
    {
      compare: [],
      success: [
        readOf(keyspace.id),
        { range: allBelow(keyspace.prefix, { countOnly: true }), put: null, delete: null },
      ],
      failure: [],
    },
    limits,
  )
  const [id, all] = found.replies ?? []
  const stored = valueIn(id)
  if (stored !== undefined) return check(stored, client.place, datacenter)
  if ((all?.range?.count ?? 0) > 0) {
    throw foreign(client.place, `the keys below "${keyspace.prefix}" are not Hanse's`)
  }
  const own = Buffer.from(JSON.stringify({ layout: LAYOUT, datacenter }))
  const made = await client.call(
    txn,
    {
      compare: [expectRevision(keyspace.id, 0)],
      success: [putOf(keyspace.id, own), putOf(keyspace.generation, Buffer.from('1'))],
      failure: [readOf(keyspace.id)],
    },
    limits,
  )
  // Another server of this datacenter may have been quicker.
  if (!made.succeeded) check(valueIn(made.replies?.[0]) ?? '', client.place, datacenter)
}

/** The generation that is the datacenter's. @throws STORE_FOREIGN */
export async function generationNow(client: EtcdClient, keyspace: Keyspace): Promise<GenerationPlace> {
  const { kvs } = await client.call(
    range,
    { ...allBelow(keyspace.prefix), key: keyspace.generation, rangeEnd: '' },
    {
      timeoutMs: ESTABLISH_MS,
    },
  )
  const number = Number(kvs?.[0]?.value?.toString())
  if (!Number.isSafeInteger(number)) {
    throw foreign(client.place, `"${keyspace.generation}" is not the number that Hanse keeps there`)
  }
  return { number, floor: kvs?.[0]?.modRevision ?? 0 }
}

function check(stored: string, place: string, datacenter: string): void {
  let id: unknown
  try {
    id = JSON.parse(stored)
  } catch {
    throw foreign(place, 'what says to whom its keys belong is not JSON')
  }
  const { layout, datacenter: owner } = Object(id)
  if (typeof layout !== 'number' || typeof owner !== 'string') {
    throw foreign(place, 'what says to whom its keys belong has no layout and datacenter')
  }
  if (layout > LAYOUT) {
    throw storeError('STORE_VERSION', { path: place, reason: `its layout is ${layout}, this version knows ${LAYOUT}` })
  }
  if (owner !== datacenter)
    throw foreign(place, `its keys belong to datacenter "${owner}", this one is "${datacenter}"`)
}

function foreign(path: string, reason: string): Error {
  return storeError('STORE_FOREIGN', { path, reason })
}

function valueIn(reply: MessageOf<typeof EtcdOperationReply> | undefined): string | undefined {
  return reply?.range?.kvs?.[0]?.value?.toString()
}
