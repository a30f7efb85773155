/**
 * acl/: who may do what. Rules, the authorizer, identities, checks of ACL objects, logins. No store, no routing.
 */
export {
  type AuthMethod,
  type AuthMethodModules,
  type AuthMethodRules,
  authMethod,
  identityShape,
  prepareAuthMethod,
} from './auth-methods.ts'
export type { Access, Authorizer, DefaultPolicy } from './authorizer.ts'
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
  globalManagementPolicy,
  globalReadOnlyPolicy,
  INITIAL_MANAGEMENT_DESCRIPTION,
  managementToken,
} from './builtin.ts'
export {
  ANONYMOUS_ACCESSOR,
  ANONYMOUS_SECRET,
  GLOBAL_MANAGEMENT_ID,
  GLOBAL_READ_ONLY_ID,
  isUuid,
} from './builtin-ids.ts'
export {
  type AuthorizerOptions,
  agentRecoveryAuthorizer,
  compileAuthorizer,
  manageAll,
} from './compile-authorizer.ts'
export { aclError } from './errors.ts'
export { policyHash, roleHash, tokenHash } from './hashes.ts'
export { type HttpAnswer, type HttpQuestion, type HttpTransport, httpsTransport } from './http-transport.ts'
export { syntheticPolicy } from './identities.ts'
export { checkLoginMeta, loginDescription, loginToken } from './login-token.ts'
export { permissionDenied, requirePermission } from './permissions.ts'
export { checkPolicyDelete, preparePolicy, prepareRole } from './prepare-policy.ts'
export {
  checkBootstrapSecret,
  checkTokenDelete,
  EXPIRATION_BOUNDS,
  type ExpirationBounds,
  prepareChangedToken,
  prepareClone,
  prepareNewToken,
  type TokenModules,
  timeText,
} from './prepare-token.ts'
export {
  currentLinks,
  type ExpandedToken,
  expandToken,
  HIDDEN_SECRET,
  isExpired,
  type LinkedObjects,
  policiesInForce,
} from './resolve.ts'
export { type Level, type PolicyRules, parseRules } from './rules.ts'
export { checkLookupId, type StoredObjects } from './stored-objects.ts'
export {
  checkTemplateVariables,
  type TemplatedPolicyDefinition,
  templatedPolicies,
  templatedPolicy,
} from './templated-policies.ts'
