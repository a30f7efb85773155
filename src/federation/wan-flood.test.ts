/**
 * Which servers of our own datacenter are brought into the WAN pool.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, silentLogger } from '#base'
import type { GossipEvent, Member } from '#gossip'
import { serverTags } from './servers.ts'
import { missingInWan, WanFlood } from './wan-flood.ts'

const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4 }

function server(name: string, more: Partial<Member> = {}, wanPort: number | undefined = 8302): Member {
  const tags = serverTags(
    {
      datacenter: 'dc1',
      nodeId: name,
      rpcPort: 8300,
      bootstrap: false,
      useTls: true,
      acls: false,
      grpcPort: -1,
      grpcTlsPort: -1,
    },
    wanPort,
  )
  return { name, address: '10.0.0.9', port: 8301, tags, status: 'alive', ...versions, ...more }
}

const cases: readonly [what: string, lan: readonly Member[], wan: readonly string[], missing: readonly string[]][] = [
  ['a server that is not there', [server('s1'), server('s2')], ['s1.dc1'], ['s2.dc1/10.0.0.9:8302']],
  ['none that is there, whatever its letters', [server('S2')], ['s2.dc1'], []],
  ['not ourselves', [server('s1')], [], []],
  ['none without a WAN port', [{ ...server('s2'), tags: serverTagsWithoutWan() }], [], []],
  ['none that has failed', [server('s2', { status: 'failed' })], [], []],
  ['no client', [server('a1', { tags: { role: 'node', dc: 'dc1', wan_join_port: '8302' } })], [], []],
  ['an IPv6 address', [server('s2', { address: '::1' })], [], ['s2.dc1/[::1]:8302']],
]

function serverTagsWithoutWan(): Record<string, string> {
  const { wan_join_port: _, ...tags } = server('s2').tags
  return tags
}

for (const [what, lan, wan, missing] of cases) {
  test(`flooding the WAN pool joins ${what}`, () => {
    const members = wan.map((name) => ({ name, status: 'alive' }) as const)
    assert.deepEqual(missingInWan('dc1', 's1', lan, members), missing)
  })
}

test('where none is missing, lists are exchanged with one sibling after the other', async (context) => {
  const clock = new ManualClock()
  const joined: string[] = []
  const flood = new WanFlood('dc1', {
    lan: { localName: 's1', members: () => [server('s1'), server('s2'), server('s3')], on: () => () => {} },
    wan: {
      members: () => ['s1', 's2', 's3'].map((name) => server(`${name}.dc1`)),
      join: async ([address = '']) => {
        joined.push(address)
        return { joined: joined.length === 2 ? 0 : 1, errors: ['refused'] }
      },
    },
    clock,
    log: silentLogger,
  })
  context.after(() => flood.stop())
  flood.start()
  for (let look = 0; look < 4; look++) {
    clock.advance(look === 0 ? 300 : 10_100)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const [two, three] = ['s2.dc1/10.0.0.9:8302', 's3.dc1/10.0.0.9:8302']
  assert.deepEqual(joined, [two, three, two, three])
})

test('it joins when a server comes into the LAN pool, and again where that did not work', async (context) => {
  const clock = new ManualClock()
  const lan: Member[] = [server('s1')]
  const listeners: ((event: GossipEvent) => void)[] = []
  const joined: string[] = []
  const results = [0, 1]
  const flood = new WanFlood('dc1', {
    lan: {
      localName: 's1',
      members: () => lan,
      on: (listener) => {
        listeners.push(listener)
        return () => {}
      },
    },
    wan: {
      members: () => [],
      join: async ([address = '']) => {
        joined.push(address)
        return { joined: results.shift() ?? 1, errors: ['refused'] }
      },
    },
    clock,
    log: silentLogger,
  })
  context.after(() => flood.stop())
  flood.start()
  const passed = async (ms: number) => {
    clock.advance(ms)
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  await passed(1_000)
  assert.deepEqual(joined, [])
  lan.push(server('s2'))
  for (const listener of listeners) listener({ type: 'member-join', members: [] })
  await passed(300)
  assert.deepEqual(joined, ['s2.dc1/10.0.0.9:8302'])
  await passed(3_100)
  assert.equal(joined.length, 2)
})
