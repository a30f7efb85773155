/**
 * store/: the engine contract and its engines. Keeps bytes under keys, durably, and tells everyone what changed.
 */
export {
  type Change,
  type ChangeBatch,
  type CommitResult,
  type Condition,
  type Content,
  type Engine,
  type Lease,
  type LeaseOptions,
  META_PREFIX,
  type StoredRecord,
  type Transaction,
  type Write,
} from './engine.ts'
export { storeError } from './errors.ts'
export type { EtcdIdentity } from './etcd/client.ts'
export { type EtcdEngine, type EtcdOptions, openEtcd } from './etcd/engine.ts'

export type { EtcdMemberOptions, EtcdTlsFiles } from './etcd/member-arguments.ts'
export { type EtcdBinary, inspectEtcd } from './etcd/member-binary.ts'
export { EtcdMemberProcess } from './etcd/member-process.ts'
export { EtcdMembership, type KnownMember, type MembershipCall } from './etcd/membership.ts'
export { NO_MEMBERS, type StoreMember, type StoreMembers } from './members.ts'

export { openMemory, openSqlite, type SqliteOptions } from './sqlite-engine.ts'
export { MAX_KEY_BYTES, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_KEYS } from './transaction.ts'
