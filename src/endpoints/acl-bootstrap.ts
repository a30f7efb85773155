/**
 * ACL.BootstrapTokens, the objects that every datacenter has from its start, and ACL.Authorize.
 *
 * The bootstrap gives the first token, once. Who can write into the data directory of a server can allow another one:
 * by the reset index, which is the index of the last.
 */
import {
  aclError,
  anonymousToken,
  BOOTSTRAP_DESCRIPTION,
  builtinPolicies,
  checkBootstrapSecret,
  INITIAL_MANAGEMENT_DESCRIPTION,
  managementToken,
  timeText,
} from '#acl'
import { type Clock, type Random, uuid } from '#base'
import {
  ACLAuthorizationResponse,
  ACLInitialTokenBootstrapRequest,
  ACLReplicationStatus,
  ACLToken,
  DCSpecificRequest,
  list,
  RemoteACLAuthorizationRequest,
} from '#codec'
import type { State } from '#state'
import { callOperation, writeOperation } from './operation.ts'

/** Most questions of one ACL.Authorize. */
export const MAX_AUTHORIZATIONS = 64

export const bootstrapTokens = writeOperation({
  name: 'ACL.BootstrapTokens',
  args: ACLInitialTokenBootstrapRequest,
  reply: ACLToken,
  scope: 'datacenter',
  anyone: 'before the first token nobody has one; after it this is refused',
  async run({ state, acl, datacenter, primaryDatacenter, random, clock }, { BootstrapSecret }) {
    if (!acl.enabled) throw aclError('ACL_DISABLED', {})
    if (datacenter !== primaryDatacenter) throw aclError('BOOTSTRAP_NOT_PRIMARY', { primaryDatacenter })
    const last = state.read((tx) => tx.aclBootstrapIndex()).value
    const reset = last === undefined ? undefined : await acl.takeBootstrapReset()
    const createTime = timeText(clock.wallMs())
    const { value } = await state.write((tx) => {
      const resetIndex = tx.aclBootstrapIndex()
      if (resetIndex !== undefined && resetIndex !== reset) throw aclError('BOOTSTRAP_DONE', { resetIndex })
      checkBootstrapSecret(BootstrapSecret)
      if (BootstrapSecret !== '' && tx.aclTokens.bySecret(BootstrapSecret) !== undefined) {
        throw aclError('TOKEN_INVALID', { problem: 'SecretID is already in use' })
      }
      const token = managementToken({
        accessor: uuid(random),
        secret: BootstrapSecret || uuid(random),
        description: BOOTSTRAP_DESCRIPTION,
        createTime,
      })
      tx.putAclToken(token)
      tx.putAclBootstrap()
      return token
    })
    return state.read((tx) => tx.aclTokens.get(value.AccessorID)).value ?? value
  },
})

/** What the caller's token allows, for user interfaces. */
export const authorize = callOperation({
  name: 'ACL.Authorize',
  args: RemoteACLAuthorizationRequest,
  reply: list(ACLAuthorizationResponse),
  scope: 'datacenter',
  bearer: ({ Token }) => Token,
  anyone: 'a token may ask what it may do',
  async run({ rights, acl }, { Requests }) {
    if (!acl.enabled) throw aclError('ACL_DISABLED', {})
    if ((Requests ?? []).length > MAX_AUTHORIZATIONS) {
      throw aclError('PERMISSION_REFUSED', { reason: `more than ${MAX_AUTHORIZATIONS} questions at a time` })
    }
    return (Requests ?? []).map((request) => {
      const Allow = rights.allows.allows(request.Resource, request.Access, request.Segment)
      return ACLAuthorizationResponse.of({ ...request, Allow })
    })
  },
})

export const replicationStatus = callOperation({
  name: 'ACL.ReplicationStatus',
  args: DCSpecificRequest,
  reply: ACLReplicationStatus,
  scope: 'datacenter',
  // It is the leader that copies.
  onLeader: true,
  anyone: 'how far copies are, without what is in them',
  run: async ({ acl }) => acl.replicationStatus(),
})

/**
 * Writes the builtin policies, the anonymous token, and the token that the configuration names as the first one.
 *
 * @param initialManagement - its secret; empty for none
 */
export async function seedAcls(
  state: State,
  modules: { clock: Clock; random: Random },
  options: { primary: boolean; initialManagement: string },
): Promise<void> {
  const createTime = timeText(modules.clock.wallMs())
  await state.write((tx) => {
    for (const policy of builtinPolicies) if (tx.aclPolicies.get(policy.ID) === undefined) tx.putAclPolicy(policy)
    const anonymous = anonymousToken(createTime)
    if (tx.aclTokens.get(anonymous.AccessorID) === undefined) tx.putAclToken(anonymous)
    const { initialManagement: secret } = options
    if (!options.primary || secret === '' || tx.aclTokens.bySecret(secret) !== undefined) return
    const accessor = uuid(modules.random)
    tx.putAclToken(managementToken({ accessor, secret, description: INITIAL_MANAGEMENT_DESCRIPTION, createTime }))
    if (tx.aclBootstrapIndex() === undefined) tx.putAclBootstrap()
  })
}
