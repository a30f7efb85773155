/**
 * ACL.*: all operations on tokens, policies, roles, auth methods and binding rules.
 */
export {
  authMethodDelete,
  authMethodList,
  authMethodRead,
  authMethodSet,
  bindingRuleDelete,
  bindingRuleList,
  bindingRuleRead,
  bindingRuleSet,
} from './acl-auth-methods.ts'
export { authorize, bootstrapTokens, replicationStatus } from './acl-bootstrap.ts'
export { login, logout } from './acl-login.ts'
export { policyBatchRead, policyDelete, policyList, policyRead, policyResolve, policySet } from './acl-policies.ts'
export { roleBatchRead, roleDelete, roleList, roleRead, roleResolve, roleSet } from './acl-roles.ts'
export { tokenBatchRead, tokenClone, tokenDelete, tokenList, tokenRead, tokenSet } from './acl-tokens.ts'
