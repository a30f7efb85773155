/**
 * Restores on a real etcd through its servers: by another one than saved it, and from a datacenter that was on SQLite.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLogger, systemClock, systemRandom } from '#base'
import { openEtcd } from '#store'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { restoreByAnotherServer } from '../support/restore-scenario.ts'
import { testServers } from '../support/servers.ts'

const cluster = await EtcdCluster.start(1)
after(() => cluster.stop())

const on = (prefix: string) => (writer: string) =>
  openEtcd({
    endpoints: cluster.endpoints,
    identity: () => undefined,
    datacenter: 'dc1',
    prefix,
    writer,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  })

test('a snapshot that one server saved is restored by another, in all of them', async (context) => {
  await restoreByAnotherServer(await testServers(context, {}, on('saved/')))
})

test('a datacenter of one server moves to three on etcd with a snapshot', async (context) => {
  const one = await (await testServers(context, { bootstrap_expect: 1 })).start('s1')
  for (let key = 0; key < 300; key++) await one.client.expect('PUT', `/v1/kv/k/${key}`, { body: `value ${key}` })
  const { index } = await one.client.request('GET', '/v1/kv/k/299')
  const snapshot = await one.client.expect('GET', '/v1/snapshot')
  const servers = await testServers(context, {}, on('moved/'))
  const moved = [await servers.start('m1'), await servers.start('m2'), await servers.start('m3')] as const
  await moved[1].client.expect('PUT', '/v1/snapshot', { body: snapshot.body })
  for (const { client } of moved) {
    await eventually('all keys are there', async () => {
      const keys = await client.json('GET', '/v1/kv/k/', { query: { keys: true } })
      assert.equal(Array.isArray(keys) && keys.length, 300)
    })
    const answer = await client.request('GET', '/v1/kv/k/299', { query: { raw: true } })
    assert.equal(String(answer.body), 'value 299')
    assert.ok(answer.index >= index, `index ${answer.index} is behind ${index}`)
  }
})
