/**
 * The leader's duty for sessions, on two servers over one store, each with a clock of its own: nothing ends early,
 * whoever leads and whatever the clocks say, and everything ends.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock, Metrics, silentLogger } from '#base'
import { DirEntry, encode, HealthCheck, Node, Session } from '#codec'
import { State } from '#state'
import { type Engine, openMemory } from '#store'
import { Deadlines } from './deadlines.ts'
import { expireSessions } from './session-expiry.ts'

const ID = '11111111-0000-4000-8000-000000000001'
const NEXT = '22222222-0000-4000-8000-000000000002'
const STEP_MS = 250

interface Servers {
  readonly engine: Engine
  readonly states: readonly [State, State]
}

async function servers(t: TestContext): Promise<Servers> {
  const engine = await openMemory()
  const open = () =>
    State.open({ engine, clock: new ManualClock(), log: silentLogger, metrics: new Metrics(), datacenter: 'dc1' })
  const states = [await open(), await open()] as const
  t.after(async () => {
    for (const state of states) await state.close()
    await engine.close()
  })
  await states[0].write((tx) => {
    tx.putNode(Node.of({ Node: 'n1', Address: '10.0.0.1' }))
    tx.putCheck(HealthCheck.of({ Node: 'n1', CheckID: 'serfHealth', Status: 'passing' }))
    tx.putSession(session(NEXT))
  })
  return { engine, states }
}

const session = (id: string, more: Partial<Session> = {}): Session =>
  Session.of({ ID: id, Node: 'n1', Behavior: 'release', NodeChecks: ['serfHealth'], ...more })

const lock = (state: State, Session: string) => state.write((tx) => tx.lockKv(DirEntry.of({ Key: 'k', Session })))

/** A server that leads: its duty, and its time. */
function leader(t: TestContext, state: State, startMs = 0) {
  const clock = new ManualClock(startMs)
  const stop = expireSessions(state, { clock, log: silentLogger })
  t.after(stop)
  let settled = 0
  /** What the duty wanted to write at this tick was handed to the store before these are. */
  const settle = async () => {
    for (let i = 0; i < 2; i++) await state.write((tx) => tx.putKv(DirEntry.of({ Key: 'settled', Flags: ++settled })))
  }
  const run = async (ms: number) => {
    for (let spent = 0; spent < ms; spent += STEP_MS) {
      clock.advance(STEP_MS)
      await settle()
    }
  }
  return { run, stop }
}

async function isThere(state: State, id: string): Promise<boolean> {
  await state.consistent()
  return state.read((tx) => tx.sessions.get(id)).value !== undefined
}

/** Waits for what the duty does in several writes. */
async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setImmediate(resolve))
}
const isGone = (state: State, id: string) => async () => !(await isThere(state, id))

test('a session lives while it is renewed, at whichever server, and ends between its TTL and twice that after', async (t) => {
  const { states } = await servers(t)
  const [one, two] = states
  await two.write((tx) => tx.putSession(session(ID, { TTL: '10s' })))
  const { run } = leader(t, one)
  await run(9_750)
  assert.equal(await isThere(two, ID), true)
  for (let renewals = 0; renewals < 6; renewals++) {
    await two.write((tx) => tx.renewSession(ID))
    await run(10_000)
    assert.equal(await isThere(two, ID), true)
  }
  await run(10_000)
  await until(isGone(two, ID))
  assert.equal(await isThere(two, NEXT), true, 'one without a TTL lives on')
  assert.deepEqual(two.read((tx) => tx.sessions.renewals()).value, [])
})

test('a new leader gives a session its full TTL from when it takes over', async (t) => {
  const { states } = await servers(t)
  const [one, two] = states
  await one.write((tx) => tx.putSession(session(ID, { TTL: '10s' })))
  const first = leader(t, one)
  await first.run(9_000)
  first.stop()
  const second = leader(t, two, 1_000_000)
  await second.run(9_750)
  assert.equal(await isThere(one, ID), true)
  await second.run(10_250)
  await until(isGone(one, ID))
})

test('a leader that stood still gives every session its full TTL again', async (t) => {
  const { states } = await servers(t)
  const [one] = states
  await one.write((tx) => tx.putSession(session(ID, { TTL: '10s' })))
  const clock = new ManualClock()
  let lostMs = 0
  const stalling = {
    wallMs: () => clock.wallMs(),
    nowMs: () => clock.nowMs() + lostMs,
    after: clock.after.bind(clock),
    every: clock.every.bind(clock),
  }
  t.after(expireSessions(one, { clock: stalling, log: silentLogger }))
  clock.advance(STEP_MS)
  await one.consistent()
  lostMs = 60_000
  clock.advance(STEP_MS)
  for (let i = 1; i < 4; i++) await one.write((tx) => tx.putKv(DirEntry.of({ Key: 'settled', Flags: i })))
  assert.equal(await isThere(one, ID), true)
})

test('a lock-delay holds at every server and over a change of leader, for its full time each', async (t) => {
  const { states } = await servers(t)
  const [one, two] = states
  await one.write((tx) => tx.putSession(session(ID, { LockDelay: 15e9 })))
  assert.equal((await lock(one, ID)).value, true)
  const first = leader(t, one)
  await two.write((tx) => tx.endSession(ID))
  assert.equal((await lock(one, NEXT)).value, false)
  await first.run(14_500)
  assert.equal((await lock(two, NEXT)).value, false)
  first.stop()
  const second = leader(t, two, 5_000_000)
  await second.run(14_500)
  assert.equal((await lock(one, NEXT)).value, false)
  await second.run(1_500)
  await until(async () => (await lock(one, NEXT)).value)
})

test('what a server wrote that knows no sessions is repaired: sessions of critical checks, locks of no session', async (t) => {
  const { engine, states } = await servers(t)
  const [one] = states
  await one.write((tx) => tx.putSession(session(ID, { NodeChecks: [] })))
  assert.equal((await lock(one, ID)).value, true)
  const critical = HealthCheck.of({ Node: 'n1', CheckID: 'serfHealth', Status: 'critical' })
  const locked = DirEntry.of({ Key: 'orphan', Session: 'gone', LockIndex: 1 })
  await engine.commit({
    writes: [
      { key: 'checks/n1\0serfHealth', value: encode(HealthCheck, critical) },
      { key: 'kv/orphan', value: encode(DirEntry, locked) },
    ],
  })
  assert.deepEqual(one.read((tx) => tx.sessions.holders()).value, [ID, 'gone'])
  await leader(t, one).run(1_000)
  await until(isGone(one, NEXT))
  await until(async () => one.read((tx) => tx.lockDelays.get('orphan')).value !== undefined)
  assert.equal(await isThere(one, ID), true)
  assert.deepEqual(one.read((tx) => tx.sessions.holders()).value, [ID])
  assert.equal(one.read((tx) => tx.kv.get('orphan')).value?.Session, '')
})

test('Deadlines.due() starts anew with a new version, forgets what is gone, and says what is over until it goes', () => {
  const deadlines = new Deadlines()
  const a = { key: 'a', version: 1, durationMs: 10 }
  assert.deepEqual(deadlines.due([a], 100), [])
  assert.deepEqual(deadlines.due([a], 109), [])
  assert.deepEqual(deadlines.due([{ ...a, version: 2 }], 109), [])
  assert.deepEqual(deadlines.due([{ ...a, version: 2 }], 118), [])
  for (const nowMs of [119, 200]) assert.deepEqual(deadlines.due([{ ...a, version: 2 }], nowMs), [{ ...a, version: 2 }])
  assert.deepEqual(deadlines.due([], 200), [])
  assert.deepEqual(deadlines.due([{ ...a, version: 2 }], 300), [], 'it came back')
})
