/** Servers and members of etcd that die, one by one, together or without their data. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { EtcdDatacenter, type EtcdServer } from '../support/etcd-datacenter.ts'
import { eventually } from '../support/eventually.ts'

/** Whether it runs: one that has ended and that nobody has asked about yet has no command line. */
const lives = (pid: number) => {
  const path = `/proc/${pid}/cmdline`
  return existsSync(path) && readFileSync(path).length > 0
}
const killMember = (server: EtcdServer) => process.kill(server.etcdPid(), 'SIGKILL')
const logBytes = ({ dataDir }: EtcdServer) => statSync(join(dataDir, 'etcd.log')).size

test('whatever dies of a datacenter of three comes back with all that was written', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  await dc.start()
  const [s1, s2, s3] = [dc.server('s1'), dc.server('s2'), dc.server('s3')]

  // A member alone: its server starts it again, and goes on meanwhile.
  const first = s2.etcdPid()
  killMember(s2)
  await s2.put('a', '1')
  await eventually('it is started again', () => {
    assert.notEqual(s2.etcdPid(), first)
    assert.ok(lives(s2.etcdPid()))
  })
  assert.match(s2.program.output, /etcd beside this server has ended, starting it again/)

  // A server alone: its member stays, with something to say, until the next start ends it.
  await dc.kill('s3')
  const orphan = s3.etcdPid()
  const said = logBytes(s3)
  killMember(s2)
  await eventually('the orphan has noticed', () => assert.ok(logBytes(s3) > said))
  assert.ok(lives(orphan), 'it outlives its server')
  await s1.put('b', '2')
  s3.start()
  await s3.serves()
  assert.match(s3.program.output, /etcd of an earlier start is still running, ending it/)
  assert.ok(!lives(orphan))
  await s3.has('b', '2')

  // All of them, at once.
  for (const server of [s1, s2, s3]) {
    const pid = server.etcdPid()
    await dc.kill(server.name)
    process.kill(pid, 'SIGKILL')
  }
  await dc.start()
  for (const server of [s1, s2, s3]) await server.has('b', '2')

  // The data of one.
  await s1.program.stop('SIGTERM')
  rmSync(join(s1.dataDir, 'etcd'), { recursive: true })
  s1.start()
  await s1.serves()
  assert.match(s1.program.output, /the data of etcd is gone, joining the other servers anew/)
  await s1.has('b', '2')
  await dc.assertVoters(['s1', 's2', 's3'])

  // The address of one.
  await s2.program.stop('SIGTERM')
  const { store } = s2.settings as { store: { etcd: object } }
  s2.start({ store: { etcd: { ...store.etcd, advertise_host: 'localhost' } } })
  await s2.serves()
  assert.match(s2.program.output, /this server has a new address/)
  await s2.put('c', '3')
  await eventually('the others know it', async () => {
    const moved = (await dc.members(['s1'])).find(({ name }) => name === 's2')
    assert.equal(moved?.peerUrl, `https://localhost:${s2.place.peer}`)
    assert.equal(moved?.clientUrl, `https://localhost:${s2.place.client}`)
  })
})

test('a founder that was killed before etcd had written anything begins with the others again', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3'])
  const [s1, s2, s3] = [dc.server('s1'), dc.server('s2'), dc.server('s3')]
  for (const server of [s1, s2, s3]) server.start()
  // Those who have not agreed by then would wait for it, and rightly.
  for (const { program } of [s1, s2, s3]) await program.says('founding etcd with the other servers')
  await dc.kill('s3')
  const orphans = () => dc.programs.running().filter((line) => line.includes(`--data-dir=${s3.dataDir}`))
  for (const line of orphans()) process.kill(Number.parseInt(line, 10), 'SIGKILL')
  await eventually('its member is gone', () => assert.deepEqual(orphans(), []))
  await Promise.all([s1.serves(), s2.serves()])
  rmSync(join(s3.dataDir, 'etcd'), { recursive: true, force: true })
  s3.start()
  await s3.serves()
  await dc.assertVoters(['s1', 's2', 's3'])
})
