/**
 * Who may be in a pool.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isServer, refusal } from './merge-check.ts'

const server = {
  role: 'consul',
  dc: 'dc2',
  id: 'x',
  port: '8300',
  vsn: '2',
  build: '1.21.0dev:',
  grpc_tls_port: '8503',
  ft_fs: '1',
}
const us = { pool: 'lan', localName: 's1', datacenter: 'dc1', nodeId: 'AAAA' } as const
const node = (name: string, tags: Record<string, string>) => ({ name, address: '10.0.0.1:8301', tags })

test('isServer() takes the tags of a server and refuses each broken one', () => {
  assert.ok(isServer(server))
  assert.ok(isServer({ ...server, grpc_port: '0' }))
  const broken: Record<string, string>[] = [
    { role: 'node' },
    { port: 'x' },
    { port: '' },
    { vsn: '' },
    { build: '1.21' },
    { ft_si: 'yes' },
    { expect: '' },
    { wan_join_port: 'a' },
    { grpc_tls_port: '0' },
  ]
  for (const tags of broken) assert.equal(isServer({ ...server, ...tags }), false, JSON.stringify(tags))
})

test('refusal() LAN: another datacenter, our node ID under another name, one ID for two names', () => {
  assert.equal(refusal(us, [node('a', { dc: 'dc1', id: 'b' })]), undefined)
  assert.equal(refusal(us, [node('x', { dc: 'dc2' })])?.reason, "Member 'x' part of wrong datacenter 'dc2'")
  assert.equal(refusal(us, [node('x', {})])?.kind, 'wrong-datacenter')
  assert.equal(refusal(us, [node('x', { dc: 'dc1', id: 'aaaa' })])?.kind, 'node-id')
  assert.equal(refusal(us, [node('s1', { dc: 'dc1', id: 'aaaa' })]), undefined)
  const twins = [node('x', { dc: 'dc1', id: 'c' }), node('y', { dc: 'dc1', id: 'C' })]
  assert.equal(refusal(us, twins)?.reason, "Member 'y' has conflicting node ID 'C' with member 'x'")
  const known = (id: string, except: string) => (id === 'd' && except !== 'z' ? 'z' : undefined)
  assert.equal(refusal(us, [node('y', { dc: 'dc1', id: 'D' })], known)?.kind, 'node-id')
  assert.equal(refusal(us, [node('z', { dc: 'dc1', id: 'D' })], known), undefined)
})

test('refusal() LAN: who trusts none of our CAs; in doubt nobody is refused', () => {
  const ours = { ...us, authorities: 'one,two' }
  const trusting = (ca: string) => [node('x', { dc: 'dc1', id: 'b', ca })]
  assert.equal(refusal(ours, trusting('three,two')), undefined)
  assert.equal(refusal(ours, [node('x', { dc: 'dc1', id: 'b' })]), undefined)
  assert.equal(refusal(us, trusting('three')), undefined)
  const { kind, reason } = refusal(ours, trusting('three,four')) ?? {}
  assert.deepEqual([kind, reason], ['another-ca', "Member 'x' trusts another CA than 's1'"])
})

test('refusal() WAN: only servers, of any datacenter', () => {
  const wan = { ...us, pool: 'wan' } as const
  assert.equal(refusal(wan, [node('s1.dc2', server)]), undefined)
  assert.equal(refusal(wan, [node('c.dc2', { role: 'node' })])?.reason, "Member 'c.dc2' is not a server")
})
