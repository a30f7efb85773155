/**
 * State over the real engine: what the catalog's rules make of writes, and how writers share it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMemory } from '#store'
import { MAX_WRITES } from './state.ts'
import { check, entry, node, service, stateOver, withState } from './test-state.ts'

const ID = 'eeeeeeee-0000-4000-8000-000000000001'

test('a state that is empty has index 1, and so has every reading of it', () =>
  withState(async (state) => {
    assert.ok(state.index >= 1)
    const { value, index } = state.read((tx) => [tx.kv.get('x'), tx.instances('web'), tx.services.names().size])
    assert.deepEqual(value, [undefined, [], 0])
    assert.equal(index, 1)
  }))

test('write() sets the indexes, and an equal registration moves none', () =>
  withState(async (state) => {
    const first = await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('web'))])
    assert.deepEqual(first.value, [true, true])
    const before = state.read((tx) => tx.services.get('n1', 'web'))
    assert.equal(before.value?.CreateIndex, first.index)
    assert.equal(before.value?.ModifyIndex, first.index)
    const again = await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('web'))])
    assert.deepEqual(again, { value: [false, false], index: first.index })
    const changed = await state.write((tx) => tx.putService('n1', service('web', { Port: 80 })))
    const after = state.read((tx) => ({ node: tx.nodes.get('n1'), service: tx.services.get('n1', 'web') }))
    assert.equal(after.value.node?.ModifyIndex, first.index)
    assert.equal(after.value.service?.CreateIndex, first.index)
    assert.equal(after.value.service?.ModifyIndex, changed.index)
    assert.ok(changed.index > first.index)
  }))

test('records are frozen, shared by readers, and the same object while unchanged', () =>
  withState(async (state) => {
    const given = service('web', { Tags: ['a'], Meta: { k: 'v' } })
    await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', given), tx.putNode(node('n2'))])
    const one = state.read((tx) => tx.instances('web')[0])
    await state.write((tx) => tx.putNode(node('n2', { Address: '10.0.0.9' })))
    const two = state.read((tx) => tx.instances('web')[0])
    assert.equal(one.value, two.value)
    assert.ok(Object.isFrozen(one.value?.Service) && Object.isFrozen(one.value?.Service?.Tags))
    assert.ok(!Object.isFrozen(given))
    await state.write((tx) => tx.putNode(node('n1', { Address: '10.0.0.9' })))
    const three = state.read((tx) => tx.instances('web')[0])
    assert.equal(three.value?.Service, one.value?.Service)
    assert.equal(three.value?.Node?.Address, '10.0.0.9')
  }))

test('nodes and services are found whatever the case of their names, and sorted', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putNode(node('beta')),
      tx.putNode(node('Alpha', { ID })),
      tx.putService('BETA', service('Web')),
      tx.putCheck(check('BETA', 'c1')),
    ])
    const { value } = state.read((tx) => ({
      names: tx.nodes.all().map(({ Node }) => Node),
      byId: tx.nodes.byId(ID.toUpperCase())?.Node,
      web: tx.services.named('wEB').map(({ node, service }) => [node.Node, service.Service]),
      check: tx.checks.ofNode('bETA').map(({ Node }) => Node),
    }))
    assert.deepEqual(value, { names: ['Alpha', 'beta'], byId: 'Alpha', web: [['beta', 'Web']], check: ['beta'] })
    await state.write((tx) => tx.putNode(node('Beta')))
    assert.deepEqual(state.read((tx) => tx.checks.ofNode('beta').map(({ Node }) => Node)).value, ['Beta'])
  }))

test('a node whose ID another name has is that node renamed, as recorded (exchanges 20 to 32)', () =>
  withState(async (state) => {
    await state.write((tx) => [tx.putNode(node('ext1')), tx.putService('ext1', service('redis'))])
    const seven = await state.write((tx) => tx.putNode(node('ext7', { ID, Address: '10.0.0.7' })))
    await state.write((tx) => tx.putService('ext7', service('gone')))
    const back = await state.write((tx) => tx.putNode(node('ext1', { ID })))
    const { value } = state.read((tx) => ({
      nodes: tx.nodes.all().map(({ Node, CreateIndex, ModifyIndex }) => [Node, CreateIndex, ModifyIndex]),
      services: [...tx.services.names().keys()],
    }))
    assert.deepEqual(value, { nodes: [['ext1', seven.index, back.index]], services: ['redis'] })
  }))

test('a check takes name and tags from its service, and follows when these change', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putNode(node('n1')),
      tx.putService('n1', service('web', { Tags: ['a'] })),
      tx.putCheck(check('n1', 'c1', { ServiceID: 'web', ServiceName: 'lies' })),
      tx.putCheck(check('n1', 'serfHealth')),
    ])
    const names = () =>
      state.read((tx) => tx.checks.ofNode('n1').map(({ ServiceName, ServiceTags }) => [ServiceName, ServiceTags])).value
    assert.deepEqual(names(), [
      ['web', ['a']],
      ['', null],
    ])
    await state.write((tx) => tx.putService('n1', service('api', { ID: 'web', Tags: null })))
    assert.deepEqual(names(), [
      ['api', null],
      ['', null],
    ])
    assert.deepEqual(
      state.read((tx) => [tx.checks.ofService('web').length, tx.checks.ofService('API').length]).value,
      [0, 1],
    )
  }))

test('forInstance() and instances() show the checks of the node, then those of the service', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putNode(node('n1')),
      tx.putService('n1', service('web')),
      tx.putService('n1', service('web', { ID: 'web2' })),
      tx.putCheck(check('n1', 'a', { ServiceID: 'web' })),
      tx.putCheck(check('n1', 'b', { ServiceID: 'web2' })),
      tx.putCheck(check('n1', 'serfHealth', { Status: 'critical' })),
    ])
    const { value } = state.read((tx) => ({
      one: tx.checks.forInstance('n1', 'web').map(({ CheckID }) => CheckID),
      all: tx.instances('web').map(({ Checks }) => Checks?.map(({ CheckID }) => CheckID)),
      critical: tx.checks.inState('critical').length,
      any: tx.checks.inState('any').length,
    }))
    assert.deepEqual(value, {
      one: ['serfHealth', 'a'],
      all: [
        ['serfHealth', 'a'],
        ['serfHealth', 'b'],
      ],
      critical: 1,
      any: 3,
    })
  }))

test('connectFor() finds proxies by destination and connect-native instances', () =>
  withState(async (state) => {
    const plain = service('web')
    const proxy = service('web-proxy', {
      Kind: 'connect-proxy',
      Proxy: { ...plain.Proxy, DestinationServiceName: 'web' },
    })
    const native = service('web', { ID: 'native', Connect: { ...plain.Connect, Native: true } })
    await state.write((tx) => [
      tx.putNode(node('n1')),
      ...[plain, proxy, native].map((each) => tx.putService('n1', each)),
    ])
    const { value } = state.read((tx) => ({
      connect: tx.services.connectFor('web').map((each) => each.service.ID),
      health: tx.instances('web', { connect: true }).map((each) => each.Service?.ID),
      kind: tx.services.ofKind('connect-proxy').map((each) => each.service.ID),
      ordinary: tx.services.ofKind('').map((each) => each.service.ID),
    }))
    assert.deepEqual(value, {
      connect: ['native', 'web-proxy'],
      health: ['native', 'web-proxy'],
      kind: ['web-proxy'],
      ordinary: ['native', 'web'],
    })
  }))

test('what goes takes along what is on it; deleting what is not there is no change', () =>
  withState(async (state) => {
    await state.write((tx) => [
      tx.putNode(node('n1')),
      tx.putService('n1', service('web')),
      tx.putService('n1', service('api')),
      tx.putCheck(check('n1', 'c1', { ServiceID: 'web' })),
      tx.putCheck(check('n1', 'c2', { ServiceID: 'api' })),
      tx.putCheck(check('n1', 'serfHealth')),
      tx.putCoordinate({ Node: 'n1', Segment: '', Partition: '', Coord: null }),
    ])
    await state.write((tx) => tx.deleteService('n1', 'web'))
    assert.deepEqual(state.read((tx) => tx.checks.ofNode('n1').map(({ CheckID }) => CheckID)).value, [
      'c2',
      'serfHealth',
    ])
    const index = state.index
    assert.deepEqual(await state.write((tx) => [tx.deleteService('n1', 'web'), tx.deleteCheck('n1', 'x')]), {
      value: [false, false],
      index,
    })
    await state.write((tx) => tx.deleteNode('N1'))
    const left = state.read((tx) => [
      tx.nodes.all().length,
      tx.services.all().length,
      tx.checks.inState('any').length,
      tx.coordinates.all().length,
    ])
    assert.deepEqual(left.value, [0, 0, 0, 0])
  }))

test('a service without its node and a check without its service are refused, and nothing is written', () =>
  withState(async (state) => {
    const index = state.index
    const nowhere = state.write((tx) => [tx.putKv(entry('k')), tx.putService('nope', service('web'))])
    await assert.rejects(nowhere, { code: 'STATE_MISSING_NODE', message: 'Missing node registration' })
    await state.write((tx) => tx.putNode(node('n1')))
    const orphan = state.write((tx) => tx.putCheck(check('n1', 'c', { ServiceID: 'nope' })))
    await assert.rejects(orphan, { code: 'STATE_MISSING_SERVICE' })
    assert.equal(state.read((tx) => tx.kv.get('k')).value, undefined)
    assert.equal(state.index, index + 1)
  }))

test('reads of a write see what it wrote, and nobody else does until it is committed', () =>
  withState(async (state) => {
    const written = state.write((tx) => {
      tx.putNode(node('n1'))
      tx.putService('n1', service('web', { Tags: ['a'] }))
      tx.putKv(entry('a'))
      tx.deleteKv('a')
      tx.putKv(entry('b'))
      return [tx.instances('web').length, [...tx.services.names()], tx.kv.keys('')]
    })
    assert.deepEqual(state.read((tx) => [tx.nodes.all(), tx.services.names().size, tx.kv.list('')]).value, [[], 0, []])
    assert.deepEqual((await written).value, [1, [['web', ['a']]], ['b']])
    assert.deepEqual(state.read((tx) => tx.kv.keys('')).value, ['b'])
  }))

test('a transaction is over when its function returns, and cannot be nested in a write', () =>
  withState(async (state) => {
    const { value: leaked } = state.read((tx) => tx)
    assert.throws(() => leaked.kv.get('x'), { code: 'STATE_TRANSACTION_OVER' })
    const { value: late } = await state.write((tx) => tx)
    assert.throws(() => late.putKv(entry('x')), { code: 'STATE_TRANSACTION_OVER' })
    await assert.rejects(
      state.write(() => state.read((tx) => tx.kv.get('x'))),
      { code: 'STATE_NESTED' },
    )
  }))

test('300 writers that add to one number at a time lose none of it', () =>
  withState(async (state) => {
    const add = () =>
      state.write((tx) => {
        const sum = Number(tx.kv.get('sum')?.Value?.toString() ?? 0) + 1
        tx.putKv(entry('sum', String(sum)))
        return sum
      })
    const results = await Promise.all(Array.from({ length: 300 }, add))
    assert.equal(new Set(results.map(({ value }) => value)).size, 300)
    assert.equal(new Set(results.map(({ index }) => index)).size, 300)
    assert.equal(state.read((tx) => tx.kv.get('sum')?.Value?.toString()).value, '300')
  }))

test('two states of one engine that write the same keys lose nothing, and are equal', () =>
  withState(async (one, engine) => {
    const two = await stateOver(engine)
    const add = (_: unknown, turn: number) =>
      (turn % 2 === 0 ? one : two).write((tx) => {
        const sum = Number(tx.kv.get('sum')?.Value?.toString() ?? 0) + 1
        tx.putKv(entry('sum', String(sum)))
      })
    await Promise.all(Array.from({ length: 40 }, add))
    await two.consistent()
    await one.consistent()
    assert.equal(one.read((tx) => tx.kv.get('sum')?.Value?.toString()).value, '40')
    assert.deepEqual(two.read((tx) => tx.kv.list('')).value, one.read((tx) => tx.kv.list('')).value)
    await two.close()
  }))

test('a service that comes while its node is deleted by another server is not left behind', () =>
  withState(async (one, engine) => {
    const two = await stateOver(engine)
    for (let round = 0; round < 10; round++) {
      await one.write((tx) => tx.putNode(node('n1')))
      await two.consistent()
      const came = two.write((tx) => tx.putService('n1', service('web'))).catch((error: Error) => error.message)
      await Promise.all([one.write((tx) => tx.deleteNode('n1')), came])
      await one.consistent()
      const nodes = one.read((tx) => tx.nodes.all().length).value
      assert.equal(one.read((tx) => tx.services.ofNode('n1').length).value, nodes)
    }
    await two.close()
  }))

test('a write that collides with another server 32 times gives up, and says so', async () => {
  const engine = await openMemory()
  const state = await stateOver(engine)
  let calls = 0
  const stubborn = await stateOver({
    ...engine,
    kind: engine.kind,
    load: (onRecords) => engine.load(onRecords),
    subscribe: (...args) => engine.subscribe(...args),
    barrier: () => engine.barrier(),
    lease: (...args) => engine.lease(...args),
    close: () => engine.close(),
    commit: async (transaction) => {
      calls++
      return { ok: false, conflicts: transaction.writes.map(({ key }) => key) }
    },
  })
  await assert.rejects(
    stubborn.write((tx) => tx.putKv(entry('k'))),
    { code: 'STATE_WRITE_CONFLICT' },
  )
  assert.equal(calls, 32)
  await stubborn.close()
  await state.close()
  await engine.close()
})

test('the write above the limit is refused as busy', () =>
  withState(async (state) => {
    const queued = Array.from({ length: MAX_WRITES }, (_, i) =>
      state.write((tx) => tx.putKv(entry(`k${i % 4}`, `${i}`))),
    )
    await assert.rejects(
      state.write((tx) => tx.putKv(entry('one more'))),
      { code: 'STATE_BUSY' },
    )
    await Promise.all(queued)
    assert.equal(state.read((tx) => tx.kv.list('k')).value.length, 4)
  }))

test('a tree and a node beyond one transaction are deleted in several', () =>
  withState(async (state) => {
    await Promise.all(Array.from({ length: 500 }, (_, i) => state.write((tx) => tx.putKv(entry(`t/${i}/a/b`)))))
    await state.write((tx) => [tx.putKv(entry('t')), tx.putNode(node('n1'))])
    const additions = Array.from({ length: 150 }, (_, i) =>
      state.write((tx) => [
        tx.putService('n1', service(`s${i}`)),
        tx.putCheck(check('n1', `c${i}`, { ServiceID: `s${i}` })),
      ]),
    )
    await Promise.all(additions)
    assert.equal((await state.write((tx) => tx.deleteKvTree('t/'))).value, true)
    assert.deepEqual(state.read((tx) => tx.kv.keys('')).value, ['t'])
    assert.equal((await state.write((tx) => tx.deleteKvTree('t/'))).value, false)
    assert.equal((await state.write((tx) => tx.deleteNode('n1'))).value, true)
    assert.deepEqual(state.read((tx) => [tx.services.all().length, tx.checks.inState('any').length]).value, [0, 0])
  }))

test('a closed state answers the writes under way, refuses further ones, and keeps nobody waiting', async () => {
  const engine = await openMemory()
  const state = await stateOver(engine)
  const writes = ['a', 'b', 'a', 'a'].map((key, at) => state.write((tx) => tx.putKv(entry(key, `${at}`))))
  await state.close()
  assert.equal((await Promise.all(writes)).length, 4)
  await assert.rejects(
    state.write((tx) => tx.putKv(entry('k'))),
    { code: 'STATE_CLOSED' },
  )
  await assert.rejects(state.consistent(), { code: 'STATE_CLOSED' })
  await engine.close()
})
