/** Servers that found an etcd together, in whatever order they come, and those that come later. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { EtcdDatacenter } from '../support/etcd-datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'

test('three servers that start at once found it together, and each serves what another wrote', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  context.diagnostic(`serving after ${seconds(await dc.start())}`)
  await dc.assertVoters(['s1', 's2', 's3'])
  const [s1, s2, s3] = ['s1', 's2', 's3'].map((name) => dc.server(name))
  await s1?.put('a', '1')
  await s2?.has('a', '1')
  await s3?.has('a', '1')
  for (const { dataDir, program } of dc.servers) {
    for (const name of ['etcd.json', 'etcd.pid', 'etcd.log']) {
      assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name)
    }
    assert.equal(statSync(join(dataDir, 'etcd')).mode & 0o777, 0o700)
    assert.doesNotMatch(program.output + readFileSync(join(dataDir, 'etcd.log'), 'utf8'), /PRIVATE KEY/)
  }
})

test('servers that come one after the other, the last first, found it when enough are there', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3', 's4'])
  const [s1, s2, s3, s4] = ['s1', 's2', 's3', 's4'].map((name) => dc.server(name))
  s3?.start()
  await s3?.program.says('waiting for other servers')
  s2?.start()
  await s2?.program.says('waiting for other servers')
  s1?.start()
  await Promise.all([s1?.serves(), s2?.serves(), s3?.serves()])
  await s1?.put('a', '1')
  s4?.start()
  await s4?.serves()
  await s4?.has('a', '1')
  await dc.assertVoters(['s1', 's2', 's3', 's4'])
})

for (const expect of [2, 5]) {
  test(`bootstrap_expect ${expect} with one server more: it joins`, async (context) => {
    const names = Array.from({ length: expect + 1 }, (_, at) => `s${at + 1}`)
    const dc = await EtcdDatacenter.make(context, names, { bootstrap_expect: expect })
    context.diagnostic(`serving after ${seconds(await dc.start())}`)
    await dc.assertVoters(names)
    await dc.server('s1').put('a', '1')
    for (const server of dc.servers) await server.has('a', '1')
  })
}

test('SIGTERM while it waits for others ends it at once, with status 0 and nothing left', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  const [s1, s2] = [dc.server('s1'), dc.server('s2')]
  s1.start()
  s2.start()
  await eventually('both see each other', () => assert.match(s1.program.output, /joined|present=2/i))
  for (const { program } of [s1, s2]) assert.deepEqual(await program.stop('SIGTERM'), { code: 0, signal: null })
  assert.deepEqual(dc.programs.running(), [])
})
