/** An etcd without space: writes are refused by name, reads go on, and writes again as soon as there is space. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from '#base'
import { committed, follow, loaded, refusal } from '../../src/store/contract-fixture.ts'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { leaderOf, makeRoom } from './admin.ts'
import { openEngine } from './storm.ts'

const QUOTA_BYTES = 8 * 1024 * 1024
const VALUE_BYTES = 256 * 1024
const KEYS = 4
const MAX_WRITES = 200

test('an engine refuses writes with STORE_FULL at the quota of etcd, reads on, and writes again when there is room', async () => {
  const cluster = await EtcdCluster.start(3, { args: ['--quota-backend-bytes', String(QUOTA_BYTES)] })
  try {
    await leaderOf(cluster)
    const [one, two] = [
      await openEngine(cluster.endpoints, 'full/', 's1'),
      await openEngine(cluster.endpoints, 'full/', 's2'),
    ]
    const lease = one.lease('duty', { ttlMs: 2_000, holder: 's1' })
    await lease.acquire()
    const { follower } = follow(two, (await loaded(two)).revision)
    const fill = async (): Promise<unknown> => {
      for (let at = 0; at < MAX_WRITES; at++) {
        const value = Buffer.alloc(VALUE_BYTES, at)
        // The same keys over and over: what fills etcd is history.
        const tried = await one.commit({ writes: [{ key: `k/${at % KEYS}`, value }] }).catch((error: unknown) => error)
        if (codeOf(tried) !== undefined) return tried
      }
      return undefined
    }
    assert.equal(codeOf(await fill()), 'STORE_FULL')
    const before = await loaded(two)
    assert.equal(before.records.length, KEYS)
    await assert.rejects(two.commit({ writes: [{ key: 'k/0', value: Buffer.alloc(1) }] }), refusal('STORE_FULL'))
    assert.equal(await one.barrier(), await two.barrier())
    await eventually('reads are fresh', () => assert.ok(two.staleMs() < 2_000))
    assert.deepEqual((await loaded(two)).records, before.records)

    await makeRoom(cluster)
    await eventually('there is room again', () =>
      committed(two, { writes: [{ key: 'after', value: Buffer.alloc(1) }] }),
    )
    await committed(one, { writes: [{ key: 'after', value: Buffer.alloc(2) }] })
    await two.barrier()
    assert.deepEqual(follower.sorted(), (await loaded(one)).records)
    await lease.acquire()
    assert.equal(await two.lease('duty', { ttlMs: 2_000, holder: 's2' }).holder(), 's1')
    await Promise.all([one.close(), two.close()])
  } finally {
    await cluster.stop()
  }
})
