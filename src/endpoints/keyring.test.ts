/**
 * Keys of all pools in all datacenters: who is asked, and what is said of those that cannot be reached.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Federation, federation, KEY } from './fixture.ts'
import { internal } from './index.ts'

let all: Federation
before(async () => {
  all = await federation(['dc1', 'dc2', 'dc3'])
})
after(() => all.close())

const ask = (given: object, from = 'dc1') =>
  all
    .of(from)
    .endpoints.call(internal.keyringOperation, internal.keyringOperation.args.of({ Operation: 'list', ...given }))

const places = async (given: object, from = 'dc1') =>
  ((await ask(given, from)).Responses ?? []).map(({ WAN, Datacenter, Error: failure }) =>
    [WAN ? 'WAN' : 'LAN', Datacenter, failure].filter((part) => part !== '').join(' '),
  )

test('keyringOperation runs the WAN and LAN pool here and the LAN pool of every other datacenter', async () => {
  assert.deepEqual(await places({}), ['WAN dc1', 'LAN dc1', 'LAN dc2', 'LAN dc3'])
  assert.deepEqual(await places({}, 'dc3'), ['WAN dc3', 'LAN dc3', 'LAN dc1', 'LAN dc2'])
  const { Responses } = await ask({})
  assert.deepEqual(Responses?.[0]?.Keys, { [KEY]: 3 })
  assert.equal(Responses?.[1]?.NumNodes, 1)
})

test('keyringOperation names a datacenter that cannot be reached and answers with the others', async () => {
  all.silent.add('dc2')
  assert.deepEqual(await places({}), [
    'WAN dc1',
    'LAN dc1',
    'LAN dc2 Remote DC has no server currently reachable',
    'LAN dc3',
  ])
  all.silent.delete('dc2')
})

test('keyringOperation with LocalOnly or Forwarded stays in its LAN pool', async () => {
  const before = all.of('dc1').sent.length
  assert.deepEqual(await places({ LocalOnly: true }), ['LAN dc1'])
  assert.deepEqual(await places({ Forwarded: true }), ['LAN dc1'])
  assert.equal(all.of('dc1').sent.length, before)
})

test('keyringOperation says of each pool why a key was not taken', async () => {
  const reason = 'illegal base64 data at input byte 0'
  const failed = await places({ Operation: 'install', Key: 'zz' })
  assert.deepEqual(failed, [`WAN dc1 ${reason}`, `LAN dc1 ${reason}`, `LAN dc2 ${reason}`, `LAN dc3 ${reason}`])
})

test('keyringOperation refuses what it cannot do before any pool is asked', async () => {
  await assert.rejects(ask({ Operation: 'rotate' }), { message: 'Invalid keyring operation "rotate"' })
  await assert.rejects(ask({ Operation: 'remove', Key: KEY, LocalOnly: true }), /LocalOnly is for listing only/)
  await assert.rejects(ask({ RelayFactor: 9 }), { message: 'Relay factor must be in range: [0, 5]' })
})
