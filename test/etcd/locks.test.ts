/**
 * Locks on servers that share an etcd, while its leader is killed: never two holders, and every acquisition counts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, Metrics, silentLogger, systemClock } from '#base'
import { DirEntry, HealthCheck, Node, Session } from '#codec'
import { State, type WriteTx } from '#state'
import { EtcdCluster } from '../support/etcd.ts'
import { leaderOf } from './admin.ts'
import { openEngine } from './storm.ts'

const SERVERS = 3
const TURNS = 8

async function openServer(
  endpoints: readonly string[],
  name: string,
): Promise<{ state: State; close(): Promise<void> }> {
  const engine = await openEngine(endpoints, 'locks/', name)
  const base = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
  const state = await State.open({ ...base, engine, datacenter: 'dc1' })
  return {
    state,
    async close() {
      await state.close()
      await engine.close()
    },
  }
}

/** Repeats a write that may or may not have been done: all of these may be done twice. */
async function insist<T>(state: State, work: (tx: WriteTx) => T): Promise<T> {
  for (;;) {
    try {
      return (await state.write(work)).value
    } catch (error) {
      if (codeOf(error) === undefined) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

const session = (ID: string) => Session.of({ ID, Node: 'n1', NodeChecks: ['c1'], Behavior: 'release' })
const locking = (Session: string) => DirEntry.of({ Key: 'k', Session })

test('servers that share an etcd race for a lock while its leader dies: there is never a second holder', async () => {
  const cluster = await EtcdCluster.start(3)
  const servers = await Promise.all(Array.from({ length: SERVERS }, (_, at) => openServer(cluster.endpoints, `s${at}`)))
  try {
    const [first] = servers
    assert.ok(first)
    await insist(first.state, (tx) => {
      tx.putNode(Node.of({ Node: 'n1', Address: '10.0.0.1' }))
      tx.putCheck(HealthCheck.of({ Node: 'n1', CheckID: 'c1', Status: 'passing' }))
    })
    let holder = ''
    let turns = 0
    const compete = async (state: State, id: string) => {
      // Made here and used at once at the next server: that one need not have heard of it.
      await insist(state, (tx) => tx.putSession(session(id)))
      const { state: next } = servers[(servers.findIndex((each) => each.state === state) + 1) % SERVERS] ?? { state }
      for (let mine = 0; mine < TURNS; ) {
        if (!(await insist(next, (tx) => tx.lockKv(locking(id))))) continue
        assert.equal(holder, '', `${id} and ${holder} hold the lock`)
        holder = id
        mine++
        turns++
        await new Promise((resolve) => setImmediate(resolve))
        holder = ''
        await insist(state, (tx) => tx.unlockKv(locking(id)))
      }
    }
    const racing = Promise.all(servers.map(({ state }, at) => compete(state, `contender-${at}`)))
    const { leader } = await leaderOf(cluster)
    await leader.signal('SIGKILL')
    leader.start()
    await racing
    assert.equal(turns, SERVERS * TURNS)
    for (const { state } of servers) {
      await state.consistent()
      const entry = state.read((tx) => tx.kv.get('k')).value
      assert.deepEqual([entry?.Session, entry?.LockIndex], ['', turns])
    }
  } finally {
    for (const server of servers) await server.close()
    await cluster.stop()
  }
})
