/** Faults of etcd under a write storm of three engines: nothing answered is lost, nothing goes back, nothing twice. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { EtcdCluster } from '../support/etcd.ts'
import { compact, leaderOf } from './admin.ts'
import { Storm } from './storm.ts'

let cluster: EtcdCluster
let runs = 0

before(async () => {
  cluster = await EtcdCluster.start(3)
})
after(() => cluster.stop())

/** What is done to etcd, and undone. */
const FAULTS: Readonly<Record<string, (storm: Storm) => Promise<void>>> = {
  'etcd loses its leader': async (storm) => {
    const { leader } = await leaderOf(cluster)
    await leader.signal('SIGKILL')
    await storm.progress('without the old leader')
    leader.start()
  },
  'etcd loses a follower': async (storm) => {
    const { followers } = await leaderOf(cluster)
    const [follower] = followers
    await follower?.signal('SIGKILL')
    await storm.progress('without a follower')
    follower?.start()
  },
  'all members of etcd are killed and come back': async () => {
    await Promise.all(cluster.members.map((member) => member.signal('SIGKILL')))
    await delay(1_000)
    for (const member of cluster.members) member.start()
  },
  'the leader of etcd is frozen, and wakes up when there is another': async (storm) => {
    const { leader } = await leaderOf(cluster)
    await leader.signal('SIGSTOP')
    await storm.progress('while the old leader is frozen')
    await delay(4_000)
    await leader.signal('SIGCONT')
    await delay(2_000)
  },
  'two of three members are frozen for a while': async () => {
    const { followers } = await leaderOf(cluster)
    for (const member of followers) await member.signal('SIGSTOP')
    await delay(3_000)
    for (const member of followers) await member.signal('SIGCONT')
  },
  'members stumble as on a slow disk': async () => {
    for (let pulse = 0; pulse < 12; pulse++) {
      const member = cluster.members[pulse % 3]
      await member?.signal('SIGSTOP')
      await delay(250)
      await member?.signal('SIGCONT')
      await delay(50)
    }
  },
  'history is compacted away at once, over and over': async (storm) => {
    for (let times = 0; times < 10; times++) {
      await compact((await leaderOf(cluster)).leader)
      await delay(100)
    }
    await storm.progress('after compaction')
  },
}

test('an engine whose member was overtaken by a compaction loads anew, and lacks nothing', async () => {
  const { followers } = await leaderOf(cluster)
  const [slow, quick] = followers
  assert.ok(slow && quick)
  // One side asks only the slow member, the others the other two.
  const others = cluster.members.filter((member) => member !== slow).map(({ endpoint }) => endpoint)
  const storm = await Storm.start({
    endpoints: others,
    only: { s1: [slow.endpoint] },
    prefix: 'overtaken/',
    servers: ['s1', 's2', 's3'],
  })
  try {
    await storm.progress('before')
    await slow.signal('SIGKILL')
    await storm.progress('without the slow member', { servers: ['s2', 's3'] })
    await compact(quick)
    slow.start()
    await storm.progress('afterwards')
  } finally {
    await storm.stop()
  }
  assert.ok((storm.sides[0]?.loads ?? 0) > 1, 'compaction overtook nobody')
})

for (const [what, harm] of Object.entries(FAULTS)) {
  test(`an engine loses nothing, repeats nothing and never goes back while ${what}`, async (t) => {
    const storm = await Storm.start({
      endpoints: cluster.endpoints,
      prefix: `faults/${++runs}/`,
      servers: ['s1', 's2', 's3'],
    })
    try {
      await storm.progress('before')
      await delay(500)
      await harm(storm)
      t.diagnostic(`got on ${Math.round(await storm.progress('afterwards'))} ms after it was over; ${storm.said()}`)
    } finally {
      for (const member of cluster.members) await member.signal('SIGCONT')
      await storm.stop()
    }
    assert.ok(storm.writes > 0)
  })
}
