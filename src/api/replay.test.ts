/**
 * Recorded HTTP exchanges replayed, in their order, against a listening server with real state behind it: the same
 * status, the same bytes, the same headers.
 *
 * Indexes differ (ours count other commits): requests are sent with ours for the recorded ones, learnt from answers,
 * and both are blanked before bodies are compared. Sessions get other IDs, which are learnt in the same way.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { HealthCheck, NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import { ask, type Datacenter, emptyAgent, type HttpReply, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer, Listener } from './http/server.ts'
import { httpApi } from './http-api.ts'

interface Exchange {
  readonly n: number
  readonly area: string
  readonly note?: string
  readonly request: {
    readonly to: string
    readonly method: string
    readonly path: string
    readonly body?: string
    readonly body_base64?: string
    readonly body_note?: string
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly body_bytes?: number
    readonly body_first_bytes_hex?: string
    readonly body_decoded?: string
    readonly body_cut?: string
  }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http.json', import.meta.url), 'utf8'),
)

const AREAS = new Set([
  'status',
  'catalog',
  'health',
  'encoding',
  'blocking',
  'catalog deregister',
  'kv',
  'session',
  'txn',
  'coordinate',
  'errors',
  'community edition: namespace and partition',
  'more',
])

/** Left out, and why. */
const LEFT_OUT: ReadonlyMap<number, string> = new Map([
  [35, 'distances that a real pool measured'],
  [94, 'a change comes from another client a second later: shown by watches.test.ts'],
  [96, 'waits a second for an index that never comes: shown by watches.test.ts'],
  ...[685, 686, 687].map((n): [number, string] => [n, 'coordinates that a real pool measured']),
  ...[728, 776, 777].map((n): [number, string] => [n, 'the agent itself, or config entries']),
  ...[744, 745].map((n): [number, string] => [n, 'ACLs and prepared queries are not served here']),
  ...[754, 755, 756, 757].map((n): [number, string] => [n, 'the user interface is not served yet']),
  [194, 'what an anonymous caller may do in a transaction: shown by txn.test.ts'],
  [173, 'what an anonymous caller is shown of sessions: shown by session.test.ts'],
  [773, 'a catalog that later parts of the recording filled'],
  [692, 'coordinates of a real pool'],
])

/** Answered by what the agent and its pools registered at the time; the state here has no such past. */
const NEEDS_AGENT = new Set(['more'])
const IN_MORE = new Set([778, 779, 782, 788, 789, 794])

/** What an anonymous caller was refused, or shown less of, under the recording's ACLs. */
function deniedByAcl({ request, response, note }: Exchange): boolean {
  const isAnonymous = request.headers?.['X-Consul-Token'] === undefined
  return isAnonymous && (response.status === 403 || /anonymous/.test(note ?? ''))
}

function isReplayed(exchange: Exchange): boolean {
  const { n, area, request } = exchange
  if (!AREAS.has(area) || LEFT_OUT.has(n) || deniedByAcl(exchange)) return false
  if (NEEDS_AGENT.has(area) && !IN_MORE.has(n)) return false
  return !request.path.startsWith('/v1/agent')
}

/** Bodies that differ for a reason. */
const OTHER_BODY: ReadonlyMap<number, string> = new Map([
  [18, 'the other datacenter is another program'],
  [729, 'nodes of areas that are left out'],
  [778, 'a check that changed in 94'],
  [779, 'distances between datacenters: our router names its own first'],
  [794, 'keys of sessions'],
  [691, "rounding of coordinates is the state's"],
])

let federation: TwoDatacenters
const servers: HttpServer[] = []
const ports = new Map<string, number>()

before(async () => {
  federation = await twoDatacenters()
  await registerServer(federation.dc1, 's1', '11111111-1111-4111-8111-111111111111', '127.10.1.1', { rack: 'r1' })
  await registerClient(federation.dc1)
  await registerServer(federation.dc2, 's2', '22222222-2222-4222-8222-222222222222', '127.10.2.1', {})
  ports.set('s1', (await serve(federation.dc1)).port)
  ports.set('s2', (await serve(federation.dc2)).port)
})

after(async () => {
  for (const server of servers) await server.close()
  await federation.close()
})

async function serve({ endpoints }: Datacenter): Promise<Listener> {
  const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
  const server = httpApi({ ...base, endpoints, agent: emptyAgent() })
  servers.push(server)
  return server.listen({ host: '127.0.0.1', port: 0 })
}

const SERF = HealthCheck.of({
  CheckID: 'serfHealth',
  Name: 'Serf Health Status',
  Status: 'passing',
  Output: 'Agent alive and reachable',
})
const BASE_META = { 'consul-network-segment': '', 'consul-version': '1.21.0' }
const SERVER_META = {
  grpc_port: '8502',
  grpc_tls_port: '8503',
  non_voter: 'false',
  raft_version: '3',
  read_replica: 'false',
  serf_protocol_current: '2',
  serf_protocol_max: '5',
  serf_protocol_min: '1',
  version: '1.21.0',
}

const addresses = (address: string) => ({ lan: address, lan_ipv4: address, wan: address, wan_ipv4: address })

async function registerServer(to: Datacenter, node: string, id: string, address: string, meta: object): Promise<void> {
  const Service = NodeService.of({
    ID: 'consul',
    Service: 'consul',
    Tags: [],
    Meta: SERVER_META,
    Port: 8300,
    Weights: { Passing: 1, Warning: 1 },
  })
  await to.endpoints.call(
    catalog.register,
    RegisterRequest.of({
      ID: id,
      Node: node,
      Address: address,
      TaggedAddresses: addresses(address),
      NodeMeta: { ...BASE_META, ...meta },
      Service,
      Check: { ...SERF, Node: node },
    }),
  )
}

async function registerClient(to: Datacenter): Promise<void> {
  await to.endpoints.call(
    catalog.register,
    RegisterRequest.of({
      ID: 'aaaaaaaa-1111-4111-8111-111111111111',
      Node: 'a1',
      Address: '127.10.1.2',
      TaggedAddresses: addresses('127.10.1.2'),
      NodeMeta: BASE_META,
      Check: { ...SERF, Node: 'a1' },
    }),
  )
}

/** Recorded index → ours. */
const indexes = new Map<number, number>()
const INDEX_FIELDS = /"(CreateIndex|ModifyIndex|LockIndex|Index)": ?(\d+)/g

function learn(recorded: string, ours: string): void {
  const mine = [...ours.matchAll(INDEX_FIELDS)]
  for (const [at, match] of [...recorded.matchAll(INDEX_FIELDS)].entries()) {
    const own = mine[at]?.[2]
    if (own !== undefined) indexes.set(Number(match[2]), Number(own))
  }
}

const blank = (body: string) =>
  body.replace(INDEX_FIELDS, '"$1":0').replace(/current modify index \d+/, 'current modify index 0')

/** Recorded ID of a session → ours. */
const sessions = new Map<string, string>()
const MADE = /^\{"ID":"([0-9a-f-]{36})"\}$/

function learnSession(recorded: string, ours: string): void {
  const [made, mine] = [MADE.exec(recorded)?.[1], MADE.exec(ours)?.[1]]
  if (made !== undefined && mine !== undefined) sessions.set(made, mine)
}

/** Our body with the recorded IDs, and its sessions in their order. */
function withRecordedIds(ours: string): string {
  let text = ours
  for (const [recorded, mine] of sessions) text = text.replaceAll(mine, recorded)
  if (!text.startsWith('[{"ID":') || !text.includes('"LockDelay"')) return text
  const list: { ID: string }[] = JSON.parse(text)
  return JSON.stringify(list.sort((a, b) => (a.ID < b.ID ? -1 : 1)))
}

function pathOf({ path: recorded }: Exchange['request']): string {
  const path = recorded.replace(/[0-9a-f-]{36}/g, (id) => sessions.get(id) ?? id)
  return path.replace(/([?&](?:index|cas)=)(\d+)/g, (whole, name: string, value: string) => {
    const ours = indexes.get(Number(value))
    return ours === undefined ? whole : `${name}${ours}`
  })
}

function bodyOf({ path, body, body_base64, body_note }: Exchange['request']): Buffer | undefined {
  if (path === '/v1/txn' && body_note !== undefined) {
    return Buffer.from(JSON.stringify(Array.from({ length: 129 }, () => ({ KV: { Verb: 'get', Key: 'a' } }))))
  }
  const size = /^(\d+) bytes of x$/.exec(body_note ?? '')?.[1]
  if (size !== undefined) return Buffer.alloc(Number(size), 'x')
  if (body_base64 !== undefined) return Buffer.from(body_base64, 'base64')
  return body === undefined ? undefined : Buffer.from(body)
}

const COMPARED_HEADERS = [
  'Allow',
  'Content-Encoding',
  'Content-Security-Policy',
  'Content-Type',
  'Location',
  'Vary',
  'X-Consul-Effective-Consistency',
  'X-Consul-Lastcontact',
  'X-Content-Type-Options',
]

/** Ours say that a leader is known where Consul's streaming cache does not know it, and never name that backend. */
const isStreaming = (recorded: Exchange['response']) => recorded.headers['X-Consul-Query-Backend'] === 'streaming'

function compareHeaders({ response: recorded }: Exchange, ours: HttpReply): void {
  for (const name of COMPARED_HEADERS) {
    assert.equal(ours.headers[name.toLowerCase()], recorded.headers[name], name)
  }
  const known = isStreaming(recorded) ? 'true' : recorded.headers['X-Consul-Knownleader']
  assert.equal(ours.headers['x-consul-knownleader'], known, 'X-Consul-Knownleader')
  const index = recorded.headers['X-Consul-Index']
  assert.equal(ours.headers['x-consul-index'] === undefined, index === undefined, 'X-Consul-Index is there or not')
  if (index !== undefined) indexes.set(Number(index), Number(ours.headers['x-consul-index']))
  assert.equal(
    ours.headers['x-consul-default-acl-policy'] === undefined,
    recorded.headers['X-Consul-Default-Acl-Policy'] === undefined,
    'X-Consul-Default-Acl-Policy is there or not',
  )
}

async function replay(exchange: Exchange): Promise<void> {
  const { request, response: recorded } = exchange
  const body = bodyOf(request)
  const ours = await ask(ports.get(request.to) ?? 0, request.method, pathOf(request), {
    ...(body && { body }),
    ...(request.headers && { headers: request.headers }),
  })
  const isZipped = ours.headers['content-encoding'] === 'gzip'
  const text = (isZipped ? gunzipSync(ours.body) : ours.body).toString()
  assert.equal(ours.status, recorded.status, text)
  const wanted = recorded.body_decoded ?? recorded.body ?? ''
  learn(wanted, text)
  learnSession(wanted, text)
  compareHeaders(exchange, ours)
  if (recorded.body_first_bytes_hex !== undefined) {
    assert.equal(ours.body.length, recorded.body_bytes)
    assert.ok(ours.body.toString('hex').startsWith(recorded.body_first_bytes_hex))
  } else if (recorded.body_cut === undefined && !OTHER_BODY.has(exchange.n)) {
    assert.equal(blank(withRecordedIds(text)), blank(wanted))
  }
}

for (const exchange of vector.exchanges.filter(isReplayed)) {
  const { n, request, note } = exchange
  test(`HTTP answers as recorded: ${n} ${request.method} ${request.path}${note === undefined ? '' : ` (${note})`}`, () =>
    replay(exchange))
}
