/**
 * KVS.*: the key/value store, single keys and all below a prefix, and locks of keys by sessions.
 */
import { HanseError, messageOf } from '#base'
import { bool, type DirEntry, IndexedDirEntries, IndexedKeyList, KeyListRequest, KeyRequest, KVSRequest } from '#codec'
import type { WriteTx } from '#state'
import { MAX_KEY_BYTES as MAX_STORE_KEY_BYTES } from '#store'
import { endpointError } from './errors.ts'
import { readOperation, writeOperation } from './operation.ts'
import { type Facts, keep, type Rights } from './rights.ts'

/** Largest value; the same number as Consul's default for `kv_max_value_size`. */
export const MAX_VALUE_BYTES = 512 * 1024
/** Largest key; the table's name stands before it in the store. */
const MAX_KEY_BYTES = MAX_STORE_KEY_BYTES - 64

/** What each `Op` does; the reply is true where a condition was met, and means nothing for plain writes. */
const OPERATIONS: Readonly<Record<string, (tx: WriteTx, entry: DirEntry) => boolean>> = {
  set: (tx, entry) => {
    put(tx, entry)
    return false
  },
  delete: (tx, { Key }) => {
    tx.deleteKv(Key)
    return false
  },
  'delete-tree': (tx, { Key }) => {
    tx.deleteKvTree(Key)
    return false
  },
  cas: (tx, entry) => {
    if ((tx.kv.get(entry.Key)?.ModifyIndex ?? 0) !== entry.ModifyIndex) return false
    put(tx, entry)
    return true
  },
  'delete-cas': (tx, { Key, ModifyIndex }) => {
    const known = tx.kv.get(Key)
    if (known === undefined) return true
    if (known.ModifyIndex !== ModifyIndex) return false
    tx.deleteKv(Key)
    return true
  },
  lock: (tx, entry) => tx.lockKv(withValue(entry)),
  unlock: (tx, entry) => tx.unlockKv(withValue(entry)),
}

/** `Session` and `LockIndex` belong to locks and are never taken from a caller. */
function put(tx: WriteTx, entry: DirEntry): void {
  const known = tx.kv.get(entry.Key)
  tx.putKv({ ...withValue(entry), Session: known?.Session ?? '', LockIndex: known?.LockIndex ?? 0 })
}

/** An empty value is null. */
function withValue(entry: DirEntry): DirEntry {
  return entry.Value === null || entry.Value.length > 0 ? entry : { ...entry, Value: null }
}

/** Writes or deletes one key, or all below a prefix. */
export const apply = writeOperation({
  name: 'KVS.Apply',
  args: KVSRequest,
  reply: bool,
  scope: 'datacenter',
  authorize({ Op, DirEnt: { Key } }, rights) {
    // Nothing below a prefix may be denied to who takes all of it.
    if (Op === 'delete-tree') rights.need(rights.allows.keyWritePrefix(Key), 'key:write', Key)
    else rights.need(rights.allows.keyWrite(Key), 'key:write', Key)
  },
  async run({ state }, { Op, DirEnt }) {
    const work = kvWrite(Op)
    if (work === undefined) throw invalid(`Invalid KVS operation "${Op}"`)
    checkEntry(Op, DirEnt)
    try {
      return (await state.write((tx) => work(tx, DirEnt))).value
    } catch (error) {
      throw isSessionError(error) ? invalid(`raft apply failed: ${messageOf(error)}`) : error
    }
  },
})

function isSessionError(error: unknown): boolean {
  return (
    error instanceof HanseError && (error.code === 'STATE_SESSION_INVALID' || error.code === 'STATE_SESSION_MISSING')
  )
}

/** What an `Op` does to one entry; undefined where there is no such. */
export function kvWrite(op: string): ((tx: WriteTx, entry: DirEntry) => boolean) | undefined {
  return Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : undefined
}

/** @throws HanseError for a key that is missing or too long, a value that is too large */
export function checkEntry(op: string, { Key, Value }: DirEntry): void {
  if (Key === '' && op !== 'delete-tree') throw invalid('Must provide key')
  const keyBytes = Buffer.byteLength(Key)
  if (keyBytes > MAX_KEY_BYTES) throw endpointError('KEY_TOO_LONG', { keyBytes, limitBytes: MAX_KEY_BYTES })
  const valueBytes = Value?.length ?? 0
  if (valueBytes > MAX_VALUE_BYTES) {
    throw endpointError('VALUE_TOO_LARGE', { valueBytes, limitBytes: MAX_VALUE_BYTES })
  }
}

function invalid(text: string): Error {
  return endpointError('INVALID_REQUEST', { text })
}

/** One entry; null where there is none. */
export const get = readOperation({
  name: 'KVS.Get',
  args: KeyRequest,
  reply: IndexedDirEntries,
  scope: 'datacenter',
  authorize: ({ Key }, rights) => rights.need(rights.allows.keyRead(Key), 'key:read', Key),
  query(tx, { Key }) {
    const entry = tx.kv.get(Key)
    return IndexedDirEntries.of({ Entries: entry === undefined ? null : [entry] })
  },
})

/** All entries below a prefix, sorted by key. */
export const list = readOperation({
  name: 'KVS.List',
  args: KeyRequest,
  reply: IndexedDirEntries,
  scope: 'datacenter',
  query(tx, { Key }) {
    const entries = tx.kv.list(Key)
    return IndexedDirEntries.of({ Entries: entries.length === 0 ? null : entries })
  },
  authorize: ({ Key }, rights, facts) => needsList(Key, rights, facts),
  filter(reply, { allows }) {
    const { items, filtered } = keep(reply.Entries, ({ Key }) => allows.keyRead(Key))
    return { reply: { ...reply, Entries: items?.length === 0 ? null : items }, filtered }
  },
})

/** The keys below a prefix, with a separator only as far as its next occurrence. */
export const listKeys = readOperation({
  name: 'KVS.ListKeys',
  args: KeyListRequest,
  reply: IndexedKeyList,
  scope: 'datacenter',
  query(tx, { Prefix, Seperator }) {
    const keys = tx.kv.keys(Prefix)
    return IndexedKeyList.of({ Keys: keys.length === 0 ? null : cutAt(keys, Prefix.length, Seperator) })
  },
  authorize: ({ Prefix }, rights, facts) => needsList(Prefix, rights, facts),
  filter(reply, { allows }) {
    const { items, filtered } = keep(reply.Keys, (key) => allows.keyRead(key))
    return { reply: { ...reply, Keys: items?.length === 0 ? null : items }, filtered }
  },
})

/** Where listing has a right of its own (`acl.enable_key_list_policy`). */
function needsList(prefix: string, rights: Rights, { acl }: Facts): void {
  if (acl.keyListPolicy) rights.need(rights.allows.keyList(prefix), 'key:list', prefix)
}

function cutAt(keys: readonly string[], from: number, separator: string): readonly string[] {
  if (separator === '') return keys
  const cut = keys.map((key) => {
    const at = key.indexOf(separator, from)
    return at === -1 ? key : key.slice(0, at + separator.length)
  })
  return [...new Set(cut)]
}
