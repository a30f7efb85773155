/**
 * ACL.Login and ACL.Logout: a token for what an outside identity provider says, and its end.
 *
 * A login runs in the datacenter that is named, with its auth methods; a global token comes from the primary's.
 *
 * Source: RPC wire notes §10 "ACL".
 */
import { type AuthMethod, aclError, authMethod, bindIdentity, httpsTransport, isExpired, loginToken } from '#acl'
import type { Clock } from '#base'
import { type ACLAuthMethod, ACLLoginRequest, ACLLogoutRequest, ACLToken, bool } from '#codec'
import { needsTokens, storedObjects } from './acl-common.ts'
import { writeOperation } from './operation.ts'

/** A stored method stays the same object until it changes; what is ready for logins holds fetched keys. */
const ready = new WeakMap<ACLAuthMethod, AuthMethod>()

function readyMethod(stored: ACLAuthMethod, clock: Clock): AuthMethod {
  const known = ready.get(stored)
  if (known !== undefined) return known
  const made = authMethod(stored, { transport: httpsTransport, clock })
  ready.set(stored, made)
  return made
}

export const login = writeOperation({
  name: 'ACL.Login',
  args: ACLLoginRequest,
  reply: ACLToken,
  scope: 'datacenter',
  anyone: 'who logs in has no token yet; the auth method decides',
  async run(context, { Auth }) {
    needsTokens(context)
    const { state, random, clock, datacenter } = context
    const name = Auth?.AuthMethod ?? ''
    const method = state.read((tx) => tx.aclAuthMethods.get(name)).value
    if (Auth === null || method === undefined) throw aclError('AUTH_METHOD_NOT_FOUND', { name })
    const { login: ask, shape } = readyMethod(method, clock)
    const identity = await ask(Auth.BearerToken, context.signal())
    const { value } = await state.write((tx) => {
      // The method may have gone, or changed, while its provider was asked.
      if (tx.aclAuthMethods.get(name) !== method) throw aclError('AUTH_METHOD_NOT_FOUND', { name })
      const stored = storedObjects(tx)
      const links = bindIdentity(tx.aclBindingRules.ofAuthMethod(name), identity, shape, stored, datacenter)
      if (links === undefined) throw aclError('PERMISSION_REFUSED', { reason: '' })
      const token = loginToken(method, links, Auth.Meta, { stored, random, wallMs: clock.wallMs() })
      tx.putAclToken(token)
      return token
    })
    return state.read((tx) => tx.aclTokens.get(value.AccessorID)).value ?? value
  },
})

/** Ends the token that it is called with. */
export const logout = writeOperation({
  name: 'ACL.Logout',
  args: ACLLogoutRequest,
  reply: bool,
  scope: 'datacenter',
  inPrimary: ({ Token }, { look }) => Token !== '' && look((tx) => tx.aclTokens.bySecret(Token))?.Local !== true,
  anyone: 'who has a token may end it',
  async run({ state, acl, clock }, { Token }) {
    if (!acl.enabled) throw aclError('ACL_DISABLED', {})
    await state.write((tx) => {
      const token = tx.aclTokens.bySecret(Token)
      if (token === undefined || isExpired(token, clock.wallMs())) throw aclError('LOGOUT_UNKNOWN_TOKEN', {})
      if (token.AuthMethod === '') throw aclError('PERMISSION_REFUSED', { reason: "token wasn't created via login" })
      tx.deleteAclToken(token.AccessorID)
    })
    return true
  },
})
