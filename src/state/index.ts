/**
 * state/: tables, indexes and watches in memory, derived from the store's stream of changes; the only reader of stored
 * bytes.
 */
export type {
  AclAuthMethodsReader,
  AclBindingRulesReader,
  AclPoliciesReader,
  AclRolesReader,
  AclTokensReader,
} from './acl-accessors.ts'
export { StoredAuthority, StoredRoots } from './ca-declarations.ts'
export { stateError } from './errors.ts'
export { SCHEMA } from './header.ts'
export { RecordJson } from './record-json.ts'
export { type Dumped, RecordCheck } from './restore.ts'
export { DEFAULT_LOCK_DELAY_NS, type LockDelaysReader, type SessionsReader } from './session-accessors.ts'
export { checksOfSession } from './session-declarations.ts'
export { State, type StateOptions, type WriteOptions, type Written } from './state.ts'
export type {
  ChecksReader,
  ConfigEntriesReader,
  CoordinatesReader,
  FederationStatesReader,
  KvReader,
  NodesReader,
  Reading,
  ReadTx,
  ServiceInstance,
  ServicesReader,
  WriteTx,
} from './transactions.ts'
export type { Watch } from './watches.ts'
