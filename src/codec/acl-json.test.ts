/**
 * JSON of the ACL objects: every recorded answer is read and written again to the same text.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as codec from './index.ts'

interface Exchange {
  readonly n: number
  readonly request: { readonly method: string; readonly path: string }
  readonly response: { readonly status: number; readonly body: string }
}

const { exchanges } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-acl.json', import.meta.url), 'utf8'),
) as { exchanges: Exchange[] }

/** Path → the schema of its answer; the first that fits. */
const ANSWERS: readonly (readonly [RegExp, codec.Kind<unknown>])[] = [
  [/^\/v1\/acl\/bootstrap/, codec.ACLBootstrapToken],
  [/^\/v1\/acl\/replication/, codec.ACLReplicationStatus],
  [/^\/v1\/acl\/policies/, codec.list(codec.ACLPolicyListStub)],
  [/^\/v1\/acl\/(policy|templated-policy\/preview)/, codec.ACLPolicy],
  [/^\/v1\/acl\/roles/, codec.list(codec.ACLRole)],
  [/^\/v1\/acl\/role/, codec.ACLRole],
  [/^\/v1\/acl\/tokens/, codec.list(codec.ACLTokenListStub)],
  [/^\/v1\/acl\/token\/.*expanded/, codec.ACLTokenExpanded],
  [/^\/v1\/acl\/token/, codec.ACLToken],
  [/^\/v1\/acl\/auth-methods/, codec.list(codec.ACLAuthMethodListStub)],
  [/^\/v1\/acl\/binding-rules/, codec.list(codec.ACLBindingRule)],
  [/^\/v1\/internal\/acl\/authorize/, codec.list(codec.ACLAuthorizationResponse)],
]

function rewritten<T>(kind: codec.Kind<T>, body: string): string {
  return codec.goJson(kind.toJson(kind.fromJson(codec.parseGoJson(body), '', { unknownKeys: 'refuse' })))
}

test('every recorded ACL answer in JSON is written again to the same text', () => {
  let checked = 0
  for (const { n, request, response } of exchanges) {
    if (response.status !== 200 || response.body === 'true') continue
    const kind = ANSWERS.find(([path]) => path.test(request.path))?.[1]
    if (kind === undefined) continue
    assert.equal(rewritten(kind, response.body), response.body, `#${n} ${request.path}`)
    checked++
  }
  assert.ok(checked >= 50, `only ${checked} answers were checked`)
})

test('ACLToken.fromJson() refuses a lifetime that is none in the recorded words', () => {
  const body = codec.parseGoJson('{"ExpirationTTL": "abc"}')
  assert.throws(() => codec.ACLToken.fromJson(body, '', { unknownKeys: 'refuse' }), {
    message: 'time: invalid duration "abc"',
  })
})

test('ACLToken carries a lifetime beyond 2^53 nanoseconds', () => {
  const token = codec.ACLToken.of({ ExpirationTTL: 100_000 * 3600e9 })
  assert.equal(codec.decode(codec.ACLToken, codec.encode(codec.ACLToken, token)).ExpirationTTL, token.ExpirationTTL)
})

test('an auth method and a binding rule are shown without what they do not have', () => {
  const method = codec.ACLAuthMethod.of({
    Name: 'k8s',
    Type: 'kubernetes',
    MaxTokenTTL: 300e9,
    Config: { Host: 'https://h' },
  })
  assert.equal(
    codec.goJson(codec.ACLAuthMethod.toJson(method)),
    '{"Name":"k8s","Type":"kubernetes","Description":"","MaxTokenTTL":"5m0s","Config":{"Host":"https://h"},"CreateIndex":0,"ModifyIndex":0}',
  )
  const rule = codec.ACLBindingRule.of({ ID: 'i', AuthMethod: 'k8s', BindType: 'service', BindName: 'x' })
  assert.equal(
    codec.goJson(codec.ACLBindingRule.toJson(rule)),
    '{"ID":"i","Description":"","AuthMethod":"k8s","Selector":"","BindType":"service","BindName":"x","CreateIndex":0,"ModifyIndex":0}',
  )
})

test('the smallest replies that a real secondary accepted are read', () => {
  const { vectors } = JSON.parse(
    readFileSync(new URL('../../test/vectors/minimal-primary-replies.json', import.meta.url), 'utf8'),
  ) as { vectors: { method: string; reply_body_hex: string }[] }
  const reply = <T>(method: string, kind: codec.Kind<T>): T => {
    const found = vectors.find((one) => one.method === method)
    return codec.decode(kind, Buffer.from(found?.reply_body_hex ?? '', 'hex'))
  }
  assert.equal(reply('ACL.PolicyList', codec.ACLPolicyListResponse).Policies?.[0]?.Name, 'global-management')
  assert.match(reply('ACL.PolicyBatchRead', codec.ACLPolicyBatchResponse).Policies?.[0]?.Rules ?? '', /^acl="write"/)
  assert.equal(reply('ACL.TokenList', codec.ACLTokenListResponse).Tokens?.[0]?.SecretID, '<hidden>')
  assert.equal(reply('ACL.TokenBatchRead', codec.ACLTokenBatchResponse).Tokens?.length, 2)
  assert.deepEqual(reply('ACL.RoleList', codec.ACLRoleListResponse).Roles, [])
})
