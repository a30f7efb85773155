/**
 * State against a naive model, over random writes: whenever an answer changes its watch has fired and its index has
 * moved, no index ever goes back, and a state that is loaded from the store gives the same answers at the same indexes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom } from '#base'
import { openMemory } from '#store'
import type { State } from './state.ts'
import { check, entry, node, service, stateOver } from './test-state.ts'
import type { ReadTx, WriteTx } from './transactions.ts'

const NODES = ['n1', 'n2', 'n3']
const IDS = ['', 'id-1', 'id-2']
const SERVICES = ['web', 'api', 'db']
const STATES = ['passing', 'warning', 'critical']
const TAGS = [null, [], ['a'], ['b', 'a'], ['a', 'b']]
const KEYS = ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'ab', 'b/x', 'é/ü', '\u{1f600}', '\uffee']
const PREFIXES = ['', 'a', 'a/', 'a/b/', 'a/b/c/', 'b/', 'z/', 'é']

type Query = (tx: ReadTx) => unknown

const queries: readonly [string, Query][] = [
  ['nodes', (tx) => tx.nodes.all()],
  ['names', (tx) => [...tx.services.names()]],
  ['services', (tx) => tx.services.all()],
  ['any', (tx) => tx.checks.inState('any')],
  ...IDS.slice(1).map((id): [string, Query] => [`byId ${id}`, (tx) => tx.nodes.byId(id)]),
  ...NODES.flatMap((name): [string, Query][] => [
    [`node ${name}`, (tx) => tx.nodes.get(name)],
    [`services of ${name}`, (tx) => tx.services.ofNode(name)],
    [`checks of ${name}`, (tx) => tx.checks.ofNode(name)],
    [`coordinates of ${name}`, (tx) => tx.coordinates.ofNode(name)],
    [`instance ${name}`, (tx) => [tx.services.get(name, 's1'), tx.checks.forInstance(name, 's1')]],
  ]),
  ...SERVICES.flatMap((name): [string, Query][] => [
    [`catalog ${name}`, (tx) => tx.services.named(name)],
    [`health ${name}`, (tx) => tx.instances(name)],
    [`connect ${name}`, (tx) => [tx.instances(name, { connect: true }), tx.services.connectFor(name)]],
    [`checks of ${name}`, (tx) => tx.checks.ofService(name)],
  ]),
  ...['', 'connect-proxy'].map((kind): [string, Query] => [`kind ${kind}`, (tx) => tx.services.ofKind(kind)]),
  ...STATES.map((state): [string, Query] => [state, (tx) => tx.checks.inState(state)]),
  ...KEYS.map((key): [string, Query] => [`kv ${key}`, (tx) => tx.kv.get(key)]),
  ...PREFIXES.map((prefix): [string, Query] => [`below ${prefix}`, (tx) => tx.kv.list(prefix)]),
]

function randomWrite(random: Random): (tx: WriteTx) => unknown {
  const one = <T>(from: readonly T[]): T => from[random.int(from.length)] as T
  const [name, other, id, label, status] = [one(NODES), one(SERVICES), one(['s1', 's2']), one(SERVICES), one(STATES)]
  const [tags, key, value] = [one(TAGS), one(KEYS), String(random.int(3))]
  const kind = one(['', '', 'connect-proxy'])
  const proxied = service(label, { ID: id, Tags: tags, Port: random.int(2), Kind: kind })
  const given = { ...proxied, Proxy: { ...proxied.Proxy, DestinationServiceName: kind === '' ? '' : other } }
  const serviceId = one(['', 's1', 's2'])
  const missing = (error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('Missing ')) throw error
  }
  const tried = (work: (tx: WriteTx) => unknown) => (tx: WriteTx) => {
    try {
      work(tx)
    } catch (error) {
      missing(error)
    }
  }
  return one<(tx: WriteTx) => unknown>([
    (tx) => tx.putNode(node(name, { ID: one(IDS), Address: value })),
    (tx) => tx.putNode(node(name, { Address: value })),
    tried((tx) => tx.putService(name, given)),
    tried((tx) => tx.putService(name, given)),
    tried((tx) => tx.putCheck(check(name, one(['c1', 'c2']), { ServiceID: serviceId, Status: status }))),
    tried((tx) => tx.putCheck(check(name, one(['c1', 'c2']), { ServiceID: serviceId, Status: status }))),
    tried((tx) => tx.putCoordinate({ Node: name, Segment: '', Partition: value, Coord: null })),
    (tx) => tx.putKv(entry(key, value)),
    (tx) => tx.putKv(entry(key, value)),
    (tx) => tx.deleteKv(key),
    (tx) => tx.deleteKvTree(one(PREFIXES)),
    (tx) => tx.deleteCheck(name, one(['c1', 'c2'])),
    (tx) => tx.deleteService(name, id),
    (tx) => random.int(3) === 0 && tx.deleteNode(name),
  ])
}

/** All answers with their indexes. */
function answers(state: State) {
  return queries.map(([name, query]) => ({ name, ...state.read(query) }))
}

/** The catalog as plain lists: what every secondary index must agree with. */
function checkAgainstLists(state: State): void {
  state.read((tx) => {
    const services = tx.nodes.all().flatMap((each) => tx.services.ofNode(each.Node).map((own) => [each, own] as const))
    const checks = tx.nodes.all().flatMap((each) => tx.checks.ofNode(each.Node))
    const pairs = (name: string) =>
      services.filter(([, { Service }]) => Service === name).map(([own, each]) => ({ node: own, service: each }))
    assert.deepEqual(tx.checks.inState('any'), checks)
    for (const state of STATES) {
      assert.deepEqual(
        tx.checks.inState(state),
        checks.filter(({ Status }) => Status === state),
      )
    }
    for (const name of SERVICES) {
      assert.deepEqual(tx.services.named(name), pairs(name))
      assert.deepEqual(
        tx.checks.ofService(name),
        checks.filter(({ ServiceName }) => ServiceName === name),
      )
      const health = pairs(name).map(({ node: Node, service: Service }) => ({
        Node,
        Service,
        Checks: ['', Service.ID].flatMap((of) =>
          checks.filter((each) => each.Node === Node.Node && each.ServiceID === of),
        ),
      }))
      assert.deepEqual(tx.instances(name), health)
    }
    const names = [...new Set(services.map(([, { Service }]) => Service))].sort()
    const tags = (name: string) => [...new Set(pairs(name).flatMap((each) => each.service.Tags ?? []))]
    assert.deepEqual(
      [...tx.services.names()],
      names.map((name) => [name, tags(name)]),
    )
    const keys = KEYS.filter((key) => tx.kv.get(key)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (const prefix of PREFIXES) {
      assert.deepEqual(
        tx.kv.keys(prefix),
        keys.filter((key) => key.startsWith(prefix)),
      )
    }
  })
}

async function checkReloaded(state: State, engine: Parameters<typeof stateOver>[0]): Promise<void> {
  const reloaded = await stateOver(engine)
  const before = answers(state)
  for (const [at, { name, value, index }] of answers(reloaded).entries()) {
    assert.deepEqual(value, before[at]?.value, name)
    // When the list of names changed last is not stored: after a load it is as new as the services.
    if (name === 'names') assert.ok(index >= (before[at]?.index ?? 0))
    else assert.equal(index, before[at]?.index, name)
  }
  assert.equal(reloaded.index, state.index)
  await reloaded.close()
}

for (const seed of [1, 2, 3]) {
  test(`every change of an answer fires its watch and moves its index; a reload agrees (seed ${seed})`, async (t) => {
    const random = seededRandom(seed)
    const engine = await openMemory()
    const state = await stateOver(engine)
    const follower = await stateOver(engine)
    t.after(async () => {
      await Promise.all([state.close(), follower.close()])
      await engine.close()
    })
    let before = answers(state)
    for (let step = 0; step < 250; step++) {
      const armed = before.map(({ watch }) => {
        let called = false
        const cancel = watch.onFire(() => {
          called = true
        })
        return { called: () => called, cancel }
      })
      const works = Array.from({ length: 1 + random.int(3) }, () => randomWrite(random))
      await state.write((tx) => works.map((work) => work(tx)))
      const after = answers(state)
      for (const [at, { name, value, index, watch }] of before.entries()) {
        const now = after[at]
        assert.ok(now)
        const fired = armed[at]?.called() ?? false
        assert.equal(watch.fired, fired, name)
        armed[at]?.cancel()
        assert.ok(now.index >= index, `${name} went back`)
        if (fired) assert.equal(now.index, state.index, name)
        else assert.deepEqual(now.value, value, name)
      }
      checkAgainstLists(state)
      if (step % 50 === 49) await checkReloaded(state, engine)
      before = after
    }
    await follower.consistent()
    assert.deepEqual(
      answers(follower).map(({ name, value, index }) => ({ name, value, index })),
      answers(state).map(({ name, value, index }) => ({ name, value, index })),
    )
  })
}
