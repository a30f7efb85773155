/** An etcd that answers a write and dies before it tells of it: who wrote is not kept waiting until it comes back. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { loaded, refusal } from '../../src/store/contract-fixture.ts'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { leaderOf } from './admin.ts'
import { FatalWay } from './answer-and-die.ts'
import { openEngine } from './storm.ts'

let cluster: EtcdCluster
before(async () => {
  cluster = await EtcdCluster.start(1)
})
after(() => cluster.stop())

test('a write that was answered, and of which no news comes, fails by name after a while, and is there later', async () => {
  const { leader } = await leaderOf(cluster)
  const way = new FatalWay(leader.endpoint, 'the last words')
  await way.open()
  const engine = await openEngine([way.endpoint], 'silence/', 's1')
  try {
    const write = (key: string, text: string) => engine.commit({ writes: [{ key, value: Buffer.from(text) }] })
    await write('kv/a', 'one')
    await assert.rejects(write('kv/a', 'the last words'), refusal('STORE_UNREACHABLE'))
    assert.ok(way.broken, 'etcd has answered it')
    await way.open()
    await eventually('writes go on', () => write('kv/b', 'two'), { timeoutMs: 30_000 })
    const { records } = await loaded(engine)
    assert.deepEqual(
      records.map(({ key, value }) => [key, Buffer.from(value).toString()]),
      [
        ['kv/a', 'the last words'],
        ['kv/b', 'two'],
      ],
    )
  } finally {
    await engine.close()
    way.close()
  }
})
