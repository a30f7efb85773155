/**
 * What an etcd's prefix belongs to: said once by whoever is first, and compared by everyone after.
 *
 * Keys that are below the prefix without saying what they are, or that belong to another datacenter, are left alone.
 */
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import { type GenerationPlace, type Keyspace, LAYOUT } from './keyspace.ts'
import { range, txn } from './methods.ts'
import { allBelow, answerTo, expectRevision, foundBy, putOf, rangeOf, readOf } from './operations.ts'

/** How long the first contact may take: a datacenter's etcd may be starting as well. */
const ESTABLISH_MS = 30_000
/** How long a look at whether it is still the same store may take. */
const VERIFY_MS = 2_000

/**
 * Says to whom the prefix belongs, where nobody has said so yet.
 *
 * @param name - what a store that is made here is called; no other has the name
 * @returns the name of the store that is there now
 * @throws STORE_FOREIGN, STORE_VERSION, STORE_UNREACHABLE, STORE_REFUSED
 */
export async function establish(
  client: EtcdClient,
  keyspace: Keyspace,
  datacenter: string,
  name: string,
): Promise<string> {
  const limits = { timeoutMs: ESTABLISH_MS }
  const found = await client.call(
    txn,
    {
      compare: [],
      success: [
        readOf(keyspace.id),
        { range: allBelow(keyspace.prefix, { countOnly: true }), put: null, delete: null, group: null },
      ],
      failure: [],
    },
    limits,
  )
  const stored = foundBy(found, 0)?.value?.toString()
  if (stored !== undefined) return check(stored, client.place, datacenter)
  if ((answerTo(found, 1)?.range?.count ?? 0) > 0) {
    throw foreign(client.place, `the keys below "${keyspace.prefix}" are not Hanse's`)
  }
  const own = Buffer.from(JSON.stringify({ layout: LAYOUT, datacenter, name }))
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
  return made.succeeded ? name : check(foundBy(made, 0)?.value?.toString() ?? '', client.place, datacenter)
}

/**
 * Sees that the store is still the one with this name.
 *
 * @returns the member of etcd that says so
 * @throws STORE_OTHER_ETCD, STORE_FOREIGN, STORE_VERSION, STORE_UNREACHABLE
 */
export async function verify(client: EtcdClient, keyspace: Keyspace, datacenter: string, name: string) {
  const { kvs, header } = await client.call(range, rangeOf(keyspace.id), { timeoutMs: VERIFY_MS })
  const stored = kvs?.[0]?.value?.toString()
  if (stored === undefined || check(stored, client.place, datacenter) !== name) {
    const reason = stored === undefined ? 'it is empty' : 'its data was made anew'
    throw storeError('STORE_OTHER_ETCD', { path: client.place, reason })
  }
  return { member: header?.member }
}

/** The generation that is the datacenter's. @throws STORE_FOREIGN */
export async function generationNow(client: EtcdClient, keyspace: Keyspace): Promise<GenerationPlace> {
  const { kvs } = await client.call(range, rangeOf(keyspace.generation), { timeoutMs: ESTABLISH_MS })
  const number = Number(kvs?.[0]?.value?.toString())
  if (!Number.isSafeInteger(number)) {
    throw foreign(client.place, `"${keyspace.generation}" is not the number that Hanse keeps there`)
  }
  return { number, floor: kvs?.[0]?.modRevision ?? 0 }
}

/** @returns the store's name */
function check(stored: string, place: string, datacenter: string): string {
  let id: unknown
  try {
    id = JSON.parse(stored)
  } catch {
    throw foreign(place, 'what says to whom its keys belong is not JSON')
  }
  const { layout, datacenter: owner, name } = Object(id)
  if (typeof layout !== 'number' || typeof owner !== 'string') {
    throw foreign(place, 'what says to whom its keys belong has no layout and datacenter')
  }
  if (layout > LAYOUT) {
    throw storeError('STORE_VERSION', { path: place, reason: `its layout is ${layout}, this version knows ${LAYOUT}` })
  }
  if (owner !== datacenter)
    throw foreign(place, `its keys belong to datacenter "${owner}", this one is "${datacenter}"`)
  if (typeof name !== 'string') throw foreign(place, 'what says to whom its keys belong has no name')
  return name
}

function foreign(path: string, reason: string): Error {
  return storeError('STORE_FOREIGN', { path, reason })
}
