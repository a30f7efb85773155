/**
 * Which datacenters a server that was started anew joins by itself.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, silentLogger } from '#base'
import type { Member } from '#gossip'
import { WanReunion } from './wan-reunion.ts'

test('WanReunion joins each known datacenter until a server of it is in the pool, and none that is not known any more', async () => {
  const clock = new ManualClock()
  const members: Pick<Member, 'tags'>[] = []
  const asked: string[] = []
  const wan = {
    members: () => members,
    join: async (targets: readonly string[]) => {
      asked.push(...targets.map((target) => target.split('/')[0] ?? ''))
      return { joined: 0, errors: ['no gateway'] }
    },
  }
  const reunion = new WanReunion({ wan, clock, log: silentLogger })
  const advance = async (ms: number) => {
    asked.length = 0
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return [...new Set(asked)].sort()
  }
  reunion.follow(['dc2', 'dc3'])
  assert.deepEqual(await advance(6_000), ['*.dc2', '*.dc3'])
  members.push({ tags: { dc: 'dc2' } })
  await advance(6_000)
  assert.deepEqual(await advance(10_000), ['*.dc3'])
  reunion.follow(['dc2'])
  assert.deepEqual(await advance(10_000), [])
  reunion.stop()
})
