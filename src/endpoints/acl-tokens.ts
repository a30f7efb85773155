/**
 * ACL.Token*: reading and writing tokens. Global ones are written in the primary, local ones where they are made.
 *
 * A secret is shown to its bearer and to those who may write ACLs; to all others it is hidden.
 *
 * Source: RPC wire notes §7, §10 "ACL".
 */
import {
  aclError,
  checkLookupId,
  checkTokenDelete,
  currentLinks,
  EXPIRATION_BOUNDS,
  HIDDEN_SECRET,
  isExpired,
  prepareChangedToken,
  prepareClone,
  prepareNewToken,
} from '#acl'
import {
  ACLToken,
  ACLTokenBatchGetRequest,
  ACLTokenBatchResponse,
  ACLTokenDeleteRequest,
  ACLTokenGetRequest,
  ACLTokenListRequest,
  ACLTokenListResponse,
  ACLTokenListStub,
  ACLTokenResponse,
  ACLTokenSetRequest,
  string,
} from '#codec'
import type { ReadTx, WriteTx } from '#state'
import { keepsTokens, needsAclRead, needsAclWrite, storedObjects } from './acl-common.ts'
import { type CallContext, readOperation, writeOperation } from './operation.ts'
import type { Facts, Kept, Rights } from './rights.ts'
import { linked } from './token-resolver.ts'

const BY_SECRET = 'secret'

/** The token with today's names of what it links to. */
function shown(tx: ReadTx, token: ACLToken): ACLToken {
  return {
    ...token,
    Policies: currentLinks(token.Policies, (id) => tx.aclPolicies.get(id)),
    Roles: currentLinks(token.Roles, (id) => tx.aclRoles.get(id)),
  }
}

/** Reads go to the primary where tokens are not copied here. */
const readsInPrimary = ({ acl }: Facts): boolean => acl.enabled && !acl.replicatesTokens

/** One token, by its accessor or by its secret, which is proof enough. */
export const tokenRead = readOperation({
  name: 'ACL.TokenRead',
  args: ACLTokenGetRequest,
  reply: ACLTokenResponse,
  scope: 'datacenter',
  inPrimary: (_, facts) => readsInPrimary(facts),
  bearer: ({ TokenIDType, Token }) => (TokenIDType === BY_SECRET ? '' : Token),
  authorize(args, rights, facts) {
    if (args.TokenIDType !== BY_SECRET) needsAclRead(rights, facts)
    else if (!facts.acl.enabled) throw aclError('ACL_DISABLED', {})
  },
  check(args) {
    if (args.TokenIDType !== BY_SECRET) checkLookupId('token', args.TokenID)
  },
  query(tx, args, context) {
    const found = args.TokenIDType === BY_SECRET ? tx.aclTokens.bySecret(args.TokenID) : tx.aclTokens.get(args.TokenID)
    if (found === undefined || isExpired(found, context.wallMs())) return ACLTokenResponse.of()
    const Token = shown(tx, found)
    if (!args.Expanded) return ACLTokenResponse.of({ Token, SourceDatacenter: context.datacenter })
    const { policies, roles } = linked(tx, found)
    return ACLTokenResponse.of({
      Token,
      SourceDatacenter: context.datacenter,
      ExpandedPolicies: policies.length === 0 ? null : policies,
      ExpandedRoles: roles.length === 0 ? null : roles,
    })
  },
  filter(reply, rights, args) {
    if (args.TokenIDType === BY_SECRET || reply.Token === null || rights.allows.aclWrite()) {
      return { reply, filtered: false }
    }
    return { reply: { ...reply, Token: { ...reply.Token, SecretID: HIDDEN_SECRET }, Redacted: true }, filtered: false }
  },
})

/** All tokens that pass the conditions, without what they come to. */
export const tokenList = readOperation({
  name: 'ACL.TokenList',
  args: ACLTokenListRequest,
  reply: ACLTokenListResponse,
  scope: 'datacenter',
  inPrimary: (_, facts) => readsInPrimary(facts),
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query(tx, args, context) {
    // Neither said: both.
    const both = args.IncludeLocal === args.IncludeGlobal
    const tokens = candidates(tx, args)
      .filter(({ Local }) => both || Local === args.IncludeLocal)
      .filter((token) => matches(token, args) && !isExpired(token, context.wallMs()))
      .sort((a, b) => (a.SecretID < b.SecretID ? -1 : 1))
    return ACLTokenListResponse.of({ Tokens: tokens.map((token) => ACLTokenListStub.of(shown(tx, token))) })
  },
  filter: (reply, rights) => withoutSecrets(reply, rights),
})

function candidates(tx: ReadTx, { Policy, Role, AuthMethod }: ACLTokenListRequest): readonly ACLToken[] {
  if (Policy !== '') return tx.aclTokens.ofPolicy(Policy)
  if (Role !== '') return tx.aclTokens.ofRole(Role)
  return AuthMethod === '' ? tx.aclTokens.all() : tx.aclTokens.ofAuthMethod(AuthMethod)
}

function matches(token: ACLToken, { Role, AuthMethod, ServiceName }: ACLTokenListRequest): boolean {
  return (
    (Role === '' || (token.Roles ?? []).some(({ ID }) => ID === Role)) &&
    (AuthMethod === '' || token.AuthMethod === AuthMethod) &&
    (ServiceName === '' || (token.ServiceIdentities ?? []).some((identity) => identity.ServiceName === ServiceName))
  )
}

/** The tokens with these accessors; those that are not there are left out. */
export const tokenBatchRead = readOperation({
  name: 'ACL.TokenBatchRead',
  args: ACLTokenBatchGetRequest,
  reply: ACLTokenBatchResponse,
  scope: 'datacenter',
  inPrimary: (_, facts) => readsInPrimary(facts),
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query(tx, args, context) {
    const found = (args.AccessorIDs ?? []).flatMap((accessor) => tx.aclTokens.get(accessor) ?? [])
    const living = found.filter((token) => !isExpired(token, context.wallMs()))
    return ACLTokenBatchResponse.of({ Tokens: living.map((token) => shown(tx, token)) })
  },
  filter(reply, rights) {
    const kept = withoutSecrets(reply, rights)
    return { ...kept, reply: { ...kept.reply, Redacted: kept.reply !== reply } }
  },
})

function withoutSecrets<T extends { readonly SecretID: string }, R extends { readonly Tokens: readonly T[] | null }>(
  reply: R,
  rights: Rights,
): Kept<R> {
  if (rights.allows.aclWrite() || (reply.Tokens ?? []).length === 0) return { reply, filtered: false }
  const Tokens = reply.Tokens?.map((token) => ({ ...token, SecretID: HIDDEN_SECRET })) ?? null
  return { reply: { ...reply, Tokens }, filtered: false }
}

/** Makes a token (`Create`, or no accessor) or changes one. */
export const tokenSet = writeOperation({
  name: 'ACL.TokenSet',
  args: ACLTokenSetRequest,
  reply: ACLToken,
  scope: 'datacenter',
  inPrimary: ({ ACLToken: token }) => !token.Local,
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  run: (context, { ACLToken: given, Create }) =>
    write(context, (tx) => {
      const modules = { ...modulesOf(context), stored: storedObjects(tx) }
      return Create || given.AccessorID === '' ? prepareNewToken(given, modules) : prepareChangedToken(given, modules)
    }),
})

/** Makes a token with the rights of another one. */
export const tokenClone = writeOperation({
  name: 'ACL.TokenClone',
  args: ACLTokenSetRequest,
  reply: ACLToken,
  scope: 'datacenter',
  inPrimary: ({ ACLToken: token }, facts) => isGlobal(token.AccessorID, facts),
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  run: (context, { ACLToken: { AccessorID, Description } }) =>
    write(context, (tx) => {
      const source = tx.aclTokens.get(AccessorID)
      if (source === undefined || isExpired(source, context.wallMs())) throw aclError('ACL_NOT_FOUND', { subject: '' })
      return prepareClone(source, Description, { ...modulesOf(context), stored: storedObjects(tx) })
    }),
})

function modulesOf(context: CallContext) {
  const { random, clock } = context
  return { random, wallMs: clock.wallMs(), bounds: EXPIRATION_BOUNDS, localTokens: keepsTokens(context) }
}

async function write({ state }: CallContext, make: (tx: WriteTx) => ACLToken): Promise<ACLToken> {
  const { value } = await state.write((tx) => {
    const token = make(tx)
    tx.putAclToken(token)
    return token
  })
  return (
    state.read((tx) => {
      const token = tx.aclTokens.get(value.AccessorID)
      return token && shown(tx, token)
    }).value ?? value
  )
}

/** What is not here can only be of the primary. */
function isGlobal(accessor: string, { look }: Facts): boolean {
  return look((tx) => tx.aclTokens.get(accessor))?.Local !== true
}

export const tokenDelete = writeOperation({
  name: 'ACL.TokenDelete',
  args: ACLTokenDeleteRequest,
  reply: string,
  scope: 'datacenter',
  inPrimary: ({ TokenID }, facts) => isGlobal(TokenID, facts),
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run({ state, rights }, { TokenID }) {
    checkLookupId('token', TokenID)
    checkTokenDelete(TokenID, rights.accessor)
    const { value: deleted } = await state.write((tx) => tx.deleteAclToken(TokenID))
    if (!deleted) throw aclError('ACL_DELETE_NOT_FOUND', { kind: 'token' })
    return TokenID
  },
})
