/**
 * Refusals of the authorizer: every recorded text, word for word.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANONYMOUS_ACCESSOR } from './builtin-ids.ts'
import { aclError } from './errors.ts'
import { recordedExchanges } from './fixture.ts'
import { permissionDenied, requirePermission } from './permissions.ts'

const LACKS =
  /^Permission denied: (anonymous token|token with AccessorID '([^']*)') lacks permission '([^']+)'(?: on "([^"]*)")?/

test('permissionDenied() words every recorded refusal', () => {
  let checked = 0
  for (const { response } of recordedExchanges) {
    const match = LACKS.exec(response.body)
    if (match === null) continue
    const [, who, accessor, permission, resource] = match
    const made = permissionDenied(
      who === 'anonymous token' ? ANONYMOUS_ACCESSOR : (accessor ?? ''),
      permission ?? '',
      resource,
    )
    assert.equal(made.message, response.body)
    assert.equal(made.status, response.status)
    checked++
  }
  assert.ok(checked >= 7)
})

test('requirePermission() lets the allowed pass and names what the others lack', () => {
  requirePermission('a', true, 'key:read', 'x')
  assert.throws(() => requirePermission('a', false, 'key:read', 'x'), {
    message: `Permission denied: token with AccessorID 'a' lacks permission 'key:read' on "x"`,
    status: 403,
  })
})

test('refusals without a permission are the recorded ones', () => {
  const texts = new Map(recordedExchanges.map(({ response }) => [response.body, response.status]))
  for (const made of [
    aclError('PERMISSION_REFUSED', { reason: "token wasn't created via login" }),
    aclError('ACL_NOT_FOUND', { subject: 'token does not exist' }),
    aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'policy' }),
    aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'binding rule' }),
    aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'auth method' }),
    aclError('ACL_DELETE_NOT_FOUND', { kind: 'token' }),
    aclError('AUTH_METHOD_NOT_FOUND', { name: 'nope' }),
    aclError('BOOTSTRAP_NOT_PRIMARY', { primaryDatacenter: 'dc1' }),
    aclError('LOGOUT_UNKNOWN_TOKEN', {}),
    aclError('CREATE_WITH_ID', { kind: 'policy' }),
    aclError('BINDING_RULE_NO_METHOD', { name: 'nope' }),
    aclError('LOOKUP_ID_INVALID', { kind: 'token' }),
  ]) {
    assert.equal(texts.get(made.message), made.status, made.message)
  }
})
