/**
 * What a transaction does to keys: reads and checks here, writes as those of KVS.Apply, with words for what failed.
 *
 * A key that may not be read fails the transaction, so that nobody learns whether it is there; a tree shows what may.
 */
import type { DirEntry, TxnKVOp } from '#codec'
import type { ReadTx, WriteTx } from '#state'
import { checkEntry, kvWrite } from './kvs.ts'
import { failed, type Parts, type Performed, unknownVerb } from './txn-parts.ts'

type Read = (tx: ReadTx, entry: DirEntry, parts: Parts) => readonly DirEntry[]

const withoutValue = (entry: DirEntry): DirEntry => ({ ...entry, Value: null })

const READS: Readonly<Record<string, Read>> = {
  get: (tx, { Key }) => [there(tx, Key, (name) => `key ${name} doesn't exist`)],
  'get-or-empty': (tx, { Key }) => [tx.kv.get(Key) ?? { ...EMPTY, Key }],
  'get-tree': (tx, { Key }, { rights }) => tx.kv.list(Key).filter((entry) => rights.allows.keyRead(entry.Key)),
  'check-index': (tx, { Key, ModifyIndex }) => {
    const known = there(tx, Key, (name) => `failed index check for key ${name}, key doesn't exist`)
    if (known.ModifyIndex === ModifyIndex) return [withoutValue(known)]
    throw failed(
      `failed index check for key ${quoted(Key)}, current modify index ${known.ModifyIndex} != ${ModifyIndex}`,
    )
  },
  'check-session': (tx, { Key, Session }) => {
    const known = there(tx, Key, (name) => `failed session check for key ${name}, key doesn't exist`)
    if (known.Session === Session) return [withoutValue(known)]
    throw failed(
      `failed session check for key ${quoted(Key)}, current session ${quoted(known.Session)} != ${quoted(Session)}`,
    )
  },
  'check-not-exists': (tx, { Key }) => {
    if (tx.kv.get(Key) !== undefined) throw failed(`key ${quoted(Key)} exists`)
    return []
  },
}

const EMPTY: DirEntry = { LockIndex: 0, Key: '', Flags: 0, Value: null, Session: '', CreateIndex: 0, ModifyIndex: 0 }

function quoted(text: string): string {
  return JSON.stringify(text)
}

function there(tx: ReadTx, key: string, missing: (name: string) => string): DirEntry {
  const known = tx.kv.get(key)
  if (known === undefined) throw failed(missing(quoted(key)))
  return known
}

/** Why a write was not done whose condition was not met. */
const REFUSALS: Readonly<Record<string, (tx: ReadTx, key: string) => string>> = {
  cas: (_, key) => `failed to set key ${quoted(key)}, index is stale`,
  'delete-cas': (_, key) => `failed to delete key ${quoted(key)}, index is stale`,
  lock: (tx, key) =>
    `failed to lock key ${quoted(key)}, ${tx.lockDelays.get(key) ? 'its lock-delay is not over' : 'lock is already held'}`,
  unlock: (_, key) => `failed to unlock key ${quoted(key)}, lock isn't held, or is held by another session`,
}

export function writesKv({ Verb }: TxnKVOp): boolean {
  return kvWrite(Verb) !== undefined
}

/** @throws HanseError for what is refused or failed */
export function readKv(tx: ReadTx, { Verb, DirEnt }: TxnKVOp, parts: Parts): Performed {
  const read = Object.hasOwn(READS, Verb) ? READS[Verb] : undefined
  if (read === undefined) throw unknownVerb('KV', Verb)
  const { allows } = parts.rights
  if (Verb !== 'get-tree') parts.rights.need(allows.keyRead(DirEnt.Key), 'key:read', DirEnt.Key)
  else if (parts.acl.keyListPolicy) parts.rights.need(allows.keyList(DirEnt.Key), 'key:list', DirEnt.Key)
  return read(tx, DirEnt, parts).map((KV) => ({ KV }))
}

/** @throws HanseError for what is refused or failed */
export function writeKv(tx: WriteTx, { Verb, DirEnt }: TxnKVOp, { rights }: Parts): Performed {
  const { Key } = DirEnt
  // Nothing below a prefix may be denied to who takes all of it.
  if (Verb === 'delete-tree') rights.need(rights.allows.keyWritePrefix(Key), 'key:write', Key)
  else rights.need(rights.allows.keyWrite(Key), 'key:write', Key)
  checkEntry(Verb, DirEnt)
  const met = kvWrite(Verb)?.(tx, DirEnt)
  const refusal = Object.hasOwn(REFUSALS, Verb) ? REFUSALS[Verb] : undefined
  if (!met && refusal !== undefined) throw failed(refusal(tx, Key))
  const left = Verb === 'delete-tree' ? undefined : tx.kv.get(Key)
  return left === undefined ? [] : [{ KV: withoutValue(left) }]
}
