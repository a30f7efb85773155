/**
 * Which way WAN messages go, and whose names are not what they seem.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignNamesakes } from './namesakes.ts'
import { splitWanName, wanRoute } from './wan-route.ts'

test('splitWanName() wants exactly a node and a datacenter', () => {
  assert.deepEqual(splitWanName('s1.dc1'), { node: 's1', datacenter: 'dc1' })
  for (const bad of ['', 's1', 's1.', '.dc1', 'a.b.dc1']) assert.equal(splitWanName(bad), undefined, bad)
})

test('wanRoute() goes through gateways to other datacenters only, and never guesses', () => {
  const to = (name: string, address = '10.0.0.1') => ({ name, address, port: 8302 })
  assert.equal(wanRoute(to('s2.dc1'), 'dc1', true).kind, 'direct')
  assert.deepEqual(wanRoute(to('s1.dc2'), 'dc1', true), { kind: 'carried', node: 's1', datacenter: 'dc2' })
  assert.deepEqual(wanRoute(to('*.dc2', '192.0.2.2'), 'dc1', true), { kind: 'carried', node: '*', datacenter: 'dc2' })
  assert.equal(wanRoute(to('a.b.dc2'), 'dc1', true).kind, 'none')
  assert.equal(wanRoute(to('', ''), 'dc1', true).kind, 'none')
  assert.equal(wanRoute(to(''), 'dc1', true).kind, 'direct')
  assert.equal(wanRoute(to('s1.dc2'), 'dc1', false).kind, 'direct')
})

test('foreignNamesakes() finds WAN servers of our datacenter that our LAN does not know', () => {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4 }
  const member = (name: string, id: string, status: 'alive' | 'left' = 'alive') =>
    ({ name, address: '10.0.0.1', port: 1, tags: { id }, status, ...versions }) as const
  const lan = [member('s1', '1'), member('s2', '2')]
  const wan = [
    member('s1.dc1', '1'),
    member('s2.dc1', 'other'),
    member('s3.dc1', '3'),
    member('s4.dc1', '4', 'left'),
    member('s1.dc2', '9'),
  ]
  assert.deepEqual(
    foreignNamesakes(wan, lan, 'dc1').map(({ name }) => name),
    ['s2.dc1', 's3.dc1'],
  )
})
