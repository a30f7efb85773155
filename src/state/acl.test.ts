/**
 * The access control tables: how objects are found, what wakes who waits, and what survives.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACLAuthMethod, ACLBindingRule, ACLPolicy, ACLRole, ACLToken } from '#codec'
import { stateOver, withState } from './test-state.ts'

const ACCESSOR = 'aaaaaaaa-0000-4000-8000-000000000001'
const SECRET = 'bbbbbbbb-0000-4000-8000-000000000001'
const POLICY = 'cccccccc-0000-4000-8000-000000000001'
const ROLE = 'dddddddd-0000-4000-8000-000000000001'

const token = (more: Partial<ACLToken> = {}): ACLToken =>
  ACLToken.of({ AccessorID: ACCESSOR, SecretID: SECRET, Policies: [{ ID: POLICY, Name: '' }], ...more })

test('aclTokens are found by accessor, secret, policy, role and auth method, and only by what they have', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putAclToken(token({ Roles: [{ ID: ROLE, Name: '' }], AuthMethod: 'm' })))
    const found = state.read((tx) => [
      tx.aclTokens.get(ACCESSOR.toUpperCase()),
      tx.aclTokens.bySecret(SECRET),
      tx.aclTokens.ofPolicy(POLICY)[0],
      tx.aclTokens.ofRole(ROLE)[0],
      tx.aclTokens.ofAuthMethod('m')[0],
      tx.aclTokens.all()[0],
    ]).value
    for (const one of found) assert.equal(one?.AccessorID, ACCESSOR)
    const none = state.read((tx) => [
      tx.aclTokens.bySecret(ACCESSOR),
      tx.aclTokens.get(SECRET),
      tx.aclTokens.ofRole(POLICY)[0],
    ])
    assert.deepEqual(none.value, [undefined, undefined, undefined])
  }))

test('aclTokens.bySecret() wakes who asked for a secret when it appears, and nobody else', () =>
  withState(async (state) => {
    const waiting = state.read((tx) => tx.aclTokens.bySecret(SECRET))
    const other = state.read((tx) => tx.aclTokens.bySecret('x'))
    await state.write((tx) => tx.putAclToken(token()))
    assert.equal(waiting.watch.fired, true)
    assert.equal(other.watch.fired, false)
    const there = state.read((tx) => tx.aclTokens.bySecret(SECRET))
    await state.write((tx) => tx.deleteAclToken(ACCESSOR))
    assert.equal(there.watch.fired, true)
    const gone = state.read((tx) => tx.aclTokens.bySecret(SECRET))
    assert.equal(gone.value, undefined)
    assert.ok(gone.index > there.index)
  }))

test('aclPolicies and aclRoles are found by name whatever its case', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putAclPolicy(ACLPolicy.of({ ID: POLICY, Name: 'Web', Hash: Buffer.from('h') })),
      tx.putAclRole(ACLRole.of({ ID: ROLE, Name: 'Ops', Policies: [{ ID: POLICY, Name: 'Web' }] })),
    ])
    const { value } = state.read((tx) => [
      tx.aclPolicies.byName('wEB')?.ID,
      tx.aclRoles.byName('oPS')?.ID,
      tx.aclRoles.ofPolicy(POLICY)[0]?.ID,
    ])
    assert.deepEqual(value, [POLICY, ROLE, ROLE])
    assert.equal((await state.write((tx) => tx.deleteAclPolicy(POLICY))).value, true)
    assert.equal(state.read((tx) => tx.aclPolicies.byName('web')).value, undefined)
    assert.equal((await state.write((tx) => tx.deleteAclRole(ROLE))).value, true)
  }))

test('aclBindingRules are found by their auth method, whose name keeps its case', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putAclAuthMethod(ACLAuthMethod.of({ Name: 'K', Type: 'jwt', Config: { a: ['b'] } })),
      tx.putAclBindingRule(ACLBindingRule.of({ ID: ROLE, AuthMethod: 'K' })),
    ])
    const { value } = state.read((tx) => [
      tx.aclAuthMethods.get('K')?.Config,
      tx.aclAuthMethods.get('k'),
      tx.aclBindingRules.ofAuthMethod('K').length,
      tx.aclBindingRules.all().length,
    ])
    assert.deepEqual(value, [{ a: ['b'] }, undefined, 1, 1])
    const deleted = await state.write((tx) => [tx.deleteAclBindingRule(ROLE), tx.deleteAclAuthMethod('K')])
    assert.deepEqual(deleted.value, [true, true])
    assert.deepEqual(state.read((tx) => [tx.aclAuthMethods.all(), tx.aclBindingRules.get(ROLE)]).value, [[], undefined])
  }))

test('aclBootstrapIndex() is that of the last bootstrap, also after a restart', () =>
  withState(async (state, engine) => {
    assert.equal(state.read((tx) => tx.aclBootstrapIndex()).value, undefined)
    const first = await state.write((tx) => tx.putAclBootstrap())
    assert.equal(state.read((tx) => tx.aclBootstrapIndex()).value, first.index)
    const second = await state.write((tx) => [tx.putAclBootstrap(), tx.putAclToken(token())])
    const again = await stateOver(engine)
    assert.equal(again.read((tx) => tx.aclBootstrapIndex()).value, second.index)
    assert.equal(again.read((tx) => tx.aclTokens.bySecret(SECRET)).value?.AccessorID, ACCESSOR)
    await again.close()
  }))
