/**
 * mesh/: config entries, intentions, discovery chains, what one proxy must know. Pure.
 */

export { authorizeConnection, buildSnapshot, type ConnectionDecision, type SnapshotInputs } from './build-snapshot.ts'
export { type ChainRequest, CONNECT_TIMEOUT_NS_DEFAULT, serviceProtocol } from './chain-context.ts'
export { checkDelete, checkWrite } from './check-write.ts'
export { compileChain } from './compile-chain.ts'
export { customizationHash, type EffectiveOverrides } from './customization-hash.ts'
export { decodeChainOverrides, decodeEntryHcl, decodeEntryJson, entryFromValue } from './decode-entry.ts'
export { type DialAttempt, dialPlan, MAX_ATTEMPTS_PER_TARGET } from './dial-plan.ts'
export { type EntryChange, EntrySet, type EntrySource, withChange } from './entry-source.ts'
export { meshError } from './errors.ts'
export {
  createLegacyIntention,
  type IntentionEdit,
  type LegacyIssue,
  removeIntention,
  removeLegacyIntention,
  updateLegacyIntention,
  upsertIntention,
} from './intention-edit.ts'
export {
  byPrecedence,
  checkIntention,
  type Decision,
  decide,
  exactIntention,
  type IntentionMatch,
  intentionById,
  intentionsOf,
  listIntentions,
  matchIntentions,
} from './intention-view.ts'
export {
  datacenterSni,
  parseServiceSpiffeId,
  seesRequests,
  serviceSni,
  serviceSpiffeId,
  type TargetName,
  targetId,
} from './names.ts'
export { entryHash, intentionPrecedence, normalizeEntry, storedEntry } from './normalize-entry.ts'
export type * from './proxy-snapshot.ts'
export { resolveServiceConfig, type ServiceConfigQuestion } from './service-config.ts'
export { type EndpointSources, endpointsOf, gatewayOf } from './snapshot-endpoints.ts'
export { ProxySnapshot } from './snapshot-schema.ts'
export {
  gatewayDatacenters,
  type UpstreamContext,
  type UpstreamQuestion,
  upstreamQuestions,
} from './snapshot-upstreams.ts'
export { validateEntry } from './validate-entry.ts'
