/**
 * acl/: who may do what. Rules, the authorizer, identities, validation of ACL objects, logins. No store, no routing.
 */
export { type Access, Authorizer, compileAuthorizer, type DefaultPolicy, manageAll } from './authorizer.ts'
export { ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET } from './builtin-ids.ts'
export { aclError } from './errors.ts'
export { policyHash, roleHash, tokenHash } from './hashes.ts'
export { parseRules, type PolicyRules } from './rules.ts'
