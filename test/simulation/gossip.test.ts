/**
 * Whole pools of up to 150 nodes, simulated from a seed: what users rely on, over minutes of simulated time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gossipKey, Keyring } from '#gossip'
import { GossipNetwork, type SimulationOptions } from './gossip-network.ts'

const allAlive = () => 'alive' as const

function pool(size: number, options: SimulationOptions): GossipNetwork {
  const network = new GossipNetwork(options)
  for (let index = 1; index <= size; index++) {
    network.add(`n${index}`)
    if (index > 1) network.join(`n${index}`, `n${1 + network.random.int(index - 1)}`)
    network.run(20)
  }
  return network
}

/**
 * Gossip alone misses a node now and then: a message is sent 8 times by each who hears it, up to 99 nodes. Push/pull makes
 * up for it, once a minute in pools of this size.
 */
const SETTLED_MS = 180_000

/** Events of a kind in the whole pool, the node itself excepted. */
function count(network: GossipNetwork, event: string): number {
  return network.living().reduce((sum, node) => sum + node.events.filter((entry) => entry === event).length, 0)
}

test('150 nodes that join one after the other all see each other', () => {
  const network = pool(150, { seed: 1 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
})

test('100 nodes stay together for two minutes with 5 % of all datagrams lost: nobody is declared failed', () => {
  const network = pool(100, { seed: 2, lossShare: 0.05 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  network.run(120_000)
  const failed = network.living().flatMap((node) => node.events.filter((event) => event.startsWith('member-failed')))
  assert.deepEqual(failed, [])
  assert.ok(network.agree(allAlive))
})

test('a killed node is failed everywhere, once, and alive again everywhere after its restart', () => {
  const network = pool(100, { seed: 3, lossShare: 0.02 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  network.kill('n42')
  const wanted = (name: string) => (name === 'n42' ? 'failed' : 'alive')
  assert.ok(network.runUntil(() => network.agree(wanted), SETTLED_MS))
  assert.equal(count(network, 'member-failed n42'), 99)
  network.restart('n42')
  network.join('n42', 'n7')
  assert.ok(
    network.runUntil(() => network.agree(allAlive), 30_000),
    'its new life outlives the old news',
  )
  network.run(30_000)
  assert.equal(count(network, 'member-failed n42'), 99)
})

test('a partition splits a pool into two that call each other failed; healed, they find each other again', () => {
  const timing = { reconnectIntervalMs: 5_000 }
  const network = pool(100, { seed: 4, timing })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  const side = (name: string) => (Number(name.slice(1)) <= 30 ? 0 : 1)
  network.partition((node) => side(node.name))
  const split = network.runUntil(
    () =>
      network
        .living()
        .every((node) =>
          node.core
            .members()
            .every((other) => (side(node.name) === side(other.name) ? 'alive' : 'failed') === other.status),
        ),
    120_000,
  )
  assert.ok(split)
  network.partition(undefined)
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
})

test('a node that nobody hears is suspected, refutes when it is heard again, and never leaves the pool', () => {
  const network = pool(60, { seed: 5 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  network.partition((node) => (node.name === 'n9' ? 1 : 0))
  network.run(4_000)
  network.partition(undefined)
  network.run(60_000)
  assert.equal(count(network, 'member-failed n9'), 0)
  assert.ok(network.agree(allAlive))
})

test('leaving is not failing: a node that says goodbye is left everywhere', () => {
  const network = pool(60, { seed: 6, lossShare: 0.02 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  let left = false
  network.act('n11', (core) =>
    core.leave(() => {
      left = true
    }),
  )
  assert.ok(network.runUntil(() => left, 20_000))
  network.kill('n11')
  assert.ok(network.runUntil(() => network.agree((name) => (name === 'n11' ? 'left' : 'alive')), SETTLED_MS))
  assert.equal(count(network, 'member-failed n11'), 0)
})

test('force-leave turns a failed node into a left one everywhere; with prune it is forgotten', () => {
  const network = pool(40, { seed: 7 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  network.kill('n5')
  network.kill('n6')
  const gone = (name: string) => name === 'n5' || name === 'n6'
  assert.ok(network.runUntil(() => network.agree((name) => (gone(name) ? 'failed' : 'alive')), SETTLED_MS))
  network.act('n1', (core) => core.forceLeave('n5', false, () => {}))
  network.act('n1', (core) => core.forceLeave('n6', true, () => {}))
  const wanted = (name: string) => (name === 'n5' ? 'left' : name === 'n6' ? undefined : 'alive')
  assert.ok(network.runUntil(() => network.agree(wanted), SETTLED_MS))
  // A full push/pull round does not bring it back.
  network.run(90_000)
  assert.ok(network.agree(wanted))
})

test('a user event reaches each of 100 nodes exactly once, through 10 % loss', () => {
  const network = pool(100, { seed: 8, lossShare: 0.1 })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  network.act('n3', (core) => core.userEvent('deploy', Buffer.from('v2'), true))
  network.run(60_000)
  for (const node of network.living()) {
    assert.equal(node.events.filter((event) => event === 'user deploy').length, 1, node.name)
  }
})

test('a key rotation under way on an encrypted pool loses nobody', () => {
  const first = gossipKey(Buffer.alloc(16, 1))
  const second = Buffer.alloc(32, 2)
  const network = pool(50, { seed: 9, keyring: () => new Keyring([first]) })
  assert.ok(network.runUntil(() => network.agree(allAlive), SETTLED_MS))
  for (const operation of ['install-key', 'use-key', 'remove-key', 'list-keys'] as const) {
    const key = { 'install-key': second, 'use-key': second, 'remove-key': first.bytes, 'list-keys': Buffer.alloc(0) }
    let result: { error?: string; numResponses: number; keys: Readonly<Record<string, number>> } | undefined
    network.act('n1', (core) =>
      core.keys(operation, key[operation], 0, (outcome) => {
        result = outcome
      }),
    )
    assert.ok(network.runUntil(() => result !== undefined, 30_000))
    assert.deepEqual([result?.error, result?.numResponses], [undefined, 50], operation)
    if (operation === 'list-keys') assert.deepEqual(result?.keys, { [second.toString('base64')]: 50 })
  }
  network.run(30_000)
  assert.ok(network.agree(allAlive))
})

test('the same seed gives the same run', () => {
  const run = () => {
    const network = pool(20, { seed: 10, lossShare: 0.05 })
    network.run(20_000)
    return [network.datagrams, ...network.living().flatMap((node) => node.events)]
  }
  assert.deepEqual(run(), run())
})
