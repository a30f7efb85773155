/**
 * Sessions and locks against a simple model, raced for on two servers, and cut off between any two commits.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom } from '#base'
import { DirEntry, Session } from '#codec'
import { type Engine, openMemory, storeError } from '#store'
import type { State } from './state.ts'
import { check, node, stateOver } from './test-state.ts'
import type { WriteTx } from './transactions.ts'

const NODES = ['n1', 'n2']
const CHECKS = ['c1', 'c2']
const KEYS = ['a', 'b', 'dir/c']
const SESSIONS = ['s1', 's2', 's3', 's4']

const session = (ID: string, more: Partial<Session> = {}): Session =>
  Session.of({ ID, Node: 'n1', Behavior: 'release', ...more })
const locking = (Key: string, Session: string): DirEntry => DirEntry.of({ Key, Session })

/** What holds after every transaction. */
function checkInvariants(state: State): void {
  state.read((tx) => {
    for (const { Key, Session } of tx.kv.list('')) {
      if (Session !== '') assert.ok(tx.sessions.get(Session), `"${Key}" is locked by nobody`)
    }
    for (const { ID, Node, NodeChecks } of tx.sessions.all()) {
      assert.ok(tx.nodes.get(Node), `${ID} has no node`)
      for (const id of NodeChecks ?? []) {
        const status = tx.checks.get(Node, id)?.Status
        assert.ok(status !== undefined && status !== 'critical', `${ID} depends on a check that is ${status}`)
      }
    }
    for (const { ID } of tx.sessions.renewals()) assert.ok(tx.sessions.get(ID), `${ID} is renewed and is not there`)
  })
}

/** The same world without a store: maps, and a line per rule. */
class Model {
  readonly checks = new Map<string, string>()
  readonly nodes = new Set<string>()
  readonly sessions = new Map<string, Session>()
  readonly keys = new Map<string, { session: string; lockIndex: number }>()
  readonly delays = new Set<string>()

  end(ids: Iterable<string>): void {
    for (const id of ids) {
      const ended = this.sessions.get(id)
      if (!this.sessions.delete(id)) continue
      for (const [key, entry] of [...this.keys]) {
        if (entry.session !== id) continue
        if ((ended?.LockDelay ?? 0) > 0) this.delays.add(key)
        if (ended?.Behavior === 'delete') this.keys.delete(key)
        else entry.session = ''
      }
    }
  }

  dependents(on: (session: Session) => boolean): string[] {
    return [...this.sessions.values()].filter(on).map(({ ID }) => ID)
  }

  putCheck(of: string, id: string, status: string): void {
    if (!this.nodes.has(of)) throw new Error('no node')
    if (status === 'critical') this.endOfCheck(of, id)
    this.checks.set(`${of}/${id}`, status)
  }

  endOfCheck(of: string, id: string): void {
    this.end(this.dependents(({ Node, NodeChecks }) => Node === of && (NodeChecks ?? []).includes(id)))
  }

  deleteNode(of: string): void {
    this.end(this.dependents(({ Node }) => Node === of))
    this.nodes.delete(of)
    for (const id of CHECKS) this.checks.delete(`${of}/${id}`)
  }

  putSession(made: Session): void {
    const bad = (id: string) => (this.checks.get(`${made.Node}/${id}`) ?? 'critical') === 'critical'
    if (!this.nodes.has(made.Node) || (made.NodeChecks ?? []).some(bad)) throw new Error('no session')
    this.sessions.set(made.ID, made)
  }

  lock(key: string, id: string): boolean {
    if (!this.sessions.has(id)) throw new Error('invalid session')
    const known = this.keys.get(key)
    if (known?.session === id) return true
    if ((known?.session ?? '') !== '' || this.delays.has(key)) return false
    this.keys.set(key, { session: id, lockIndex: (known?.lockIndex ?? 0) + 1 })
    return true
  }

  unlock(key: string, id: string): boolean {
    const known = this.keys.get(key)
    if (known === undefined || known.session !== id) return false
    known.session = ''
    return true
  }
}

interface Step {
  readonly name: string
  readonly real: (tx: WriteTx) => unknown
  readonly model: (model: Model) => unknown
}

function randomStep(random: Random, model: Model): Step {
  const one = <T>(from: readonly T[]): T => from[random.int(from.length)] as T
  const [of, id, key, who] = [one(NODES), one(CHECKS), one(KEYS), one(SESSIONS)]
  const status = one(['passing', 'warning', 'critical'])
  const made = session(who, {
    Node: of,
    NodeChecks: one([[], [id], CHECKS]),
    Behavior: one(['release', 'delete']),
    LockDelay: one([0, 1e9]),
    TTL: one(['', '10s']),
  })
  const steps: readonly Step[] = [
    { name: `node ${of}`, real: (tx) => tx.putNode(node(of)), model: (m) => void m.nodes.add(of) },
    {
      name: `${of}/${id} ${status}`,
      real: (tx) => tx.putCheck(check(of, id, { Status: status })),
      model: (m) => m.putCheck(of, id, status),
    },
    {
      name: `${of}/${id} passes`,
      real: (tx) => tx.putCheck(check(of, id)),
      model: (m) => m.putCheck(of, id, 'passing'),
    },
    {
      name: `${of}/${id} goes`,
      real: (tx) => tx.deleteCheck(of, id),
      model: (m) => {
        m.endOfCheck(of, id)
        m.checks.delete(`${of}/${id}`)
      },
    },
    { name: `session ${who}`, real: (tx) => tx.putSession(made), model: (m) => m.putSession(made) },
    { name: `end ${who}`, real: (tx) => tx.endSession(who), model: (m) => m.end([who]) },
    { name: `renew ${who}`, real: (tx) => tx.renewSession(who), model: () => undefined },
    { name: `lock ${key} ${who}`, real: (tx) => tx.lockKv(locking(key, who)), model: (m) => m.lock(key, who) },
    { name: `unlock ${key} ${who}`, real: (tx) => tx.unlockKv(locking(key, who)), model: (m) => m.unlock(key, who) },
    { name: `delete ${key}`, real: (tx) => tx.deleteKv(key), model: (m) => void m.keys.delete(key) },
    { name: `delay of ${key} over`, real: (tx) => tx.deleteLockDelay(key), model: (m) => void m.delays.delete(key) },
    { name: `${of} goes`, real: (tx) => tx.deleteNode(of), model: (m) => m.deleteNode(of) },
  ]
  // A session that is there is not made again, and nodes go seldom: else there would be little to see.
  const isDull = ({ name }: Step) =>
    (name === `session ${who}` && model.sessions.has(who)) || (name === `${of} goes` && random.int(4) > 0)
  const step = one(steps)
  return isDull(step) ? randomStep(random, model) : step
}

function shown(state: State) {
  return state.read((tx) => ({
    sessions: tx.sessions.all().map(({ ID }) => ID),
    keys: tx.kv.list('').map(({ Key, Session, LockIndex }) => [Key, Session, LockIndex]),
    delays: tx.lockDelays.all().map(({ Key }) => Key),
  })).value
}

function shownModel({ sessions, keys, delays }: Model) {
  return {
    sessions: [...sessions.keys()].sort(),
    keys: [...keys].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, entry.session, entry.lockIndex]),
    delays: [...delays].sort(),
  }
}

const MEANINGFUL = /^(?:un)?lock /

for (const seed of [1, 2, 3]) {
  test(`sessions, locks and delays do what a simple model does, on two servers in turn (seed ${seed})`, async (t) => {
    const random = seededRandom(seed)
    const engine = await openMemory()
    const states = [await stateOver(engine), await stateOver(engine)] as const
    t.after(async () => {
      for (const state of states) await state.close()
      await engine.close()
    })
    const model = new Model()
    const history: string[] = []
    for (let at = 0; at < 600; at++) {
      const state = states[random.int(2) === 0 ? 0 : 1]
      const { name, real, model: modelled } = randomStep(random, model)
      history.push(name)
      let wanted: unknown = 'refused'
      try {
        wanted = modelled(model)
      } catch {
        // The same is expected of the state.
      }
      let got: unknown = 'refused'
      try {
        got = (await state.write(real)).value
      } catch (error) {
        if (wanted !== 'refused') throw error
      }
      const tail = history.slice(-8).join(', ')
      if (wanted === 'refused' || MEANINGFUL.test(name)) assert.equal(got, wanted, tail)
      for (const each of states) {
        await each.consistent()
        assert.deepEqual(shown(each), shownModel(model), tail)
        checkInvariants(each)
      }
    }
  })
}

test('two servers race for a lock: there is never a second holder, and every acquisition counts', async () => {
  const engine = await openMemory()
  const states = await Promise.all([stateOver(engine), stateOver(engine)])
  await states[0]?.write((tx) => [tx.putNode(node('n1')), tx.putCheck(check('n1', 'c1'))])
  let holder = ''
  let acquired = 0
  const runner = async (id: string, state: State, random: Random) => {
    await state.consistent()
    await state.write((tx) => tx.putSession(session(id, { NodeChecks: ['c1'] })))
    for (let tries = 0; tries < 40; tries++) {
      if (!(await state.write((tx) => tx.lockKv(locking('k', id)))).value) continue
      assert.equal(holder, '', `${id} and ${holder} hold the lock`)
      holder = id
      acquired++
      for (let work = random.int(4); work > 0; work--) await new Promise((resolve) => setImmediate(resolve))
      holder = ''
      // Given back, or lost with the session.
      if (random.int(3) > 0) await state.write((tx) => tx.unlockKv(locking('k', id)))
      else {
        await state.write((tx) => tx.endSession(id))
        await state.write((tx) => tx.putSession(session(id, { NodeChecks: ['c1'] })))
      }
    }
  }
  await Promise.all(
    ['r1', 'r2', 'r3', 'r4', 'r5', 'r6'].map((id, at) => runner(id, states[at % 2] as State, seededRandom(at))),
  )
  assert.ok(acquired > 20, `only ${acquired} acquisitions`)
  for (const state of states) {
    await state.consistent()
    assert.equal(state.read((tx) => tx.kv.get('k')).value?.LockIndex, acquired)
    await state.close()
  }
  await engine.close()
})

test('sessions and locks that are made while their check turns critical on another server never outlive it', async () => {
  const engine = await openMemory()
  const [one, two] = [await stateOver(engine), await stateOver(engine)]
  await one.write((tx) => [tx.putNode(node('n1')), tx.putCheck(check('n1', 'c1'))])
  let made = 0
  for (let round = 0; round < 60; round++) {
    await two.consistent()
    const id = `s${round}`
    const work = [
      one
        .write((tx) => tx.putSession(session(id, { NodeChecks: ['c1'] })))
        .then(() => {
          made++
          return one.write((tx) => tx.lockKv(locking(`k${round}`, id)))
        }),
      two.write((tx) => tx.putCheck(check('n1', 'c1', { Status: 'critical' }))),
    ]
    await Promise.allSettled(round % 2 === 0 ? work : work.reverse())
    for (const state of [one, two]) {
      await state.consistent()
      checkInvariants(state)
    }
    await two.write((tx) => tx.putCheck(check('n1', 'c1')))
    await one.consistent()
  }
  assert.ok(made > 0)
  await Promise.all([one.close(), two.close()])
  await engine.close()
})

/** An engine whose process dies after so many commits. */
function dying(engine: Engine, commits: number): Engine {
  let left = commits
  return {
    ...engine,
    kind: engine.kind,
    load: (onRecords) => engine.load(onRecords),
    subscribe: (after, onBatch, onLost) => engine.subscribe(after, onBatch, onLost),
    barrier: () => engine.barrier(),
    lease: (name, options) => engine.lease(name, options),
    close: () => engine.close(),
    commit: async (transaction) => {
      if (left-- <= 0) throw storeError('STORE_FAILED', { path: 'x', reason: 'the process is gone' })
      return engine.commit(transaction)
    },
  }
}

const LOCKS = 150
const ENDINGS: readonly (readonly [string, (tx: WriteTx) => unknown])[] = [
  ['its check turns critical', (tx) => tx.putCheck(check('n1', 'c1', { Status: 'critical' }))],
  ['its node goes', (tx) => tx.deleteNode('n1')],
  ['it is destroyed', (tx) => tx.endSession('s1')],
]
for (const [what, end] of ENDINGS) {
  test(`a server that dies while ${what}, with more locks than a transaction holds, leaves nothing half-done behind`, async () => {
    let finished = false
    for (let commits = 0; !finished; commits++) {
      assert.ok(commits < 50, 'it takes far too many transactions')
      const engine = await openMemory()
      const first = await stateOver(engine)
      await first.write((tx) => [tx.putNode(node('n1')), tx.putCheck(check('n1', 'c1'))])
      await first.write((tx) => tx.putSession(session('s1', { NodeChecks: ['c1'], TTL: '10s', LockDelay: 1e9 })))
      for (let at = 0; at < LOCKS; at += 50) {
        await first.write((tx) => {
          for (let i = at; i < at + 50; i++) tx.lockKv(locking(`dir/${i}`, 's1'))
        })
      }
      await first.close()
      const mortal = await stateOver(dying(engine, commits))
      finished = await mortal.write(end).then(
        () => true,
        () => false,
      )
      await mortal.close()
      const next = await stateOver(engine)
      checkInvariants(next)
      const { sessions, keys, delays } = shown(next)
      const held = keys.filter(([, holder]) => holder === 's1')
      if (held.length === LOCKS) assert.deepEqual(sessions, ['s1'])
      // Whatever was let go has its delay, and what is held has its session.
      assert.ok(keys.filter(([, holder]) => holder === '').every(([key]) => delays.includes(String(key))))
      await next.write(end)
      checkInvariants(next)
      assert.deepEqual(shown(next).sessions, [])
      assert.ok(shown(next).keys.every(([, holder]) => holder === ''))
      assert.equal(shown(next).delays.length, LOCKS)
      await next.close()
      await engine.close()
    }
  })
}
