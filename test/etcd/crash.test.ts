/** kill -9 of servers, and of servers with their etcd: what was answered is there, nothing by half, nothing left over. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { seededRandom } from '#base'
import { REPLACER, readAnswers, storm, verifyReplacement, verifyWrites, WRITER } from '../../src/store/crash-fixture.ts'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { rounds } from '../support/long.ts'
import { ask, countKeys, leaderOf, leasesBelow } from './admin.ts'
import { openEngine } from './storm.ts'

/** Each kills two servers; every other one all members of etcd as well. */
const STORMS = rounds(4, 100)
const REPLACEMENTS = rounds(4, 50)
const MAX_STORM_MS = 400
const SERVERS = ['s1-', 's2-']

let cluster: EtcdCluster

before(async () => {
  cluster = await EtcdCluster.start(3)
  await leaderOf(cluster)
})
after(() => cluster.stop())

async function killEtcd(): Promise<void> {
  await Promise.all(cluster.members.map((member) => member.signal('SIGKILL')))
}

test(`servers on etcd lose nothing that was answered in ${STORMS} storms with two kills -9 each`, async (t) => {
  const prefix = 'storm/'
  const random = seededRandom(22)
  const judge = await openEngine(cluster.endpoints, prefix, 'judge')
  let last = 0
  let lines = 0
  for (let round = 0; round < STORMS; round++) {
    const harm = round % 2 === 1
    // Etcd goes when both have answered something: one that starts without etcd ends by itself.
    const { promise: gone, resolve } = Promise.withResolvers<void>()
    let storming = 0
    const together = async () => {
      if (++storming === SERVERS.length) {
        if (harm) await killEtcd()
        resolve()
      }
      await gone
    }
    const outputs = await Promise.all(
      SERVERS.map((server) =>
        storm(WRITER, [prefix, server, ...cluster.endpoints], random.int(MAX_STORM_MS), together),
      ),
    )
    if (harm) for (const member of cluster.members) member.start()
    const answered = readAnswers(outputs.join(''))
    assert.ok(answered.revision > last, `revisions began again after ${last}`)
    await eventually('etcd answers again', () => judge.barrier())
    await verifyWrites(judge, answered)
    last = answered.revision
    lines += answered.lines
  }
  t.diagnostic(`${lines} answered transactions`)
  assert.ok(lines > STORMS * 16)
  await judge.close()
})

test(`replaceAll() on etcd leaves the old or the new whole in ${REPLACEMENTS} kills -9, and its leftovers are swept`, async () => {
  const prefix = 'replaced/'
  const random = seededRandom(23)
  let cut = 0
  for (let round = 0; round < REPLACEMENTS; round++) {
    const harm = round % 2 === 1
    const output = await storm(REPLACER, [prefix, 's1', ...cluster.endpoints], random.int(MAX_STORM_MS), async () => {
      if (harm) await killEtcd()
    })
    if (harm) for (const member of cluster.members) member.start()
    await leaderOf(cluster)
    const judge = await openEngine(cluster.endpoints, prefix, 'judge')
    if (await verifyReplacement(judge, output)) cut++
    await judge.close()
  }
  assert.ok(cut > 0, 'no kill came before the end of a replacement')

  const [member] = cluster.members
  assert.ok(member)
  // What was being written is named under a lease, which ends a minute after its writer; here at once.
  for (const lease of await leasesBelow(member, `${prefix}draft/`)) await ask(member, 'lease/revoke', { ID: lease })
  const judge = await openEngine(cluster.endpoints, prefix, 'judge')
  const { revision } = await judge.replaceAll(
    (async function* () {
      yield [{ key: 'only', value: Buffer.from('1') }]
    })(),
  )
  await eventually('all that is left is one record and one mark', async () =>
    assert.equal(await countKeys(member, `${prefix}g/`), 2),
  )
  assert.ok(revision > 0)
  await judge.close()
})
