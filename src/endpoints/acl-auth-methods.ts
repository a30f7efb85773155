/**
 * ACL.AuthMethod* and ACL.BindingRule*: whom a datacenter trusts to say who someone is, and what that is worth.
 *
 * Both live in the datacenter where they are written and are not copied.
 *
 * Source: RPC wire notes §10 "ACL".
 */
import { aclError, checkLookupId, EXPIRATION_BOUNDS, identityShape, prepareAuthMethod, prepareBindingRule } from '#acl'
import {
  ACLAuthMethod,
  ACLAuthMethodDeleteRequest,
  ACLAuthMethodGetRequest,
  ACLAuthMethodListRequest,
  ACLAuthMethodListResponse,
  ACLAuthMethodListStub,
  ACLAuthMethodResponse,
  ACLAuthMethodSetRequest,
  ACLBindingRule,
  ACLBindingRuleDeleteRequest,
  ACLBindingRuleGetRequest,
  ACLBindingRuleListRequest,
  ACLBindingRuleListResponse,
  ACLBindingRuleResponse,
  ACLBindingRuleSetRequest,
  bool,
} from '#codec'
import type { State } from '#state'
import { byName, needsAclRead, needsAclWrite, needsTokens, storedObjects } from './acl-common.ts'
import { readOperation, writeOperation } from './operation.ts'

/** Objects that go with their auth method, deleted so many at a time. */
const DELETED_AT_A_TIME = 64

export const authMethodRead = readOperation({
  name: 'ACL.AuthMethodRead',
  args: ACLAuthMethodGetRequest,
  reply: ACLAuthMethodResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx, { AuthMethodName }) =>
    ACLAuthMethodResponse.of({ AuthMethod: tx.aclAuthMethods.get(AuthMethodName) ?? null }),
})

export const authMethodList = readOperation({
  name: 'ACL.AuthMethodList',
  args: ACLAuthMethodListRequest,
  reply: ACLAuthMethodListResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx) =>
    ACLAuthMethodListResponse.of({
      AuthMethods: byName(tx.aclAuthMethods.all()).map((method) => ACLAuthMethodListStub.of(method)),
    }),
})

/** Makes or changes the auth method of that name. */
export const authMethodSet = writeOperation({
  name: 'ACL.AuthMethodSet',
  args: ACLAuthMethodSetRequest,
  reply: ACLAuthMethod,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run(context, { AuthMethod }) {
    needsTokens(context)
    const { state, datacenter, primaryDatacenter } = context
    const { value } = await state.write((tx) => {
      const before = tx.aclAuthMethods.get(AuthMethod.Name)
      const primary = datacenter === primaryDatacenter
      const method = prepareAuthMethod(AuthMethod, { before, primary, bounds: EXPIRATION_BOUNDS })
      tx.putAclAuthMethod(method)
      return method
    })
    return state.read((tx) => tx.aclAuthMethods.get(value.Name)).value ?? value
  },
})

/** With its binding rules, and with all tokens that came through it. */
export const authMethodDelete = writeOperation({
  name: 'ACL.AuthMethodDelete',
  args: ACLAuthMethodDeleteRequest,
  reply: bool,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run(context, { AuthMethodName }) {
    needsTokens(context)
    const { state } = context
    if (state.read((tx) => tx.aclAuthMethods.get(AuthMethodName)).value === undefined) {
      throw aclError('ACL_DELETE_NOT_FOUND', { kind: 'auth method' })
    }
    await deleteTokens(state, AuthMethodName)
    await deleteRules(state, AuthMethodName)
    await state.write((tx) => tx.deleteAclAuthMethod(AuthMethodName))
    // Of logins that were under way.
    await deleteTokens(state, AuthMethodName)
    return true
  },
})

async function deleteTokens(state: State, method: string): Promise<void> {
  for (;;) {
    const { value: left } = await state.write((tx) => {
      const some = tx.aclTokens.ofAuthMethod(method).slice(0, DELETED_AT_A_TIME)
      for (const { AccessorID } of some) tx.deleteAclToken(AccessorID)
      return some.length
    })
    if (left < DELETED_AT_A_TIME) return
  }
}

async function deleteRules(state: State, method: string): Promise<void> {
  for (;;) {
    const { value: left } = await state.write((tx) => {
      const some = tx.aclBindingRules.ofAuthMethod(method).slice(0, DELETED_AT_A_TIME)
      for (const { ID } of some) tx.deleteAclBindingRule(ID)
      return some.length
    })
    if (left < DELETED_AT_A_TIME) return
  }
}

export const bindingRuleRead = readOperation({
  name: 'ACL.BindingRuleRead',
  args: ACLBindingRuleGetRequest,
  reply: ACLBindingRuleResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  check: ({ BindingRuleID }) => checkLookupId('binding rule', BindingRuleID),
  query: (tx, { BindingRuleID }) =>
    ACLBindingRuleResponse.of({ BindingRule: tx.aclBindingRules.get(BindingRuleID) ?? null }),
})

/** All binding rules, or those of one auth method. */
export const bindingRuleList = readOperation({
  name: 'ACL.BindingRuleList',
  args: ACLBindingRuleListRequest,
  reply: ACLBindingRuleListResponse,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclRead(rights, facts),
  query: (tx, { AuthMethod }) =>
    ACLBindingRuleListResponse.of({
      BindingRules: AuthMethod === '' ? tx.aclBindingRules.all() : tx.aclBindingRules.ofAuthMethod(AuthMethod),
    }),
})

/** Makes a binding rule, or changes the one with this ID. */
export const bindingRuleSet = writeOperation({
  name: 'ACL.BindingRuleSet',
  args: ACLBindingRuleSetRequest,
  reply: ACLBindingRule,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run(context, { BindingRule }) {
    needsTokens(context)
    const { state, random } = context
    const { value } = await state.write((tx) => {
      const shapeOf = (name: string) => {
        const method = tx.aclAuthMethods.get(name)
        return method && identityShape(method)
      }
      const rule = prepareBindingRule(BindingRule, shapeOf, storedObjects(tx), random)
      tx.putAclBindingRule(rule)
      return rule
    })
    return state.read((tx) => tx.aclBindingRules.get(value.ID)).value ?? value
  },
})

export const bindingRuleDelete = writeOperation({
  name: 'ACL.BindingRuleDelete',
  args: ACLBindingRuleDeleteRequest,
  reply: bool,
  scope: 'datacenter',
  authorize: (_, rights, facts) => needsAclWrite(rights, facts),
  async run(context, { BindingRuleID }) {
    needsTokens(context)
    checkLookupId('binding rule', BindingRuleID)
    const { value: deleted } = await context.state.write((tx) => tx.deleteAclBindingRule(BindingRuleID))
    if (!deleted) throw aclError('ACL_DELETE_NOT_FOUND', { kind: 'binding rule' })
    return true
  },
})
