/**
 * Watches and indexes: who is woken by what, and who sleeps on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { State } from './state.ts'
import { check, entry, node, service, withState } from './test-state.ts'
import type { ReadTx, WriteTx } from './transactions.ts'

/** Everything that can be asked about a catalog with nodes n1, n2 and services web, api. */
const QUERIES: Readonly<Record<string, (tx: ReadTx) => unknown>> = {
  nodes: (tx) => tx.nodes.all(),
  'node n1': (tx) => tx.nodes.get('n1'),
  'node n2': (tx) => tx.nodes.get('n2'),
  'services of n1': (tx) => tx.services.ofNode('n1'),
  'services of n2': (tx) => tx.services.ofNode('n2'),
  'service n1/web': (tx) => tx.services.get('n1', 'web'),
  'catalog web': (tx) => tx.services.named('web'),
  'catalog api': (tx) => tx.services.named('api'),
  'health web': (tx) => tx.instances('web'),
  'health api': (tx) => tx.instances('api'),
  'connect web': (tx) => tx.instances('web', { connect: true }),
  names: (tx) => tx.services.names(),
  'checks of n1': (tx) => tx.checks.ofNode('n1'),
  'checks of n2': (tx) => tx.checks.ofNode('n2'),
  'checks of web': (tx) => tx.checks.ofService('web'),
  'checks of n1/web': (tx) => tx.checks.forInstance('n1', 'web'),
  passing: (tx) => tx.checks.inState('passing'),
  critical: (tx) => tx.checks.inState('critical'),
  'kv a': (tx) => tx.kv.get('a'),
  'kv a/b': (tx) => tx.kv.get('a/b'),
  'below a/': (tx) => tx.kv.list('a/'),
  'below a/b': (tx) => tx.kv.keys('a/b'),
  'below c/': (tx) => tx.kv.keys('c/'),
  'federation dc2': (tx) => tx.federationStates.get('dc2'),
}

/** The names of the queries that a write wakes; checks that exactly their indexes moved, to that of the write. */
async function woken(state: State, work: (tx: WriteTx) => unknown): Promise<string[]> {
  const armed = Object.entries(QUERIES).map(([name, query]) => {
    const reading = state.read(query)
    let calls = 0
    reading.watch.onFire(() => calls++)
    return { name, query, reading, calls: () => calls }
  })
  const { index } = await state.write(work)
  for (const { name, query, reading, calls } of armed) {
    const after = state.read(query)
    assert.equal(calls(), reading.watch.fired ? 1 : 0, name)
    assert.equal(after.index, reading.watch.fired ? index : reading.index, name)
  }
  return armed.filter(({ reading }) => reading.watch.fired).map(({ name }) => name)
}

const seed = (tx: WriteTx) => {
  for (const name of ['n1', 'n2']) {
    tx.putNode(node(name))
    tx.putCheck(check(name, 'serfHealth'))
  }
  tx.putService('n1', service('web', { Tags: ['a'] }))
  tx.putService('n2', service('api'))
  tx.putCheck(check('n1', 'web', { ServiceID: 'web' }))
  tx.putCheck(check('n2', 'api', { ServiceID: 'api' }))
}

test('a write wakes whom it concerns, and nobody else', () =>
  withState(async (state) => {
    await state.write(seed)
    const cases: readonly [string, (tx: WriteTx) => unknown, readonly string[]][] = [
      ['an equal registration', seed, []],
      [
        'a port',
        (tx) => tx.putService('n1', service('web', { Tags: ['a'], Port: 80 })),
        ['services of n1', 'service n1/web', 'catalog web', 'health web'],
      ],
      [
        'a tag, which the checks show',
        (tx) => tx.putService('n1', service('web', { Tags: ['b'], Port: 80 })),
        [
          'services of n1',
          'service n1/web',
          'catalog web',
          'health web',
          'names',
          'checks of n1',
          'checks of web',
          'checks of n1/web',
          'passing',
        ],
      ],
      [
        'a check that turns critical',
        (tx) => tx.putCheck(check('n1', 'web', { ServiceID: 'web', Status: 'critical' })),
        ['health web', 'checks of n1', 'checks of web', 'checks of n1/web', 'passing', 'critical'],
      ],
      [
        'a check of the node',
        (tx) => tx.putCheck(check('n2', 'serfHealth', { Output: 'x' })),
        ['health api', 'checks of n2', 'passing'],
      ],
      [
        'an address',
        (tx) => tx.putNode(node('n2', { Address: '10.0.0.2' })),
        ['nodes', 'node n2', 'catalog api', 'health api'],
      ],
      [
        'another instance with the same tags',
        (tx) => tx.putService('n2', service('web', { Tags: ['b'] })),
        ['services of n2', 'catalog web', 'health web'],
      ],
      [
        'a check goes',
        (tx) => tx.deleteCheck('n1', 'serfHealth'),
        ['health web', 'checks of n1', 'checks of n1/web', 'passing'],
      ],
      [
        'a service goes',
        (tx) => tx.deleteService('n2', 'api'),
        ['services of n2', 'catalog api', 'health api', 'names', 'checks of n2', 'passing'],
      ],
      ['a key', (tx) => tx.putKv(entry('a')), ['kv a']],
      ['a key below', (tx) => tx.putKv(entry('a/b')), ['kv a/b', 'below a/', 'below a/b']],
      ['its sibling', (tx) => tx.putKv(entry('a/bc')), ['below a/', 'below a/b']],
      ['a key elsewhere', (tx) => tx.putKv(entry('b')), []],
      ['a key goes', (tx) => tx.deleteKv('a/b'), ['kv a/b', 'below a/', 'below a/b']],
      ['a tree goes', (tx) => tx.deleteKvTree('a'), ['kv a', 'below a/', 'below a/b']],
      [
        'a federation state',
        (tx) =>
          tx.putFederationState({
            Datacenter: 'dc2',
            MeshGateways: null,
            UpdatedAt: '2026-01-01T00:00:00Z',
            PrimaryModifyIndex: 0,
            CreateIndex: 0,
            ModifyIndex: 0,
          }),
        ['federation dc2'],
      ],
      [
        'a node goes with all on it',
        (tx) => tx.deleteNode('n2'),
        ['nodes', 'node n2', 'services of n2', 'catalog web', 'health web', 'checks of n2', 'passing'],
      ],
    ]
    for (const [what, work, expected] of cases) assert.deepEqual(await woken(state, work), expected, what)
  }))

test('a watch fires once, after the whole batch is applied, and can be cancelled', () =>
  withState(async (state) => {
    await state.write((tx) => tx.putKv(entry('a', '1')))
    const { watch } = state.read((tx) => tx.kv.get('a'))
    const seen: unknown[] = []
    watch.onFire(() => seen.push(state.read((tx) => [tx.kv.keys(''), tx.nodes.all().length]).value))
    const cancel = watch.onFire(() => seen.push('cancelled'))
    cancel()
    await state.write((tx) => [tx.putKv(entry('a', '2')), tx.putKv(entry('z')), tx.putNode(node('n1'))])
    await state.write((tx) => tx.putKv(entry('a', '3')))
    assert.deepEqual(seen, [[['a', 'z'], 1]])
    assert.equal(watch.fired, true)
  }))

test('fired is true without a callback too, and onFire() of a fired watch calls back', () =>
  withState(async (state) => {
    const reading = state.read((tx) => [tx.kv.get('a'), tx.kv.list('p/')])
    assert.equal(reading.watch.fired, false)
    await state.write((tx) => tx.putKv(entry('other')))
    assert.equal(reading.watch.fired, false)
    await state.write((tx) => tx.putKv(entry('p/x')))
    assert.equal(reading.watch.fired, true)
    await new Promise<void>((resolve) => reading.watch.onFire(resolve))
  }))

test('a callback that throws keeps no other watcher and no writer from going on', () =>
  withState(async (state) => {
    const { watch } = state.read((tx) => tx.kv.get('a'))
    let called = false
    watch.onFire(() => {
      throw new Error('mine')
    })
    watch.onFire(() => {
      called = true
    })
    await state.write((tx) => tx.putKv(entry('a')))
    await state.write((tx) => tx.putKv(entry('a', '2')))
    assert.equal(called, true)
  }))

test('5,000 watchers of one topic hear of one change', () =>
  withState(async (state) => {
    await state.write(seed)
    let called = 0
    for (let i = 0; i < 5000; i++) state.read((tx) => tx.instances('web')).watch.onFire(() => called++)
    await state.write((tx) => tx.putCheck(check('n2', 'serfHealth', { Output: 'x' })))
    assert.equal(called, 0)
    await state.write((tx) => tx.putCheck(check('n1', 'serfHealth', { Output: 'x' })))
    assert.equal(called, 5000)
  }))

test('reads can be nested: each has the index and the watch of what it read itself', () =>
  withState(async (state) => {
    const one = await state.write((tx) => tx.putKv(entry('a')))
    const two = await state.write((tx) => tx.putKv(entry('b')))
    const outer = state.read((tx) => {
      const inner = state.read((own) => own.kv.get('b'))
      tx.kv.get('a')
      return inner.index
    })
    assert.deepEqual([outer.index, outer.value], [one.index, two.index])
  }))
