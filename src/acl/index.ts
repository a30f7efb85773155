/**
 * acl/: who may do what. Rules, the authorizer, identities, validation of ACL objects, logins. No store, no routing.
 */
export { type Access, Authorizer, compileAuthorizer, type DefaultPolicy, manageAll } from './authorizer.ts'
export { AuthorizerCache } from './authorizer-cache.ts'
export {
  bindIdentity,
  type IdentityShape,
  type LoginIdentity,
  type LoginLinks,
  prepareBindingRule,
} from './bindings.ts'
export {
  anonymousToken,
  BOOTSTRAP_DESCRIPTION,
  builtinPolicies,
  builtinPolicyById,
  INITIAL_MANAGEMENT_DESCRIPTION,
  managementToken,
} from './builtin.ts'
export { ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, GLOBAL_MANAGEMENT_ID } from './builtin-ids.ts'
export { aclError } from './errors.ts'
export { policyHash, roleHash, tokenHash } from './hashes.ts'
export { syntheticPolicy } from './identities.ts'
export { loginToken } from './login-token.ts'
export { checkPolicyDelete, freshId, preparePolicy, prepareRole } from './prepare-policy.ts'
export {
  checkBootstrapSecret,
  checkTokenDelete,
  EXPIRATION_BOUNDS,
  prepareChangedToken,
  prepareClone,
  prepareNewToken,
  timeText,
} from './prepare-token.ts'
export { currentLinks, expandToken, HIDDEN_SECRET, isExpired, policiesInForce } from './resolve.ts'
export { type PolicyRules, parseRules } from './rules.ts'
export { checkLookupId, type StoredObjects } from './stored-objects.ts'
export * from './templated-policies.ts'
