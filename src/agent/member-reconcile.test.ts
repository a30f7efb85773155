/**
 * Members of a pool that come to stand in the catalog. The pool is a list; catalog and endpoints are real.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CONSUL_VERSION, ManualClock, silentLogger, sleep, systemClock } from '#base'
import { NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import type { GossipEvent, GossipPool, Member } from '#gossip'
import { eventually } from '../../test/support/eventually.ts'
import { countedCatalog, fixture, NODE, pumped } from './local-fixture.ts'
import { MemberReconcile, registrationOf } from './member-reconcile.ts'

const id = (digit: number) => `0000000${digit}-0000-4000-8000-000000000000`
const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4 }

function member(name: string, more: Partial<Member> = {}): Member {
  const tags = { role: 'node', dc: 'dc1', id: id(name.length) }
  return { name, address: '10.0.0.9', port: 8301, tags, status: 'alive', ...versions, ...more }
}

const SERVER_TAGS = {
  role: 'consul',
  dc: 'dc1',
  id: id(9),
  port: '8300',
  vsn: '2',
  build: '1.21.0:abc',
  grpc_tls_port: '8503',
}
const OWN = {
  name: NODE,
  address: '127.0.0.1',
  taggedAddresses: { lan: '127.0.0.1' },
  meta: { 'consul-version': CONSUL_VERSION },
  grpcPort: -1,
  grpcTlsPort: 8503,
}

async function setting(context: TestContext) {
  const { state, endpoints: plain } = await fixture(context)
  const { endpoints, calls, broken } = countedCatalog(plain)
  const clock = new ManualClock()
  const members = new Map<string, Member>()
  const listeners = new Set<(event: GossipEvent) => void>()
  const lan: Pick<GossipPool, 'members' | 'on'> = {
    members: () => [...members.values()],
    on: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  const reconcile = new MemberReconcile(OWN, { lan, state, endpoints, clock, log: silentLogger })
  context.after(() => reconcile.stop())
  const put = (...given: Member[]) => {
    for (const each of given) members.set(each.name, each)
  }
  put(member(NODE, { tags: SERVER_TAGS }))
  return {
    state,
    endpoints: plain,
    calls,
    broken,
    clock,
    listeners,
    reconcile,
    put,
    members,
    event: () => {
      for (const listener of listeners) listener({ type: 'member-update', members: [] })
    },
    start: () => pumped(reconcile.start({ leading: true }), clock),
    /** Moves the clock, and waits until `until` holds; without it as long as something could happen that must not. */
    passed: (ms: number, until?: () => void) => {
      clock.advance(ms)
      const happened = until ? eventually('what was to happen', until).then(() => {}) : sleep(systemClock, 50)
      return pumped(happened, clock)
    },
    nodes: () =>
      state.read((tx) =>
        tx.nodes
          .all()
          .map(({ Node }) => [Node, tx.checks.get(Node, 'serfHealth')?.Status, tx.services.ofNode(Node).length]),
      ).value,
  }
}

test('members are nodes with their health, servers the service consul as recorded', async (context) => {
  const { put, start, nodes, state } = await setting(context)
  put(member('web'), member('down', { status: 'failed' }), member('gone', { status: 'left' }))
  await start()
  assert.deepEqual(nodes(), [
    [NODE, 'passing', 1],
    ['web', 'passing', 0],
  ])
  const { own, consul } = state.read((tx) => ({
    own: tx.nodes.get(NODE),
    consul: tx.services.get(NODE, 'consul'),
  })).value
  assert.deepEqual(
    [own?.Address, own?.ID, own?.Meta, own?.TaggedAddresses],
    ['127.0.0.1', id(9), OWN.meta, OWN.taggedAddresses],
  )
  assert.equal(consul?.Port, 8300)
  assert.deepEqual(consul?.Meta, {
    grpc_port: '0',
    grpc_tls_port: '8503',
    non_voter: 'false',
    raft_version: '3',
    read_replica: 'false',
    serf_protocol_current: '2',
    serf_protocol_max: '5',
    serf_protocol_min: '1',
    version: '1.21.0',
  })
})

test('a member that fails is critical at once, and gone when it has left; ourselves we never remove', async (context) => {
  const { put, start, nodes, event, passed, members } = await setting(context)
  put(member('web'))
  await start()
  put(member('web', { status: 'failed' }))
  event()
  await passed(10, () => assert.deepEqual(nodes().at(-1), ['web', 'critical', 0]))
  put(member('web', { status: 'left' }))
  members.delete(NODE)
  event()
  await passed(10, () => assert.deepEqual(nodes(), [[NODE, 'passing', 1]]))
})

test('nothing is written while nothing changes, and nodes of others are left alone', async (context) => {
  const { put, start, nodes, passed, calls, state, endpoints, event } = await setting(context)
  put(member('web'))
  await start()
  await endpoints.call(catalog.register, RegisterRequest.of({ Node: 'external', Address: '192.0.2.1' }))
  const said = {
    Node: 'web',
    ID: id(3),
    Address: '10.0.0.9',
    NodeMeta: { rack: '7' },
    TaggedAddresses: { lan: '10.0.0.9' },
  }
  await endpoints.call(catalog.register, RegisterRequest.of(said))
  const before = [calls.length, state.index]
  event()
  await passed(10)
  await passed(60_000)
  assert.deepEqual([calls.length, state.index], before)
  assert.deepEqual(
    nodes().map(([name]) => name),
    [NODE, 'external', 'web'],
  )
  assert.deepEqual(state.read((tx) => tx.nodes.get('web')?.Meta).value, { rack: '7' })
})

test('a member that the catalog refuses keeps no other out and is tried again', async (context) => {
  const { put, start, nodes, passed, endpoints } = await setting(context)
  await endpoints.call(catalog.register, RegisterRequest.of({ Node: 'taken', ID: id(1), Address: '192.0.2.1' }))
  const health = registrationOf(member('taken', { tags: { id: id(1) } }), OWN, undefined)
  await endpoints.call(catalog.register, health)
  put(member('taken', { tags: { id: id(2) } }), member('web'))
  await start()
  assert.deepEqual(nodes().at(-1), ['web', 'passing', 0])
  await endpoints.call(catalog.register, { ...health, Check: health.Check && { ...health.Check, Status: 'critical' } })
  await passed(1_000, () => assert.deepEqual(nodes()[1], ['taken', 'passing', 0]))
})

test('a change during a pass is looked at right after it, and a failed pass is repeated soon', async (context) => {
  const { put, start, nodes, event, passed, broken, reconcile, clock } = await setting(context)
  broken.on = true
  await start()
  assert.equal(nodes()[0]?.[1], undefined)
  broken.on = false
  await passed(1_000, () => assert.equal(nodes()[0]?.[1], 'passing'))
  put(member('web'))
  event()
  clock.advance(10)
  await Promise.resolve()
  put(member('later'))
  event()
  await passed(10, () =>
    assert.deepEqual(
      nodes().map(([name]) => name),
      [NODE, 'later', 'web'],
    ),
  )
  reconcile.stop()
})

test('stop() leaves no timer and no listener', async (context) => {
  const { put, start, nodes, event, passed, reconcile, listeners } = await setting(context)
  await start()
  put(member('web'))
  event()
  reconcile.stop()
  assert.equal(listeners.size, 0)
  await passed(120_000)
  assert.equal(nodes().length, 1)
})

test('registrationOf() takes no ID that is none, and no server that says too little', () => {
  const odd = member('odd', { tags: { role: 'consul', id: 'nonsense' } })
  const { ID, Service, Node } = registrationOf(odd, OWN, undefined)
  assert.deepEqual([ID, Service, Node], ['', null, 'odd'])
  assert.ok(registrationOf(member('s', { tags: SERVER_TAGS }), OWN, undefined).Service instanceof Object)
  assert.equal(
    NodeService.of(registrationOf(member('s', { tags: SERVER_TAGS, status: 'failed' }), OWN, undefined).Service ?? {})
      .ID,
    '',
  )
})

test('a server that does not lead says where it is and no more, until it leads', async (context) => {
  const { reconcile, put, state, clock, passed } = await setting(context)
  put(member('other'))
  await pumped(reconcile.start({ leading: false }), clock)
  const nodes = () => state.read((tx) => tx.nodes.all().map(({ Node }) => Node)).value
  const checks = () => state.read((tx) => tx.checks.get(NODE, 'serfHealth')).value
  assert.deepEqual(nodes(), [NODE])
  assert.equal(checks(), undefined)
  const end = reconcile.lead()
  await passed(20, () => {
    assert.deepEqual(nodes().sort(), [NODE, 'other'].sort())
    assert.equal(checks()?.Status, 'passing')
  })
  end()
  put(member('late'))
  await passed(120_000)
  assert.equal(nodes().includes('late'), false)
})
