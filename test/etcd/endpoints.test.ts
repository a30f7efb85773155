/** Endpoints at which nothing answers, or a member that nobody leads: others are asked, and a lack of all is named. */
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { freePorts } from '#local'
import { committed, follow, loaded, put, refusal } from '../../src/store/contract-fixture.ts'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'
import { leaderOf } from './admin.ts'
import { openEngine } from './storm.ts'

let cluster: EtcdCluster
let silent: Server
const sockets = new Set<Socket>()
let refused = ''

before(async () => {
  const [silentPort, refusedPort] = await freePorts(2)
  refused = `http://127.0.0.1:${refusedPort}`
  silent = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  }).listen(silentPort, '127.0.0.1')
  cluster = await EtcdCluster.start(3)
  await leaderOf(cluster)
})
after(async () => {
  for (const socket of sockets) socket.destroy()
  silent.close()
  await cluster.stop()
})

function silentEndpoint(): string {
  const address = silent.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

for (const first of ['refused', 'silent', 'both'] as const) {
  test(`an engine opens and writes where its first endpoints are ${first}`, async () => {
    const broken = { refused: [refused], silent: [silentEndpoint()], both: [refused, silentEndpoint()] }[first]
    const engine = await openEngine([...broken, ...cluster.endpoints], `first/${first}/`, 's1')
    const { follower } = follow(engine, (await loaded(engine)).revision)
    for (let at = 0; at < 20; at++) await committed(engine, { writes: [put('a', String(at))] })
    assert.equal(follower.batches.length, 20)
    await engine.close()
  })
}

test('an engine whose member answers without a leader refuses writes by name, grows stale, and goes on afterwards', async () => {
  const [first, ...others] = cluster.members
  assert.ok(first)
  const engine = await openEngine([first.endpoint], 'leaderless/', 's1')
  const { follower } = follow(engine, (await loaded(engine)).revision)
  await committed(engine, { writes: [put('a', '1')] })
  for (const member of others) await member.signal('SIGKILL')
  await assert.rejects(engine.commit({ writes: [put('a', '2')] }), refusal('STORE_UNREACHABLE'))
  await assert.rejects(engine.barrier(), refusal('STORE_UNREACHABLE'))
  assert.ok(engine.staleMs() > 5_000, `it says that it is ${engine.staleMs()} ms old`)
  assert.equal(follower.lost, undefined)
  for (const member of others) member.start()
  await eventually('it goes on', () => engine.barrier())
  await committed(engine, { writes: [put('b', '3')] })
  assert.deepEqual(follower.sorted(), (await loaded(engine)).records)
  await engine.close()
})
