/**
 * The table of all operations.
 */
import * as acl from './acl.ts'
import * as catalog from './catalog.ts'
import * as configEntry from './config-entry.ts'
import * as connectCa from './connect-ca.ts'
import * as coordinate from './coordinate.ts'
import * as discoveryChain from './discovery-chain.ts'
import * as federationState from './federation-state.ts'
import * as health from './health.ts'
import * as intention from './intention.ts'
import * as internal from './internal.ts'
import * as kvs from './kvs.ts'
import type { AnyOperation } from './operation.ts'
import * as operator from './operator.ts'
import * as session from './session.ts'
import * as status from './status.ts'
import * as txn from './txn.ts'

export const allOperations: readonly AnyOperation[] = [
  acl,
  catalog,
  configEntry,
  connectCa,
  coordinate,
  discoveryChain,
  federationState,
  health,
  intention,
  internal,
  kvs,
  operator,
  session,
  status,
  txn,
].flatMap((family): AnyOperation[] => Object.values(family).filter((each) => typeof each === 'object'))
