/** Servers that leave, are taken out, or come back to their datacenter's etcd. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { EtcdDatacenter } from '../support/etcd-datacenter.ts'
import { eventually } from '../support/eventually.ts'

test('a server that leaves takes its member out, cleans up and can come back; the last one keeps its data', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  await dc.start()
  const [s1, s2, s3] = [dc.server('s1'), dc.server('s2'), dc.server('s3')]
  await s1.put('a', '1')
  await s3.leave()
  await dc.assertVoters(['s1', 's2'])
  assert.ok(!existsSync(join(s3.dataDir, 'etcd')), 'its data is gone')
  assert.ok(!existsSync(join(s3.dataDir, 'etcd.json')))
  s3.start()
  await s3.serves()
  await dc.assertVoters(['s1', 's2', 's3'])
  await s3.has('a', '1')

  await s2.leave()
  await s3.leave()
  await dc.assertVoters(['s1'])
  await s1.put('a', '2')
  await s1.leave()
  assert.ok(existsSync(join(s1.dataDir, 'etcd', 'member')), 'the last one keeps its data')
  s1.start()
  await s1.serves()
  await s1.has('a', '2')
})

test('a server that cannot be spared keeps its member, and says so', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  await dc.start()
  const [s1, s2, s3] = [dc.server('s1'), dc.server('s2'), dc.server('s3')]
  const etcd = s3.etcdPid()
  await dc.kill('s3')
  process.kill(etcd, 'SIGKILL')
  await s1.put('a', '1')
  await s2.leave()
  assert.match(s2.program.output, /etcd keeps this server as its member/)
  assert.ok(existsSync(join(s2.dataDir, 'etcd', 'member')))
  s2.start()
  await s2.serves()
  await s2.has('a', '1')
  s3.start()
  await s3.serves()
  await dc.assertVoters(['s1', 's2', 's3'])
})

test('a server that was removed, while it was down or while it runs, puts its data aside and joins anew', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  await dc.start()
  const [s1, s3] = [dc.server('s1'), dc.server('s3')]
  await s3.program.stop('SIGTERM')
  await s1.put('a', '1')
  await eventually('it is seen as failed', async () => {
    const { body } = await s1.ask('GET', '/v1/agent/members')
    const members = JSON.parse(String(body)) as { Name: string; Status: number }[]
    assert.equal(members.find(({ Name }) => Name === 's3')?.Status, 4)
  })
  const { body } = await s1.ask('GET', '/v1/operator/raft/configuration')
  const { Servers } = JSON.parse(String(body)) as { Servers: { ID: string; Node: string }[] }
  const id = Servers.find(({ Node }) => Node === 's3')?.ID
  assert.equal((await s1.ask('DELETE', `/v1/operator/raft/peer?id=${id}`)).status, 200)
  await dc.assertVoters(['s1', 's2'])
  s3.start()
  await s3.serves()
  await dc.assertVoters(['s1', 's2', 's3'])
  await s3.has('a', '1')
  const aside = () => readdirSync(s3.dataDir).filter((name) => name.startsWith('etcd.removed-')).length
  assert.equal(aside(), 1)

  // Now while it runs: it stops, and says why.
  const member = (await dc.members(['s1'])).find(({ name }) => name === 's3')
  await dc.remove('s1', member?.id ?? '')
  assert.equal((await s3.program.ended).code, 1)
  assert.match(s3.program.output, /the other servers have removed this one from etcd/)
  await s1.put('a', '2')
  s3.start()
  await s3.serves()
  await s3.has('a', '2')
  assert.equal(aside(), 2)
})
