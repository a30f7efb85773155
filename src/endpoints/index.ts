/**
 * endpoints/: every operation by its wire name, and the one way in for all of them: routing, blocking, consistency,
 * shared answers.
 */
export * as acl from './acl.ts'
export { seedAcls } from './acl-bootstrap.ts'
export { type AclPort, type DownPolicy, NO_ACLS } from './acl-port.ts'
export { reapExpiredTokens } from './acl-reaper.ts'
export * as catalog from './catalog.ts'
export * as configEntry from './config-entry.ts'
export * as connectCa from './connect-ca.ts'
export * as coordinate from './coordinate.ts'
export * as discoveryChain from './discovery-chain.ts'
export {
  type CallOptions,
  Endpoints,
  type EndpointsOptions,
} from './endpoints.ts'
export { entrySource } from './entry-source.ts'
export { endpointError } from './errors.ts'
export * as federationState from './federation-state.ts'
export { healthCheckFields } from './filter-fields.ts'
export { ALWAYS_FRESH, type Contact } from './freshness.ts'
export * as health from './health.ts'
export * as intention from './intention.ts'
export * as internal from './internal.ts'
export * as kvs from './kvs.ts'
export type { LiveAnswer, LiveLimits, WaitOptions } from './live-answers.ts'
export type {
  AnyOperation,
  CallContext,
  CallOperation,
  Operation,
  ReadArgs,
  ReadContext,
  ReadOperation,
  RoutedArgs,
  Scope,
} from './operation.ts'
export { allOperations } from './operations.ts'
export * as operator from './operator.ts'
export type {
  CAPort,
  DatacenterServer,
  EventPort,
  ForwardRequest,
  Freshness,
  KeyringPort,
  Ports,
  Router,
  ServersPort,
  StreamRequest,
} from './ports.ts'
export { ALL_RIGHTS, type Facts, type Kept, keep, type Look, Rights } from './rights.ts'
export * as session from './session.ts'
export { expireSessions } from './session-expiry.ts'
export type { SavedSnapshot } from './snapshot-call.ts'
export { serveSnapshot } from './snapshot-stream.ts'
export type { Snapshots } from './snapshots.ts'
export * as status from './status.ts'
export { SUBSCRIBE_PATH, serveSubscription } from './subscribe.ts'
export * as txn from './txn.ts'
export type { Waits } from './waits.ts'
