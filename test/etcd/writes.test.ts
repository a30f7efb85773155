/** Writes go to the member of etcd that leads, wherever a server reads and watches, and to another one that leads later. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { EtcdEngine } from '#store'
import { EtcdCluster, type EtcdProcess } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { leaderOf } from './admin.ts'
import { openEngine } from './storm.ts'

const WRITES = 40

let cluster: EtcdCluster
before(async () => {
  cluster = await EtcdCluster.start(3)
})
after(() => cluster.stop())

/** How many transactions a member was asked for, as it counts them itself. */
async function asked(member: EtcdProcess): Promise<number> {
  const response = await fetch(`${member.endpoint}/metrics`)
  const line = /^grpc_server_started_total\{grpc_method="Txn",.*\} (\S+)$/m.exec(await response.text())
  return Number(line?.[1] ?? 0)
}

async function write(engine: EtcdEngine): Promise<void> {
  for (let count = 0; count < WRITES; count++) {
    const { ok } = await engine.commit({ writes: [{ key: 'kv/a', value: Buffer.from(String(count)) }] })
    assert.ok(ok)
  }
}

async function assertLeaderIsAsked(engine: EtcdEngine, members: readonly EtcdProcess[]): Promise<void> {
  await eventually(
    'all writes go to the leader',
    async () => {
      const { leader } = await leaderOf(cluster, members)
      const counts = new Map(await Promise.all(members.map(async (each) => [each.name, await asked(each)] as const)))
      await write(engine)
      for (const member of members) {
        const more = (await asked(member)) - (counts.get(member.name) ?? 0)
        if (member === leader) assert.ok(more >= WRITES, `the leader was asked ${more} times`)
        else assert.equal(more, 0, 'a follower was asked')
      }
    },
    { timeoutMs: 30_000 },
  )
}

test('writes go to the leader of etcd, and to its successor when it is gone', async () => {
  const { leader, followers } = await leaderOf(cluster)
  const endpoints = [...followers, leader].map(({ endpoint }) => endpoint)
  const engine = await openEngine(endpoints, 'writes/', 's1')
  try {
    await assertLeaderIsAsked(engine, cluster.members)
    await leader.signal('SIGKILL')
    await write(engine)
    await assertLeaderIsAsked(engine, followers)
  } finally {
    await engine.close()
  }
})
