/**
 * Recorded DNS questions replayed over real sockets against real state: the same records, whatever their order.
 *
 * Both answers are decoded by another program's decoder. Of long lists, of which each answer shows some at random, the
 * number is compared.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { HealthCheck, NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import { DnsServer } from './dns/server.ts'
import type { DnsSettings } from './dns/settings.ts'
import { type Datacenter, type TwoDatacenters, twoDatacenters } from './fixture.ts'

interface Decoded {
  readonly type: string
  readonly name: string
  readonly ttl?: number
  readonly data?: unknown
  readonly udpPayloadSize?: number
}
interface Packet {
  readonly rcode: string
  readonly flag_aa: boolean
  readonly flag_tc: boolean
  readonly flag_ra: boolean
  readonly flag_rd: boolean
  readonly questions: readonly Decoded[]
  readonly answers: readonly Decoded[]
  readonly authorities: readonly Decoded[]
  readonly additionals: readonly Decoded[]
}
const oracle: { decode(message: Buffer): Packet } = createRequire(import.meta.url)('dns-packet')

interface Query {
  readonly server: 's1' | 's2'
  readonly transport: 'udp' | 'tcp'
  readonly query: string
  readonly query_hex: string
  readonly answer_hex: string
  readonly note?: string
}
const vector: { queries: Query[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/dns.json', import.meta.url), 'utf8'),
)

/** Left out, and why. */
const LEFT_OUT: ReadonlyMap<number, string> = new Map([
  ...[0, 1, 2].map((n): [number, string] => [n, 'a caller without rights: there are no ACLs yet']),
  ...[59, 60].map((n): [number, string] => [n, 'virtual addresses are not given out yet']),
  ...[64, 65].map((n): [number, string] => [n, 'ingress gateways are not linked to services yet']),
  ...[66, 67].map((n): [number, string] => [n, 'prepared queries are not served yet']),
])
/** Plain UDP: as many as fit, where Consul leaves out one that would have fitted. */
const MORE_THAN_RECORDED = new Set([114, 121])
/** From here on the node "foo" has metadata. */
const META_FROM = 102
/** From here on the second server has other settings. */
const RELOADED_FROM = 118

const S2_SETTINGS: Partial<DnsSettings> = {
  nodeTtlSeconds: 10,
  serviceTtlSeconds: { web: 30, '*': 5 },
  onlyPassing: true,
  soa: { refreshSeconds: 3600, retrySeconds: 600, expireSeconds: 86_400, minTtlSeconds: 60 },
}

let federation: TwoDatacenters
let first: DnsServer
let second: DnsServer
const ports = new Map<string, number>()

before(async () => {
  federation = await twoDatacenters()
  await fill(federation.dc1, 's1', '127.10.1.1', { rack: 'r1' })
  await fill(federation.dc2, 's2', '127.10.2.1', {})
  await fillLong(federation.dc1)
  first = serverOf(federation.dc1, {})
  second = serverOf(federation.dc2, { ...S2_SETTINGS, udpAnswerLimit: 2 })
  ports.set('s1', (await first.listen({ host: '127.0.0.1', port: 0 })).port)
  ports.set('s2', (await second.listen({ host: '127.0.0.1', port: 0 })).port)
})

after(async () => {
  await first.close()
  await second.close()
  await federation.close()
})

function serverOf({ endpoints }: Datacenter, settings: Partial<DnsSettings>): DnsServer {
  const base = { clock: systemClock, random: seededRandom(3), log: silentLogger, metrics: new Metrics() }
  return new DnsServer({ ...base, endpoints, settings })
}

async function register(to: Datacenter, given: Parameters<typeof RegisterRequest.of>[0]): Promise<void> {
  await to.endpoints.call(catalog.register, RegisterRequest.of(given))
}

function service(Service: string, more: Partial<NodeService> = {}): NodeService {
  return NodeService.of({ ID: Service, Service, Tags: [], Weights: { Passing: 1, Warning: 1 }, ...more })
}

async function fill(to: Datacenter, server: string, address: string, meta: object): Promise<void> {
  const NodeMeta = { 'consul-network-segment': '', 'consul-version': '1.21.0', ...meta }
  await register(to, { Node: server, Address: address, NodeMeta, Service: service('consul', { Port: 8300 }) })
  const foo = { Node: 'foo', Address: '10.5.0.1', TaggedAddresses: { lan: '10.5.0.1', wan: '198.51.100.5' } }
  const db = service('db', { ID: 'dbx', Address: '10.5.0.9', Port: 5432, Tags: ['v1.2', 'master'] })
  await register(to, { ...foo, Service: db })
  const proxy = NodeService.of({ ...service('db-sidecar-proxy', { Port: 21_000 }), Kind: 'connect-proxy' })
  await register(to, { ...foo, Service: { ...proxy, Proxy: { ...proxy.Proxy, DestinationServiceName: 'db' } } })
  for (const [name, status] of [
    ['warnsvc', 'warning'],
    ['critsvc', 'critical'],
    ['UPPER-Case', 'passing'],
    ['web', 'passing'],
  ] as const) {
    const Check = HealthCheck.of({ Node: 'foo', CheckID: `c-${name}`, Name: name, Status: status, ServiceID: name })
    await register(to, { ...foo, Service: service(name, { Port: 80 }), Check })
  }
  for (let n = 1; n <= 12; n++) {
    const Tags = n <= 2 ? ['Primary'] : []
    const many = service('many', { Port: 7000 + n, Tags, Weights: { Passing: n, Warning: 1 } })
    await register(to, { Node: `m${String(n).padStart(2, '0')}`, Address: `10.6.0.${n}`, Service: many })
  }
  await register(to, { Node: 'six', Address: '2001:db8::6', Service: service('svc6', { Port: 66 }) })
  const cname = service('cname-svc', { Address: 'www.example.com', Port: 80 })
  await register(to, { Node: 'ext', Address: '10.7.0.1', Service: cname })
  await register(to, { Node: 'nodecn', Address: 'host.example.net' })
}

async function fillLong(to: Datacenter): Promise<void> {
  for (let n = 1; n <= 60; n++) {
    const Node = `a-rather-long-node-name-for-truncation-${String(n).padStart(2, '0')}`
    await register(to, { Node, Address: `10.8.0.${n}`, Service: service('lots', { Port: 7000 + n }) })
  }
  for (let n = 1; n <= 3; n++) {
    const Node = `very-long-node-name-${'x'.repeat(40)}-0${n}`
    const NodeMeta = { description: 'd'.repeat(200) }
    await register(to, { Node, Address: `10.8.1.${n}`, NodeMeta, Service: service('longn', { Port: 7000 + n }) })
  }
}

async function giveMeta(): Promise<void> {
  const NodeMeta = { 'rfc1035-x': 'v=raw', key1: 'val1' }
  for (const to of [federation.dc1, federation.dc2]) await register(to, { Node: 'foo', Address: '10.5.0.1', NodeMeta })
}

function askUdp(port: number, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.once('error', reject)
    socket.once('message', (answer) => {
      socket.close()
      resolve(answer)
    })
    socket.send(message, port, '127.0.0.1')
  })
}

function askTcp(port: number, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = Buffer.alloc(0)
    socket.once('error', reject)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      socket.destroy()
      resolve(received.subarray(2))
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    socket.write(Buffer.concat([length, message]))
  })
}

/** A record as text; the zone's serial is the time. */
function text({ type, name, ttl, data, udpPayloadSize }: Decoded): string {
  if (type === 'OPT') return `OPT ${udpPayloadSize}`
  const shown = type === 'SOA' && typeof data === 'object' ? { ...data, serial: 0 } : data
  return `${name} ${ttl} ${type} ${JSON.stringify(Array.isArray(shown) ? shown.map(String) : shown)}`
}

const SECTIONS = ['answers', 'authorities', 'additionals'] as const
const RANDOM_LISTS = /(?:many|lots|longn)\.service/

for (const [n, asked] of vector.queries.entries()) {
  if (LEFT_OUT.has(n)) continue
  test(`DNS answers as recorded: ${n} ${asked.query} by ${asked.transport} (${asked.note ?? ''})`, async () => {
    if (n === META_FROM) await giveMeta()
    if (n === RELOADED_FROM) second.configure({ ...S2_SETTINGS, enableTruncate: true })
    const message = Buffer.from(asked.query_hex, 'hex')
    const exchange = asked.transport === 'udp' ? askUdp : askTcp
    const bytes = await exchange(ports.get(asked.server) ?? 0, message)
    const ours = oracle.decode(bytes)
    const recorded = oracle.decode(Buffer.from(asked.answer_hex, 'hex'))
    for (const flag of ['rcode', 'flag_aa', 'flag_tc', 'flag_ra', 'flag_rd'] as const) {
      assert.equal(ours[flag], recorded[flag], flag)
    }
    assert.deepEqual(ours.questions, recorded.questions)
    const isRandom = RANDOM_LISTS.test(asked.query)
    for (const section of SECTIONS) {
      // A cut answer of Consul loses its OPT record; ours keeps it, as RFC 6891 wants.
      const kept = (each: Decoded) => !isRandom || each.type !== 'OPT'
      const mine = ours[section].filter(kept).map(text).sort()
      const theirs = recorded[section].filter(kept).map(text).sort()
      if (!isRandom) assert.deepEqual(mine, theirs, section)
      else if (MORE_THAN_RECORDED.has(n)) assert.ok(mine.length >= theirs.length, section)
      else assert.equal(mine.length, theirs.length, `${section}: ${mine.join(', ')}`)
    }
  })
}
