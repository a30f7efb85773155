/**
 * ACL.Policy*: what tokens and roles may link to. Written in the primary; secondaries have copies.
 *
 * Source: RPC wire notes §7, §10 "ACL".
 */
import { aclError, checkLookupId, checkPolicyDelete, isExpired, preparePolicy } from '#acl'
import {
  ACLPolicy,
  ACLPolicyBatchGetRequest,
  ACLPolicyBatchResponse,
  ACLPolicyDeleteRequest,
  ACLPolicyGetRequest,
  ACLPolicyListRequest,
  ACLPolicyListResponse,
  ACLPolicyListStub,
  ACLPolicyResponse,
  ACLPolicySetRequest,
  string,
} from '#codec'
import { byName, needsAclRead, needsAclWrite, storedObjects } from './acl-common.ts'
import { readOperation, writeOperation } from './operation.ts'
import { linked } from './token-resolver.ts'

/** One policy, by ID or by name; none where there is none. */
export const policyRead = readOperation({
  name: 'ACL.PolicyRead',
  args: ACLPolicyGetRequest,
  reply: ACLPolicyResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  check({ PolicyID, PolicyName }) {
    if (PolicyID !== '' || PolicyName === '') checkLookupId('policy', PolicyID)
  },
  query(tx, { PolicyID, PolicyName }) {
    const found = PolicyID === '' ? tx.aclPolicies.byName(PolicyName) : tx.aclPolicies.get(PolicyID)
    return ACLPolicyResponse.of({ Policy: found ?? null })
  },
})

export const policyList = readOperation({
  name: 'ACL.PolicyList',
  args: ACLPolicyListRequest,
  reply: ACLPolicyListResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx) =>
    ACLPolicyListResponse.of({ Policies: byName(tx.aclPolicies.all()).map((policy) => ACLPolicyListStub.of(policy)) }),
})

/** The policies with these IDs; those that are not there are left out. */
export const policyBatchRead = readOperation({
  name: 'ACL.PolicyBatchRead',
  args: ACLPolicyBatchGetRequest,
  reply: ACLPolicyBatchResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx, { PolicyIDs }) =>
    ACLPolicyBatchResponse.of({ Policies: (PolicyIDs ?? []).flatMap((id) => tx.aclPolicies.get(id) ?? []) }),
})

/** Of these policies those that the caller's own token links to: how a secondary learns what a token may do. */
export const policyResolve = readOperation({
  name: 'ACL.PolicyResolve',
  args: ACLPolicyBatchGetRequest,
  reply: ACLPolicyBatchResponse,
  scope: 'datacenter',
  anyone: 'a token may read the policies that it links to, and no others',
  query(tx, { PolicyIDs, Token }, context) {
    const token = tx.aclTokens.bySecret(Token)
    if (token === undefined || isExpired(token, context.wallMs())) throw aclError('ACL_NOT_FOUND', { subject: '' })
    const own = linked(tx, token).policies
    return ACLPolicyBatchResponse.of({ Policies: own.filter(({ ID }) => PolicyIDs?.includes(ID)) })
  },
})

/** Makes a policy, or changes the one with this ID. */
export const policySet = writeOperation({
  name: 'ACL.PolicySet',
  args: ACLPolicySetRequest,
  reply: ACLPolicy,
  scope: 'primary',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run({ state, random }, { Policy }) {
    const { value } = await state.write((tx) => {
      const policy = preparePolicy(Policy, storedObjects(tx), random)
      tx.putAclPolicy(policy)
      return policy
    })
    return state.read((tx) => tx.aclPolicies.get(value.ID)).value ?? value
  },
})

/** Links to it stay and grant nothing. */
export const policyDelete = writeOperation({
  name: 'ACL.PolicyDelete',
  args: ACLPolicyDeleteRequest,
  reply: string,
  scope: 'primary',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run({ state }, { PolicyID }) {
    checkLookupId('policy', PolicyID)
    checkPolicyDelete(PolicyID)
    const { value } = await state.write((tx) => {
      const name = tx.aclPolicies.get(PolicyID)?.Name
      tx.deleteAclPolicy(PolicyID)
      return name
    })
    if (value === undefined) throw aclError('ACL_DELETE_NOT_FOUND', { kind: 'policy' })
    return value
  },
})
