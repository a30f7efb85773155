/**
 * Tokens in two datacenters: good at once, as long as they last, no further than they reach, and what counts while the
 * primary is gone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock, systemRandom } from '#base'
import { ACLPolicy, ACLToken, DCSpecificRequest, decode, KeyRequest, Node } from '#codec'
import * as acl from './acl.ts'
import { seedAcls } from './acl-bootstrap.ts'
import type { AclPort } from './acl-port.ts'
import * as catalog from './catalog.ts'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import * as kvs from './kvs.ts'

const POLICY = 'dddddddd-0000-4000-8000-00000000000d'
const id = (digit: number) => `aaaaaaaa-0000-4000-8000-00000000000${digit}`
const ON: Partial<AclPort> = {
  enabled: true,
  defaultPolicy: 'deny',
  replicatesTokens: true,
  replicationToken: () => 'x',
}

async function withFederation(use: (all: Federation) => Promise<void>, options: Partial<AclPort> = {}): Promise<void> {
  const all = await federation(['dc1', 'dc2'], { acl: { ...ON, ...options } })
  try {
    for (const name of ['dc1', 'dc2']) {
      const settings = { primary: name === 'dc1', initialManagement: '' }
      await seedAcls(all.of(name).state, { clock: systemClock, random: systemRandom }, settings)
    }
    await use(all)
  } finally {
    await all.close()
  }
}

async function putToken(where: Datacenter, digit: number, more: Partial<ACLToken> = {}): Promise<string> {
  const Policies = [{ ID: POLICY, Name: '' }]
  const token = ACLToken.of({ AccessorID: id(digit), SecretID: id(digit), Policies, ...more })
  await where.state.write((tx) => {
    tx.putAclPolicy(ACLPolicy.of({ ID: POLICY, Name: 'p', Rules: 'node_prefix "" { policy = "read" }' }))
    tx.putAclToken(token)
  })
  return id(digit)
}

const nodes = (where: Datacenter, Token: string, more: Partial<DCSpecificRequest> = {}) =>
  where.endpoints.call(catalog.listNodes, DCSpecificRequest.of({ Token, ...more }))

test('a token that only the primary knows is good in a secondary at once, and asked about once', () =>
  withFederation(async (all) => {
    const token = await putToken(all.of('dc1'), 1)
    const dc2 = all.of('dc2')
    await dc2.state.write((tx) => tx.putNode(Node.of({ Node: 'n', Address: '10.0.0.1' })))
    assert.equal((await nodes(dc2, token)).Nodes?.length, 1)
    assert.equal((await nodes(dc2, token)).Nodes?.length, 1)
    assert.equal(dc2.sent.filter(({ method }) => method === 'ACL.TokenRead').length, 1)
  }))

test('a token of the primary alone is nobody in a secondary', () =>
  withFederation(async (all) => {
    const token = await putToken(all.of('dc1'), 1, { Local: true })
    await assert.rejects(nodes(all.of('dc2'), token), { code: 'ACL_NOT_FOUND' })
  }))

test('a local token is not sent to another datacenter', () =>
  withFederation(async (all) => {
    const dc2 = all.of('dc2')
    const local = await putToken(dc2, 1, { Local: true })
    const global = await putToken(dc2, 2)
    await nodes(dc2, local, { Datacenter: 'dc1' })
    await assert.rejects(nodes(dc2, global, { Datacenter: 'dc1' }), { code: 'REMOTE_REFUSED', status: 403 })
    const tokens = dc2.sent.map(({ body }) => decode(DCSpecificRequest, body).Token)
    assert.deepEqual(tokens, ['', global])
  }))

test('a token ends when its time is over, though its rights were kept', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    const ExpirationTime = new Date(systemClock.wallMs() + 300).toISOString()
    const token = await putToken(dc1, 1, { ExpirationTime })
    await nodes(dc1, token)
    await new Promise((resolve) => setTimeout(resolve, 350))
    await assert.rejects(nodes(dc1, token), { code: 'ACL_NOT_FOUND' })
  }))

test('a policy that changes, and a token that goes, count at the next question', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    const Token = await putToken(dc1, 1)
    const read = () => dc1.endpoints.call(kvs.get, KeyRequest.of({ Key: 'k', Token }))
    await assert.rejects(read(), { code: 'PERMISSION_DENIED' })
    await dc1.state.write((tx) =>
      tx.putAclPolicy(ACLPolicy.of({ ID: POLICY, Name: 'p', Rules: 'key "k" { policy = "read" }' })),
    )
    await read()
    await dc1.state.write((tx) => tx.deleteAclToken(Token))
    await assert.rejects(read(), { code: 'ACL_NOT_FOUND' })
  }))

test('who waits for a change is asked for its rights again when it comes', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    const token = await putToken(dc1, 1)
    const { Index } = await nodes(dc1, token)
    const waiting = nodes(dc1, token, { MinQueryIndex: Index })
    const refused = assert.rejects(waiting, { code: 'ACL_NOT_FOUND' })
    await dc1.state.write((tx) => tx.deleteAclToken(token))
    await dc1.state.write((tx) => tx.putNode(Node.of({ Node: 'n', Address: '10.0.0.1' })))
    await refused
  }))

test('tokens with equal rights share an answer; the anonymous is told of nothing left out', () =>
  withFederation(async (all) => {
    const dc1 = all.of('dc1')
    const [one, two] = [await putToken(dc1, 1), await putToken(dc1, 2)]
    const other = await putToken(dc1, 3, { Policies: null })
    await dc1.state.write((tx) => tx.putNode(Node.of({ Node: 'n', Address: '10.0.0.1' })))
    const live = (Token: string) => dc1.endpoints.live(catalog.listNodes, DCSpecificRequest.of({ Token }))
    assert.equal(live(one), live(two))
    assert.equal(live(one)?.reply.ResultsFilteredByACLs, false)
    assert.equal(live(other)?.reply.ResultsFilteredByACLs, true)
    assert.deepEqual(live(other)?.reply.Nodes, [])
    assert.deepEqual(live('')?.reply.Nodes, [])
    assert.equal(live('')?.reply.ResultsFilteredByACLs, false)
  }))

for (const downPolicy of ['extend-cache', 'deny', 'allow'] as const) {
  test(`down policy ${downPolicy}: what counts for tokens of a primary that does not answer`, () =>
    withFederation(
      async (all) => {
        const dc2 = all.of('dc2')
        const known = await putToken(all.of('dc1'), 1)
        await dc2.state.write((tx) => tx.putNode(Node.of({ Node: 'n', Address: '10.0.0.1' })))
        assert.equal((await nodes(dc2, known)).Nodes?.length, 1)
        all.silent.add('dc1')
        const seen = async (token: string) => (await nodes(dc2, token)).Nodes?.length
        assert.equal(await seen(known), downPolicy === 'deny' ? 0 : 1)
        assert.equal(await seen(id(9)), downPolicy === 'allow' ? 1 : 0)
      },
      // Asked again at once: what was known is old.
      { downPolicy, tokenTtlMs: 0 },
    ))
}

test('what belongs to the primary goes there from a secondary, and reads of tokens where they are not copied', () =>
  withFederation(
    async (all) => {
      const management = id(7)
      await all.of('dc1').state.write((tx) => {
        const Policies = [{ ID: '00000000-0000-0000-0000-000000000001', Name: '' }]
        tx.putAclToken(ACLToken.of({ AccessorID: management, SecretID: management, Policies }))
      })
      const { endpoints, sent } = all.of('dc2')
      const Token = management
      const made = await endpoints.call(acl.tokenSet, {
        ...{ Token, Datacenter: '', Create: true },
        ACLToken: ACLToken.of({ Description: 'global' }),
      })
      assert.equal(all.of('dc1').state.read((tx) => tx.aclTokens.get(made.AccessorID)).value?.Description, 'global')
      const local = { Token, Datacenter: '', Create: true, ACLToken: ACLToken.of({ Local: true }) }
      await assert.rejects(endpoints.call(acl.tokenSet, local), { message: 'Local tokens are disabled' })
      await endpoints.call(acl.tokenDelete, { Token, Datacenter: '', TokenID: made.AccessorID })
      const asked = sent.map(({ method }) => method).filter((method) => method !== 'ACL.TokenRead')
      assert.deepEqual(asked, ['ACL.TokenSet', 'ACL.TokenDelete'])
    },
    { replicatesTokens: false },
  ))
