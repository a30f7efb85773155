/** Behind the endpoint is another etcd than before: it is refused by name, and never taken for the truth. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf } from '#base'
import type { EtcdEngine } from '#store'
import { committed, follow, loaded, put, refusal, textOf } from '../../src/store/contract-fixture.ts'
import { EtcdCluster, type EtcdProcess } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { ask, leaderOf } from './admin.ts'
import { openEngine } from './storm.ts'

const PREFIX = 'other/'

/** Puts keys of nobody's until the revision is above what the engine has seen. */
async function overtake(member: EtcdProcess, revision: number): Promise<void> {
  for (let at = 0; at <= revision + 20; at++) await ask(member, 'kv/put', { key: 'eA==', value: 'eA==' })
}

/** What stands in the place of the etcd that was killed. `copy` is the folder of an older state of it. */
const OTHERS: Readonly<Record<string, (member: EtcdProcess, copy: string, revision: number) => Promise<void>>> = {
  'an empty one': async (member) => member.start(),
  'an empty one that is ahead in revisions': async (member, _, revision) => {
    member.start()
    await eventually('etcd answers', () => overtake(member, revision))
  },
  'one in which another server has begun anew': async (member, _, revision) => {
    member.start()
    await eventually('etcd answers', () => overtake(member, revision))
    const other = await openEngine([member.endpoint], PREFIX, 's2')
    await committed(other, { writes: [put('a', 'of another'), put('b', 'of another')] })
    await other.close()
  },
  'another cluster': async (member) => member.start(['--initial-cluster-token', 'another']),
  'an older state of itself': async (member, copy) => {
    cpSync(copy, member.dataDir, { recursive: true })
    member.start()
  },
}

async function stop(member: EtcdProcess): Promise<void> {
  await member.signal('SIGKILL')
}

for (const [what, replace] of Object.entries(OTHERS)) {
  test(`an engine refuses ${what} in the place of its etcd, serves on, and goes on where its own is back`, async () => {
    const cluster = await EtcdCluster.start(1)
    let engine: EtcdEngine | undefined
    try {
      const { leader: member } = await leaderOf(cluster)
      const copy = `${member.dataDir}-old`
      const own = `${member.dataDir}-own`
      engine = await openEngine(cluster.endpoints, PREFIX, 's1')
      await committed(engine, { writes: [put('a', 'old')] })
      await stop(member)
      cpSync(member.dataDir, copy, { recursive: true })
      member.start()
      const held = engine
      await eventually('the engine writes again', () => committed(held, { writes: [put('a', 'new')] }))
      const { follower } = follow(engine, (await loaded(engine)).revision)
      const revision = await committed(engine, { writes: [put('b', 'new')] })

      await stop(member)
      cpSync(member.dataDir, own, { recursive: true })
      rmSync(member.dataDir, { recursive: true })
      await replace(member, copy, revision)
      await leaderOf(cluster)
      await assert.rejects(engine.commit({ writes: [put('a', 'astray')] }), refusal('STORE_OTHER_ETCD'))
      await assert.rejects(engine.barrier(), refusal('STORE_OTHER_ETCD'))
      await assert.rejects(
        engine.load(() => {}),
        refusal('STORE_OTHER_ETCD'),
      )
      await delay(2_500)
      await assert.rejects(engine.barrier(), refusal('STORE_OTHER_ETCD'))
      assert.ok(engine.staleMs() > 2_000, `it says that it is ${engine.staleMs()} ms old`)
      assert.equal(codeOf(follower.lost), undefined, 'its followers were told to load what is not there')
      assert.equal(follower.batches.length, 1, 'its followers were handed what is not theirs')

      await member.signal('SIGKILL')
      rmSync(member.dataDir, { recursive: true })
      cpSync(own, member.dataDir, { recursive: true })
      member.start()
      await eventually('the engine goes on', () => held.barrier())
      assert.ok((await committed(engine, { writes: [put('c', 'new')] })) > revision)
      assert.deepEqual(
        follower.batches.flatMap(({ changes }) => changes.map(({ key, value }) => [key, textOf(value)])),
        [
          ['b', 'new'],
          ['c', 'new'],
        ],
      )
      assert.ok(engine.staleMs() < 2_000)
    } finally {
      await engine?.close()
      await cluster.stop()
    }
  })
}

test('an engine passes over a member of another etcd among its endpoints', async () => {
  const [cluster, foreign] = [await EtcdCluster.start(1), await EtcdCluster.start(1)]
  try {
    await Promise.all([leaderOf(cluster), leaderOf(foreign)])
    const engine = await openEngine([...cluster.endpoints, ...foreign.endpoints], PREFIX, 's1')
    await committed(engine, { writes: [put('a', '1')] })
    await cluster.members[0]?.signal('SIGKILL')
    await assert.rejects(engine.commit({ writes: [put('a', 'astray')] }), (error) =>
      ['STORE_OTHER_ETCD', 'STORE_UNREACHABLE'].includes(codeOf(error) ?? ''),
    )
    cluster.members[0]?.start()
    await eventually('it goes on', () => committed(engine, { writes: [put('a', '2')] }))
    await engine.close()
  } finally {
    await Promise.all([cluster.stop(), foreign.stop()])
  }
})
