/**
 * A federation whose datacenters have no way to each other but through their mesh gateways: it comes up, heals and
 * stands an outage of its primary. Needs root and iproute2.
 *
 * With HANSE_LONG=1 the primary is gone for three minutes, without for twenty seconds.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'
import { ADDRESS, GATEWAY_PORT, GATEWAYS, Network, type Place } from './network.ts'

const LONG = process.env.HANSE_LONG === '1'
const OUTAGE_MS = LONG ? 180_000 : 20_000
/** What the protocol that we speak needs at most to take up replication again. */
const HEALS = { timeoutMs: 45_000 }
/** In the long form, how long all must stay well afterwards: longer than a suspicion from the outage could live. */
const STAYS_WELL_MS = LONG ? 60_000 : 0
const PORTS = { http: 8500, dns: 8600, server: 8300, serf_lan: 8301, serf_wan: 8302 }
const WITNESS_PORT = 9999
const SERVERS: readonly Place[] = ['server1', 'server2']

const bed = new TestBed()
let network: Network
let dc1: Datacenter
let dc2: Datacenter

const program = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const gatewayAt = (address: string) => `${address}:${GATEWAY_PORT}`

/** Opens a door to the server's HTTP API. @returns the address to ask at */
async function door(place: Place, host: string): Promise<string> {
  const path = join(bed.root, `${place}.sock`)
  const words = [...network.at(place), process.execPath, program('doorway.ts'), path, host, String(PORTS.http)]
  await bed.programs.start(`door of ${place}`, words).says('open')
  return `unix://${path}`
}

before(async () => {
  network = Network.make()
  dc1 = await bed.make({
    name: 'dc1',
    host: ADDRESS.server1,
    ports: PORTS,
    serverPrefix: network.at('server1'),
    gatewayPrefix: network.at('gateway1'),
    apiAddress: await door('server1', ADDRESS.server1),
  })
  dc2 = await bed.make({
    name: 'dc2',
    host: ADDRESS.server2,
    ports: PORTS,
    serverPrefix: network.at('server2'),
    gatewayPrefix: network.at('gateway2'),
    apiAddress: await door('server2', ADDRESS.server2),
    primaryGateways: [gatewayAt(ADDRESS.gateway1.wan)],
  })
})
after(async () => {
  try {
    await bed.stop()
  } finally {
    network?.remove()
  }
})

/** Which of `addresses` a program in `place` gets through to: "tcp host:port", "udp host:port". */
async function reached(place: Place, ...addresses: readonly string[]): Promise<readonly string[]> {
  const words = [...network.at(place), process.execPath, program('witness.ts'), 'try', ...addresses]
  const asked = bed.programs.start(`witness in ${place}`, words)
  await asked.ended
  return JSON.parse(asked.output)
}

const counter = (place: Place, name: string): number => network.counters(place).get(name) ?? 0

test('the network between the datacenters is shut but for TCP to the port of gateways', async () => {
  for (const place of ['server1', 'server2', 'gateway2'] as const) {
    const words = [...network.at(place), process.execPath, program('witness.ts'), 'listen', String(WITNESS_PORT)]
    await bed.programs.start(`witness in ${place}`, words).says('listening')
  }
  const at = (host: string) => `${host}:${WITNESS_PORT}`
  const within = at(ADDRESS.server2)
  assert.deepEqual(await reached('gateway2', within), [`tcp ${within}`, `udp ${within}`], 'the witness is deaf')
  assert.deepEqual(await reached('server1', within, at(ADDRESS.gateway2.wan), at(ADDRESS.gateway2.lan)), [])
  assert.deepEqual(await reached('gateway1', within), [])
  assert.deepEqual(await reached('egress', at(ADDRESS.server1)), [])
  assert.deepEqual(await reached('server2', at(ADDRESS.server1), at(ADDRESS.gateway1.wan)), [])
  for (const place of GATEWAYS) assert.equal(counter(place, 'Ip.Forwarding'), 2, `${place} forwards packets`)
})

test('a federation comes up through gateways alone, and each datacenter reads and writes in the other', async (t) => {
  const startedMs = performance.now()
  dc1.startServer()
  dc1.startGateway(gatewayAt(ADDRESS.gateway1.lan), {
    wan: gatewayAt(ADDRESS.gateway1.wan),
    bind: gatewayAt('0.0.0.0'),
  })
  await eventually('the primary has its gateway', () => dc1.reads('dc1'))
  const secondaryMs = performance.now()
  dc2.startServer()
  dc2.startGateway(gatewayAt(ADDRESS.gateway2.lan), {
    wan: gatewayAt(ADDRESS.gateway2.wan),
    bind: gatewayAt('0.0.0.0'),
  })
  await readEachOther([dc1, dc2])
  const nowMs = performance.now()
  t.diagnostic(
    `both read each other ${seconds(nowMs - startedMs)} after the start, ${seconds(nowMs - secondaryMs)} after that of the secondary`,
  )
  await dc1.put('a', 'in dc2, by dc1', { dc: 'dc2' })
  await dc2.put('b', 'in dc1, by dc2', { dc: 'dc1' })
  assert.equal(await dc2.get('a'), 'in dc2, by dc1')
  assert.equal(await dc1.get('b'), 'in dc1, by dc2')
  for (const each of [dc1, dc2]) {
    assert.deepEqual([...(await each.wanMembers())].sort(), [
      ['server-dc1.dc1', 1],
      ['server-dc2.dc2', 1],
    ])
  }
})

test('nothing but TCP through the gateways passes between the datacenters', async () => {
  // Gossip has had the time for probes of the WAN pool, both ways.
  await delay(6_000)
  const { gateway1, gateway2 } = ADDRESS
  assert.deepEqual([...network.peers('server1')], [gateway1.lan])
  const ofServer2 = [...network.peers('server2')]
  assert.ok(ofServer2.includes(gateway2.lan), `the secondary does not use its own gateway: ${ofServer2}`)
  for (const peer of ofServer2) assert.ok(peer === gateway2.lan || peer === gateway1.wan, `a connection to ${peer}`)
  const datagrams = [...SERVERS, 'gateway1', 'gateway2'] as const
  // The witness has sent three by UDP from within dc2 and between its own.
  for (const place of datagrams) {
    const before = counter(place, 'Udp.OutDatagrams')
    await delay(1_500)
    assert.equal(counter(place, 'Udp.OutDatagrams'), before, `${place} sends datagrams`)
  }
  for (const place of GATEWAYS) assert.equal(counter(place, 'Ip.ForwDatagrams'), 0, `${place} forwarded packets`)
})

test('gateways killed and replaced at other addresses are found by themselves', async (t) => {
  const { otherGateway1, otherGateway2 } = ADDRESS
  await dc1.gateway?.stop('SIGKILL')
  dc1.startGateway(gatewayAt(otherGateway1.lan), {
    wan: gatewayAt(otherGateway1.wan),
    bind: gatewayAt('0.0.0.0'),
    prefix: network.at('gateway1b'),
  })
  t.diagnostic(`primary's gateway: healed after ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
  await dc2.gateway?.stop('SIGKILL')
  dc2.startGateway(gatewayAt(otherGateway2.lan), {
    wan: gatewayAt(otherGateway2.wan),
    bind: gatewayAt('0.0.0.0'),
    prefix: network.at('gateway2b'),
  })
  t.diagnostic(`secondary's gateway: healed after ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
})

/** What a secondary does without its primary: all that is its own. */
async function servesItsOwn(value: string): Promise<void> {
  await dc2.reads('dc2')
  await dc2.put('alone', value)
  assert.equal(await dc2.get('alone'), value)
  const health = await dc2.client.json('GET', '/v1/health/service/mesh-gateway', { query: { passing: true } })
  assert.ok(Array.isArray(health) && health.length > 0)
  assert.deepEqual(await dc2.client.json('GET', '/v1/catalog/datacenters'), ['dc2', 'dc1'])
}

/** What it says of a primary that has been gone for so long; its last answer was before that. */
async function saysHowLong(goneMs: number): Promise<void> {
  const startedMs = performance.now()
  const text = await dc2.readError('dc1')
  assert.ok(performance.now() - startedMs < 2_500, 'it waited for a time-out')
  assert.match(text, /^Remote DC has no server currently reachable: primary datacenter "dc1", mesh gateways tried: /)
  assert.ok(text.includes(gatewayAt(ADDRESS.otherGateway1.wan)), text)
  const silent = Number(/silent for (\d+\.\d) s/.exec(text)?.[1])
  assert.ok(silent >= Math.floor(goneMs / 100) / 10, text)
  assert.equal((await dc2.client.request('PUT', '/v1/kv/b', { body: 'x', query: { dc: 'dc1' } })).status, 500)
  const status = await dc2.statusOf('dc1')
  assert.equal(status.State, 'unreachable')
  assert.notEqual(status.Problems.length, 0)
}

/** Waits until the secondary notices that its primary is gone, then watches it through the rest of the outage. */
async function standsTheOutage(t: TestContext): Promise<void> {
  const goneMs = performance.now()
  const noticed = async () => assert.equal((await dc2.statusOf('dc1')).State, 'unreachable')
  t.diagnostic(`noticed after ${seconds(await eventually('the secondary notices', noticed))}`)
  while (performance.now() - goneMs < OUTAGE_MS) {
    await servesItsOwn(String(performance.now()))
    await saysHowLong(performance.now() - goneMs)
    await delay(2_000)
  }
  const status = (await dc2.wanMembers()).get('server-dc1.dc1')
  t.diagnostic(`the primary's server in the WAN pool at the end: ${status === 1 ? 'alive' : `status ${status}`}`)
}

async function allIsWell(): Promise<void> {
  for (const each of [dc1, dc2]) {
    for (const { Name, State } of (await each.status()).Datacenters)
      assert.equal(State, 'ok', `${Name} in ${each.name}`)
    for (const [name, status] of await each.wanMembers()) assert.equal(status, 1, `${name} in ${each.name}`)
  }
}

async function heals(t: TestContext): Promise<void> {
  t.diagnostic(`both read each other again after ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
  t.diagnostic(`all is well after ${seconds(await eventually('all is well', allIsWell, HEALS))} more`)
  assert.equal(await dc2.get('b', { dc: 'dc1' }), 'in dc1, by dc2')
  const untilMs = performance.now() + STAYS_WELL_MS
  while (performance.now() < untilMs) {
    await delay(1_000)
    await allIsWell()
  }
}

test(`a primary that is cut off for ${OUTAGE_MS / 1000} s and comes back`, async (t) => {
  network.cable('gateway1b', 'wan', 'down')
  await standsTheOutage(t)
  assert.match(await dc1.readError('dc2'), /^Remote DC has no server currently reachable: datacenter "dc2"/)
  network.cable('gateway1b', 'wan', 'up')
  await heals(t)
})

test(`a primary whose server is killed and away for ${OUTAGE_MS / 1000} s`, async (t) => {
  await dc1.server?.stop('SIGKILL')
  await standsTheOutage(t)
  dc1.startServer()
  await heals(t)
})
