/**
 * Real gossip threads on loopback: what startGossip() promises to the rest of Hanse.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { after, test } from 'node:test'
import { codeOf } from '#base'
import type { Gossip, GossipEvent, GossipOptions, GossipPool, WanCarrier } from './api.ts'
import { startGossip } from './gossip.ts'
import type { GossipTiming } from './timing.ts'

const KEY = 'cg8StVXbQJ0gPvMd9o7yrg=='
const OTHER_KEY = 'HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8='

/** Quick enough for tests, slow enough for a busy machine. */
const timing: Partial<GossipTiming> = {
  gossipIntervalMs: 20,
  probeIntervalMs: 100,
  probeTimeoutMs: 50,
  suspicionMult: 3,
  leavePropagateDelayMs: 50,
  tcpTimeoutMs: 2_000,
}

const running = new Set<Gossip>()
const folders: string[] = []
after(async () => {
  await Promise.all([...running].map((gossip) => gossip.shutdown()))
  for (const folder of folders) await rm(folder, { recursive: true })
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hanse-gossip-'))
  folders.push(path)
  return path
}

function serverTags(datacenter: string, id: string): Record<string, string> {
  return { role: 'consul', dc: datacenter, id, port: '8300', vsn: '2', build: '1.21.0:', segment: '' }
}

async function start(name: string, options: Partial<GossipOptions> = {}, datacenter = 'dc1'): Promise<Gossip> {
  const nodeId = options.nodeId ?? `id-${name}-${datacenter}`
  const tags = serverTags(datacenter, nodeId)
  const lan = { bindAddress: '127.0.0.1', bindPort: 0, tags, timing }
  const gossip = await startGossip({ nodeName: name, datacenter, nodeId, lan, ...options })
  running.add(gossip)
  return gossip
}

async function stop(gossip: Gossip): Promise<void> {
  running.delete(gossip)
  await gossip.shutdown()
}

const addressOf = (pool: GossipPool) => `127.0.0.1:${pool.port}`
const statusOf = (pool: GossipPool, name: string) => pool.members().find((member) => member.name === name)?.status

/** Waits for an event that `wanted` takes; the test's own time limit ends a wait that never ends. */
function event(pool: GossipPool, wanted: (event: GossipEvent) => boolean): Promise<GossipEvent> {
  return new Promise((resolve) => {
    const off = pool.on((got) => {
      if (!wanted(got)) return
      off()
      resolve(got)
    })
  })
}

const about = (type: string, name: string) => (got: GossipEvent) =>
  got.type === type && 'members' in got && got.members.some((member) => member.name === name)

/** Waits until a condition on mirrors holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const limit = { timeout: 20_000 }

test('startGossip() joins two nodes with encryption: members, tags, events, queries, coordinates', limit, async () => {
  const [a, b] = await Promise.all([start('a', { keyrings: { lan: [KEY] } }), start('b', { keyrings: { lan: [KEY] } })])
  assert.equal(statusOf(a.lan, 'a'), 'alive')
  assert.ok(a.lan.encrypted && a.lan.port > 0)
  const joined = event(b.lan, about('member-join', 'a'))
  assert.deepEqual(await a.lan.join([addressOf(b.lan)]), { joined: 1, errors: [] })
  await joined
  assert.deepEqual(b.lan.members().find((member) => member.name === 'a')?.tags, serverTags('dc1', 'id-a-dc1'))

  const fired = event(b.lan, (got) => got.type === 'user')
  await a.lan.userEvent('deploy', Buffer.from('v2'), true)
  const user = await fired
  assert.ok(user.type === 'user' && user.name === 'deploy' && user.payload.toString() === 'v2' && user.coalesce)

  b.lan.on((got) => got.type === 'query' && got.respond(Buffer.from(`${got.name} from ${got.from}`)))
  const answer = await a.lan.query('who', Buffer.from(''), { wantAck: true, filterNodes: ['b'], timeoutMs: 500 })
  assert.deepEqual(answer.acks, ['b'])
  assert.deepEqual(
    answer.responses.map(({ from, payload }) => [from, payload.toString()]),
    [['b', 'who from a']],
  )

  await until(() => a.lan.coordinateOf('b') !== undefined)
  assert.equal(a.lan.coordinate().Vec.length, 8)
  const stats = await a.lan.stats()
  assert.deepEqual([stats['encrypted'], stats['members'], stats['failed']], ['true', '2', '0'])
  await Promise.all([stop(a), stop(b)])
})

test(
  'leave() is seen as left, a stopped thread as failed; forceLeave() turns failed into left, prune forgets',
  limit,
  async () => {
    const [a, b, c] = await Promise.all([start('a'), start('b'), start('c')])
    await b.lan.join([addressOf(a.lan)])
    await c.lan.join([addressOf(a.lan)])
    await until(() => a.lan.members().length === 3)
    const left = event(a.lan, about('member-leave', 'b'))
    await b.lan.leave()
    await left
    await stop(b)
    const failed = event(a.lan, about('member-failed', 'c'))
    await stop(c)
    await failed
    assert.deepEqual([statusOf(a.lan, 'b'), statusOf(a.lan, 'c')], ['left', 'failed'])
    await a.lan.forceLeave('c')
    assert.equal(statusOf(a.lan, 'c'), 'left')
    await a.lan.forceLeave('c', { prune: true })
    assert.equal(statusOf(a.lan, 'c'), undefined)
    await assert.rejects(a.lan.forceLeave('nobody'), { message: "No node found with name 'nobody'" })
    await stop(a)
  },
)

test('a key rotation changes every keyring and its file, which is for its owner only', limit, async () => {
  const dataDir = await folder()
  const [a, b] = await Promise.all([
    start('a', { keyrings: { lan: [KEY] }, dataDir }),
    start('b', { keyrings: { lan: [KEY] } }),
  ])
  await a.lan.join([addressOf(b.lan)])
  const path = join(dataDir, 'serf', 'local.keyring')
  assert.equal(await readFile(path, 'utf8'), JSON.stringify([KEY], null, 2))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await a.lan.keys.install(OTHER_KEY)).error, undefined)
  assert.deepEqual((await b.lan.keys.list()).keys, { [KEY]: 2, [OTHER_KEY]: 2 })
  const early = await b.lan.keys.remove(KEY)
  assert.equal(early.error, '0/2 nodes reported success')
  assert.equal((await b.lan.keys.use(OTHER_KEY)).error, undefined)
  assert.equal((await b.lan.keys.remove(KEY)).error, undefined)
  assert.deepEqual((await a.lan.keys.list()).primaryKeys, { [OTHER_KEY]: 2 })
  await assert.rejects(a.lan.keys.install('not a key'), (thrown) => codeOf(thrown) === 'GOSSIP_KEY')
  await stop(a)
  assert.equal(await readFile(path, 'utf8'), JSON.stringify([OTHER_KEY], null, 2))
  // The file is what counts from now on, not the configuration.
  const again = await start('a', { keyrings: { lan: [KEY] }, dataDir })
  await until(() => statusOf(again.lan, 'b') === 'alive')
  await Promise.all([stop(again), stop(b)])
})

test(
  'disableKeyringFile keeps no key on disk and reads none: a start begins with the configured key',
  limit,
  async () => {
    const dataDir = await folder()
    const keyring = join(dataDir, 'serf', 'local.keyring')
    const options = { keyrings: { lan: [KEY] }, dataDir, disableKeyringFile: true }
    const keysAtStart = async () => {
      const a = await start('a', options)
      const { keys } = await a.lan.keys.list()
      assert.equal((await a.lan.keys.install(OTHER_KEY)).error, undefined)
      await stop(a)
      return keys
    }
    assert.deepEqual(await keysAtStart(), { [KEY]: 1 })
    await assert.rejects(stat(keyring), (thrown) => codeOf(thrown) === 'ENOENT')
    const before = JSON.stringify([OTHER_KEY])
    await writeFile(keyring, before)
    assert.deepEqual(await keysAtStart(), { [KEY]: 1 })
    assert.equal(await readFile(keyring, 'utf8'), before)
  },
)

test(
  'a restarted node finds its pool by the snapshot; one that left does not, unless it is told to',
  limit,
  async () => {
    const dataDir = await folder()
    const a = await start('a')
    const first = await start('b', { dataDir })
    await first.lan.join([addressOf(a.lan)])
    await stop(first)
    const second = await start('b', { dataDir })
    await until(() => statusOf(second.lan, 'a') === 'alive' && statusOf(a.lan, 'b') === 'alive')
    await second.lan.leave()
    await stop(second)
    const third = await start('b', { dataDir })
    const alone = await third.lan.stats()
    assert.equal(alone['members'], '1')
    await third.lan.join([addressOf(a.lan)])
    await third.lan.leave()
    await stop(third)
    const fourth = await start('b', { dataDir, rejoinAfterLeave: true })
    await until(() => statusOf(fourth.lan, 'a') === 'alive')
    await Promise.all([stop(fourth), stop(a)])
  },
)

const mismatch = (pool: GossipPool) =>
  event(pool, (got) => got.type === 'mismatch').then((got) => (got.type === 'mismatch' ? got.kind : ''))

test(
  'a node that was killed and comes back on another port is alive again long before its old address is dead',
  limit,
  async () => {
    const dataDir = await folder()
    const a = await start('a')
    const first = await start('b', { dataDir })
    await first.lan.join([addressOf(a.lan)])
    await until(() => statusOf(a.lan, 'b') === 'alive')
    await stop(first)
    const second = await start('b', { dataDir })
    const seen = () => a.lan.members().find((member) => member.name === 'b')
    await until(() => seen()?.port === second.lan.port && seen()?.status === 'alive')
    await until(() => statusOf(second.lan, 'a') === 'alive')
    await Promise.all([stop(second), stop(a)])
  },
)

test('different keys, or a key on one side only, are named on both sides', limit, async () => {
  const [a, b, plain] = await Promise.all([
    start('a', { keyrings: { lan: [KEY] } }),
    start('b', { keyrings: { lan: [OTHER_KEY] } }),
    start('plain'),
  ])
  const keys = [mismatch(a.lan), mismatch(b.lan)]
  const result = await a.lan.join([addressOf(b.lan)])
  assert.equal(result.joined, 0)
  assert.deepEqual(await Promise.all(keys), ['encryption-key', 'encryption-key'])
  const sides = [mismatch(a.lan), mismatch(plain.lan)]
  assert.equal((await plain.lan.join([addressOf(a.lan)])).joined, 0)
  assert.deepEqual(await Promise.all(sides), ['encryption-missing-there', 'encryption-missing-here'])
  await Promise.all([stop(a), stop(b), stop(plain)])
})

test('a LAN join with another datacenter, or with our own node ID, is refused with a reason', limit, async () => {
  const [a, b, twin] = await Promise.all([start('a'), start('b', {}, 'dc2'), start('twin', { nodeId: 'ID-A-DC1' })])
  const refused = mismatch(a.lan)
  const wrong = await a.lan.join([addressOf(b.lan)])
  assert.deepEqual(wrong.errors, [`Failed to join ${addressOf(b.lan)}: Member 'b' part of wrong datacenter 'dc2'`])
  assert.equal(await refused, 'wrong-datacenter')
  const same = mismatch(a.lan)
  assert.equal((await a.lan.join([addressOf(twin.lan)])).joined, 0)
  assert.equal(await same, 'node-id')
  assert.deepEqual([a.lan.members().length, b.lan.members().length], [1, 1])
  await Promise.all([stop(a), stop(b), stop(twin)])
})

test('join() says for each address why it failed', limit, async () => {
  const a = await start('a')
  const socket = createServer().listen(0, '127.0.0.1')
  await once(socket, 'listening')
  const address = socket.address()
  const port = typeof address === 'object' && address ? address.port : 0
  await new Promise((resolve) => socket.close(resolve))
  const { joined, errors } = await a.lan.join([`127.0.0.1:${port}`, 'no:such:address', 'host.invalid'])
  assert.equal(joined, 0)
  assert.ok(
    errors.includes(`Failed to join 127.0.0.1:${port}: dial tcp 127.0.0.1:${port}: connect: connection refused`),
  )
  assert.ok(errors.includes('Failed to resolve no:such:address: not an address of the form host:port'))
  assert.equal(errors.length, 3)
  await stop(a)
})

test(
  'startGossip() refuses a taken port, bad keys, long tags and a broken keyring with their own errors',
  limit,
  async () => {
    const taken = createSocket('udp4').bind(0, '127.0.0.1')
    await once(taken, 'listening')
    const lan = { bindAddress: '127.0.0.1', bindPort: taken.address().port, tags: {} }
    const code = (wanted: string) => (thrown: unknown) => codeOf(thrown) === wanted
    await assert.rejects(start('a', { lan }), (thrown: Error) => {
      assert.match(
        thrown.message,
        new RegExp(`Listen for LAN gossip on "127.0.0.1:${lan.bindPort}": address already in use`),
      )
      return code('GOSSIP_BIND')(thrown)
    })
    taken.close()
    await assert.rejects(start('a', { keyrings: { lan: ['c2hvcnQ='] } }), code('GOSSIP_KEY'))
    const long = { ...lan, bindPort: 0, tags: { long: 'x'.repeat(600) } }
    await assert.rejects(start('a', { lan: long }), code('GOSSIP_TAGS_TOO_LONG'))
    await assert.rejects(
      start('a', { lan: { ...long, advertiseAddress: 'nowhere', tags: {} } }),
      code('GOSSIP_ADVERTISE'),
    )
    const dataDir = await folder()
    const b = await start('b', { dataDir, keyrings: { lan: [KEY] } })
    await stop(b)
    await assert.rejects(start('b', { dataDir: join(dataDir, 'serf', 'local.keyring') }), code('GOSSIP_DATA_DIR'))
    await writeFile(join(dataDir, 'serf', 'local.keyring'), '["abc"]')
    await assert.rejects(start('b', { dataDir }), code('GOSSIP_KEYRING_FILE'))
  },
)

/** Gateways in memory: what is sent to a datacenter arrives at its server's TLS port. */
class Carriers {
  readonly servers = new Map<string, Gossip>()
  packets = 0
  streams = 0

  carrier(): WanCarrier {
    return {
      sendPacket: (node, datacenter, bytes) => {
        this.packets++
        this.#server(node, datacenter)?.receiveWanPacket(bytes)
      },
      exchange: async (node, datacenter): Promise<Duplex> => {
        this.streams++
        const server = this.#server(node, datacenter)
        if (!server) throw new Error('Remote DC has no server currently reachable')
        const [ours, theirs] = duplexPair()
        server.acceptWanStream(theirs)
        return ours
      },
    }
  }

  #server(node: string, datacenter: string): Gossip | undefined {
    return this.servers.get(node === '*' ? datacenter : `${node}.${datacenter}`)
  }

  add(name: string, gossip: Gossip): void {
    this.servers.set(name, gossip)
    this.servers.set(name.split('.')[1] ?? '', gossip)
  }
}

test(
  'WAN: servers of two datacenters meet through carriers alone, by name; keys, failure and leaving cross them',
  limit,
  async () => {
    const carriers = new Carriers()
    const wanOptions = (datacenter: string, id: string) => ({
      bindAddress: '127.0.0.1',
      bindPort: 0,
      // An address that nobody could reach: only the names may be used.
      advertiseAddress: '192.0.2.77',
      tags: serverTags(datacenter, id),
      timing,
      carrier: carriers.carrier(),
    })
    const server = async (name: string, datacenter: string) => {
      const nodeId = `id-${name}-${datacenter}`
      const gossip = await start(
        name,
        { nodeId, keyrings: { lan: [KEY], wan: [KEY] }, wan: wanOptions(datacenter, nodeId) },
        datacenter,
      )
      carriers.add(`${name}.${datacenter}`, gossip)
      return gossip
    }
    const wan = (gossip: Gossip): GossipPool => {
      assert.ok(gossip.wan)
      return gossip.wan
    }
    const [one, two, three] = [await server('s1', 'dc1'), await server('s1', 'dc2'), await server('s1', 'dc3')]
    const nobody = await wan(two).join(['*.dc9/192.0.2.2:8302'])
    assert.deepEqual(nobody.errors, ['Failed to join 192.0.2.2:8302: Remote DC has no server currently reachable'])
    assert.deepEqual(await wan(two).join(['*.dc1/192.0.2.2:8302']), { joined: 1, errors: [] })
    assert.deepEqual(await wan(three).join(['*.dc1/192.0.2.2:8302']), { joined: 1, errors: [] })
    const names = (gossip: Gossip) =>
      wan(gossip)
        .members()
        .map((member) => `${member.name} ${member.status}`)
    const all = ['s1.dc1 alive', 's1.dc2 alive', 's1.dc3 alive']
    await until(() => [one, two, three].every((gossip) => names(gossip).join() === all.join()))
    // Long enough for every pair to have probed each other.
    await until(() => wan(two).coordinateOf('s1.dc3') !== undefined && wan(one).coordinateOf('s1.dc2') !== undefined)
    assert.deepEqual(names(one), all)
    assert.equal((await wan(one).keys.install(OTHER_KEY)).error, undefined)
    assert.deepEqual((await wan(two).keys.list()).keys, { [KEY]: 3, [OTHER_KEY]: 3 })
    await wan(three).leave()
    await until(() => statusOf(wan(one), 's1.dc3') === 'left')
    carriers.servers.clear()
    await until(() => statusOf(wan(one), 's1.dc2') === 'failed' && statusOf(wan(two), 's1.dc1') === 'failed')
    carriers.add('s1.dc1', one)
    carriers.add('s1.dc2', two)
    await wan(two).join(['*.dc1/192.0.2.2:8302'])
    await until(() => statusOf(wan(one), 's1.dc2') === 'alive' && statusOf(wan(two), 's1.dc1') === 'alive')
    await Promise.all([stop(one), stop(two), stop(three)])
  },
)

test('WAN: another key, or none, is named through gateways: by the datacenter that was asked', limit, async () => {
  const carriers = new Carriers()
  const server = async (datacenter: string, keys: readonly string[]) => {
    const tags = serverTags(datacenter, `id-s1-${datacenter}`)
    const wan = { bindAddress: '127.0.0.1', bindPort: 0, tags, timing, carrier: carriers.carrier() }
    const gossip = await start('s1', { wan, keyrings: { wan: keys } }, datacenter)
    carriers.add(`s1.${datacenter}`, gossip)
    assert.ok(gossip.wan)
    return { gossip, wan: gossip.wan }
  }
  const [one, two, three] = [await server('dc1', [KEY]), await server('dc2', [OTHER_KEY]), await server('dc3', [])]
  const found = (pool: GossipPool) =>
    event(pool, (got) => got.type === 'mismatch').then((got) => got.type === 'mismatch' && [got.kind, got.node])
  const first = [found(one.wan), found(two.wan)]
  assert.equal((await two.wan.join(['*.dc1/192.0.2.2:8302'])).joined, 0)
  assert.deepEqual(await Promise.all(first), [
    ['encryption-key', undefined],
    ['encryption-key', '*.dc1'],
  ])
  const second = [found(one.wan), found(three.wan)]
  assert.equal((await three.wan.join(['*.dc1/192.0.2.2:8302'])).joined, 0)
  assert.deepEqual(await Promise.all(second), [
    ['encryption-missing-there', undefined],
    ['encryption-missing-here', '*.dc1'],
  ])
  await Promise.all([stop(one.gossip), stop(two.gossip), stop(three.gossip)])
})

test('WAN: servers of one datacenter reach each other directly, gateways or not', limit, async () => {
  const carrier: WanCarrier = {
    sendPacket: (node, datacenter) => assert.fail(`packet to ${node}.${datacenter}`),
    exchange: async (node, datacenter) => assert.fail(`stream to ${node}.${datacenter}`),
  }
  const server = (name: string) => {
    const wan = { bindAddress: '127.0.0.1', bindPort: 0, tags: serverTags('dc1', `id-${name}-dc1`), timing, carrier }
    return start(name, { wan })
  }
  const [one, two] = [await server('s1'), await server('s2')]
  assert.ok(one.wan && two.wan)
  const pools = [one.wan, two.wan] as const
  assert.deepEqual(await pools[0].join([`s2.dc1/${addressOf(pools[1])}`]), { joined: 1, errors: [] })
  await until(() => pools[0].coordinateOf('s2.dc1') !== undefined && statusOf(pools[1], 's1.dc1') === 'alive')
  await Promise.all([stop(one), stop(two)])
})

test('WAN: a member that is no server is refused, a second server of our name is reported', limit, async () => {
  const wan = (tags: Record<string, string>) => ({ bindAddress: '127.0.0.1', bindPort: 0, tags, timing })
  const one = await start('s1', { wan: wan(serverTags('dc1', 'id-s1-dc1')) })
  const agent = await start('c1', { wan: wan({ role: 'node', dc: 'dc2' }) }, 'dc2')
  const impostor = await start('s1', { nodeId: 'other', wan: wan(serverTags('dc1', 'other')) })
  assert.ok(one.wan && agent.wan && impostor.wan)
  const noServer = mismatch(one.wan)
  const refused = await one.wan.join([addressOf(agent.wan)])
  assert.deepEqual(refused.errors, [`Failed to join ${addressOf(agent.wan)}: Member 'c1.dc2' is not a server`])
  assert.equal(await noServer, 'not-a-server')
  const names = mismatch(one.wan)
  await one.wan.join([addressOf(impostor.wan)])
  assert.equal(await names, 'datacenter-name')
  await Promise.all([stop(one), stop(agent), stop(impostor)])
})

test(
  'a main thread that is busy while many probes fall due loses nobody: the gossip threads answer',
  limit,
  async () => {
    const [a, b] = await Promise.all([start('a'), start('b')])
    const seen: string[] = []
    for (const pool of [a.lan, b.lan]) pool.on((got) => seen.push(got.type))
    await a.lan.join([addressOf(b.lan)])
    await until(() => a.lan.coordinateOf('b') !== undefined && b.lan.coordinateOf('a') !== undefined)
    const busy = new Int32Array(new SharedArrayBuffer(4))
    Atomics.wait(busy, 0, 0, 10 * (timing.probeIntervalMs ?? 0))
    const stats = await Promise.all([a.lan.stats(), b.lan.stats()])
    assert.ok(!seen.includes('member-failed'))
    assert.deepEqual(
      stats.map((all) => all['failed']),
      ['0', '0'],
    )
    await Promise.all([stop(a), stop(b)])
  },
)

test('requests after shutdown() are refused, and shutdown() may be called twice', limit, async () => {
  const a = await start('a')
  await stop(a)
  await a.shutdown()
  assert.equal(await a.ended, undefined)
  await assert.rejects(a.lan.join(['127.0.0.1:1']), (thrown) => codeOf(thrown) === 'GOSSIP_STOPPED')
})
