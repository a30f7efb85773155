/**
 * Short ways to write what etcd is asked: comparisons and operations, and to read what it answered. Pure.
 */
import {
  ETCD_COMPARE,
  ETCD_COMPARE_LESS,
  type EtcdCompare,
  type EtcdKeyValue,
  type EtcdOperation,
  EtcdOperationReply,
  type EtcdTxnReply,
} from '#codec'
import { endOf } from './keyspace.ts'

const NO_RANGE = {
  key: '',
  rangeEnd: '',
  limit: 0,
  revision: 0,
  serializable: false,
  keysOnly: false,
  countOnly: false,
}

export const expectRevision = (key: string, modRevision: number): EtcdCompare => ({
  result: 0,
  target: ETCD_COMPARE.modRevision,
  key,
  createRevision: 0,
  modRevision,
  value: null,
  rangeEnd: '',
})
/** Every key with a prefix that ends in a slash is where it was at a revision, or gone. */
export const expectNoneAfter = (prefix: string, revision: number): EtcdCompare => ({
  ...expectRevision(prefix, revision + 1),
  result: ETCD_COMPARE_LESS,
  rangeEnd: endOf(prefix),
})
export const expectValue = (key: string, value: Buffer): EtcdCompare => ({
  result: 0,
  target: ETCD_COMPARE.value,
  key,
  createRevision: 0,
  modRevision: 0,
  value,
  rangeEnd: '',
})
export const putOf = (key: string, value: Uint8Array, lease = 0n): EtcdOperation => ({
  range: null,
  put: { key, value: asBuffer(value), lease },
  delete: null,
  group: null,
})
export const deleteOf = (key: string, rangeEnd = ''): EtcdOperation => ({
  range: null,
  put: null,
  delete: { key, rangeEnd },
  group: null,
})
/** What a transaction of the engine writes: `null` deletes. */
export const writeOf = (key: string, value: Uint8Array | null): EtcdOperation =>
  value === null ? deleteOf(key) : putOf(key, value)
export const rangeOf = (key: string, options: Partial<typeof NO_RANGE> = {}) => ({ ...NO_RANGE, ...options, key })
export const readOf = (key: string, options: Partial<typeof NO_RANGE> = {}): EtcdOperation => ({
  range: rangeOf(key, options),
  put: null,
  delete: null,
  group: null,
})
/** The limit of operations (`--max-txn-ops`) counts for these anew, less how many groups there are. */
export const groupOf = (success: readonly EtcdOperation[]): EtcdOperation => ({
  range: null,
  put: null,
  delete: null,
  group: { success },
})
export const allBelow = (prefix: string, options: Partial<typeof NO_RANGE> = {}) =>
  rangeOf(prefix, { ...options, rangeEnd: endOf(prefix) })

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What one operation of a transaction was answered. */
export function answerTo(reply: EtcdTxnReply, position: number) {
  const bytes = reply.replies?.[position]
  return bytes && EtcdOperationReply.decode(bytes)
}

/** The key that one read of a transaction found. */
export function foundBy(reply: EtcdTxnReply, position: number): EtcdKeyValue | undefined {
  return answerTo(reply, position)?.range?.kvs?.[0]
}
