/**
 * Which dead servers are taken out, and when they keep their place.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AutopilotConfig } from '#codec'
import type { DatacenterServer } from '#endpoints'
import { deadServers } from './dead-servers.ts'

/** As Consul begins with. */
const DEFAULTS = AutopilotConfig.of({ CleanupDeadServers: true, ServerStabilizationTime: 10_000_000_000 })
const NOW = 1_000_000

/** "alive:20" is a server that has been alive for 20 seconds. */
function servers(...texts: readonly string[]): DatacenterServer[] {
  return texts.map((text, index) => {
    const [status, seconds] = text.split(':')
    return {
      id: `id${index}`,
      name: `s${index}`,
      address: `10.0.0.${index}:8300`,
      status: status === 'alive' ? 'alive' : 'failed',
      version: '1.21.0',
      leader: index === 0,
      voter: true,
      meta: {},
      sinceWallMs: NOW - Number(seconds) * 1000,
    }
  })
}

const cases: readonly [
  what: string,
  expected: number,
  config: Partial<AutopilotConfig>,
  all: string[],
  gone: string[],
][] = [
  ['one of three that is being restarted keeps its place', 3, {}, ['alive:99', 'alive:99', 'failed:60'], []],
  ['once another one stands in it is taken out', 3, {}, ['alive:99', 'alive:99', 'failed:60', 'alive:20'], ['s2']],
  ['not while that one is new', 3, {}, ['alive:99', 'alive:99', 'failed:60', 'alive:9'], []],
  ['nor while it may be a moment', 3, {}, ['alive:99', 'alive:99', 'alive:99', 'failed:9'], []],
  ['where no number is expected a majority decides', 0, {}, ['alive:99', 'alive:99', 'failed:60'], ['s2']],
  ['half is no majority', 0, {}, ['alive:99', 'failed:60'], []],
  ['MinQuorum keeps the number', 0, { MinQuorum: 3 }, ['alive:99', 'alive:99', 'failed:60'], []],
  ['it can be switched off', 0, { CleanupDeadServers: false }, ['alive:99', 'alive:99', 'failed:60'], []],
  [
    'a longer time can be asked for',
    0,
    { ServerStabilizationTime: 120e9 },
    ['alive:999', 'alive:999', 'failed:60'],
    [],
  ],
]

for (const [what, expected, config, all, gone] of cases) {
  test(`dead servers: ${what}`, () => {
    const found = deadServers(servers(...all), AutopilotConfig.of({ ...DEFAULTS, ...config }), expected, NOW)
    assert.deepEqual(
      found.map(({ name }) => name),
      gone,
    )
  })
}
