/**
 * Recorded HTTP exchanges with agents replayed, in their order, against a running server: services, checks, maintenance,
 * members, joins, coordinates, status, errors.
 *
 * The recording had a server "s1" and a client agent "a1"; here one server, "s1", is both, so a1's name, ID and address
 * in the recording are read as s1's. Indexes, hashes and ports of ours differ and are blanked on both sides.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type Reply, ServerProcess } from './server-process.ts'

interface Exchange {
  readonly n: number
  readonly area: string
  readonly note?: string
  readonly request: {
    readonly to: string
    readonly method: string
    readonly path: string
    readonly body?: string
    readonly body_note?: string
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly body_cut?: string
  }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../vectors/http.json', import.meta.url), 'utf8'),
)

/** All of these, but for LEFT_OUT. */
const AREAS = new Set([
  'agent',
  'agent services',
  'agent checks',
  'agent maintenance',
  'agent deregister, join, leave',
  'agent health by name/id',
  'community edition: namespace and partition',
])
/** Of the areas that are about other things too. */
const MORE = new Set([
  ...[16, 17, 19, 673, 680, 685, 686, 687, 688, 690, 696],
  ...[728, 731, 732, 733, 734, 736, 737, 738, 739, 741, 742, 746, 747, 748, 749, 758, 759, 760, 764, 788, 789, 791],
])

/** Left out, and why. */
const LEFT_OUT: ReadonlyMap<number, string> = new Map([
  [234, 'a client agent describes itself'],
  ...[286, 287, 288, 289, 290].map((n): [number, string] => [
    n,
    'the alias check "al" had found itself critical, from which it could not recover; ours leaves itself out',
  ]),
  [267, 'a check that probes had not run yet, and so was not critical'],
  [773, 'the whole catalog of the recording'],
  [777, 'config entries are not served yet'],
])

/** What an anonymous caller was refused, or shown less of: this version does not enforce ACLs. */
function deniedByAcl({ request, response, note }: Exchange): boolean {
  if (request.headers?.['X-Consul-Token'] !== undefined) return false
  return response.status === 403 || /anonymous/.test(note ?? '') || response.body === '{}'
}

function isReplayed(exchange: Exchange): boolean {
  const { n, area } = exchange
  return (AREAS.has(area) || MORE.has(n)) && !LEFT_OUT.has(n) && !deniedByAcl(exchange)
}

/** Requests of the recording that it does not list, by the exchange that they came before. */
const UNLISTED: ReadonlyMap<number, readonly string[]> = new Map([
  [334, ['/v1/agent/check/deregister/disk', '/v1/agent/check/pass/web1-ttl']],
  [336, ['/v1/agent/check/warn/web1-ttl']],
])

/** Answers whose values are this machine's: the names of their fields are compared, as deep as this. */
const FIELDS_ONLY: ReadonlyMap<number, number> = new Map([
  [685, 4],
  [686, 3],
  [687, 3],
  [330, 1],
])

let server: ServerProcess

before(async () => {
  server = await ServerProcess.start({
    node_id: '11111111-1111-4111-8111-111111111111',
    bind_addr: '127.10.1.1',
    ports: { http: 0, dns: 0, server: 0, serf_lan: 0, serf_wan: 0 },
  })
})

after(() => server.stop())

/** The recording as if its client agent had been its server. */
const asServer = (text: string): string =>
  text
    .replaceAll('aaaaaaaa-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111')
    .replaceAll('127.10.1.2', '127.10.1.1')
    .replaceAll('"a1"', '"s1"')
    .replace(/\/a1(?=$|\?)/, '/s1')

function pathOf({ request }: Exchange): string {
  // Our member listens where it could; joining it again is what the recorded join did.
  if (request.path === '/v1/agent/join/127.10.1.1') return `/v1/agent/join/127.10.1.1:${lanPort}`
  return asServer(request.path)
}
let lanPort = 0

function bodyOf({ request }: Exchange): string | undefined {
  const size = /of output of (\d+) characters$/.exec(request.body_note ?? '')?.[1]
  if (size !== undefined) return JSON.stringify({ Status: 'warning', Output: 'o'.repeat(Number(size)) })
  return request.body
}

/** Without what differs from run to run, or is another program's. */
function blank(text: string): string {
  return text
    .replace(/"(CreateIndex|ModifyIndex)": ?\d+/g, '"$1":0')
    .replace(/"ContentHash":"[0-9a-f]+"/g, '"ContentHash":""')
    .replace(/"consul-virtual":\{"Address":"[\d.]+","Port":\d+\},?/g, '')
    .replace(/"(?:Service)?TaggedAddresses":\{\},/g, '')
    .replace(/127\.10\.1\.1:\d+/g, '127.10.1.1:port')
    .replace(PROBED, '$1')
}
/** Checks that probe had not run yet when they were recorded: ours run at once. */
const PROBED =
  /("Name":"(?:Connect Sidecar \w+ ?\w*|Service 'api' check)",)"Status":"\w+","Notes":"","Output":"(?:[^"\\]|\\.)*",/g

function fieldsOf(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === 0) return typeof value
  if (Array.isArray(value)) return value.slice(0, 1).map((each) => fieldsOf(each, depth))
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fieldsOf(each, depth - 1)]))
}

interface Members {
  readonly Tags: Readonly<Record<string, string>>
  readonly Name: string
  readonly Port: number
}

/** Our member alone, without the tags that name a build, a port or ACLs. */
function ourMember(text: string): object {
  const members: readonly Members[] = JSON.parse(text)
  const own = members.find((member) => member.Name.startsWith('s1'))
  if (!own) return {}
  const tags = Object.entries(own.Tags).filter(([name]) => !/^(?:acls|build|port|grpc_.*|wan_join_port)$/.test(name))
  return { ...own, Port: 0, Tags: Object.fromEntries(tags) }
}

interface Self {
  readonly Config: object
  readonly Stats: Readonly<Record<string, object>>
}

/** `DebugConfig` is each program's own configuration: it is not compared. */
function compareSelf(recorded: string, ours: string): void {
  const wanted: Self = JSON.parse(recorded)
  const got: Self = JSON.parse(ours)
  assert.deepEqual(got.Config, wanted.Config)
  for (const name of ['agent', 'runtime', 'consul', 'serf_lan', 'serf_wan']) {
    assert.ok(got.Stats[name] !== undefined, `Stats.${name}`)
  }
}

/** Services that only a server has, left out of a node's list. */
function withoutOwn(text: string): string {
  const node: { Services: readonly { Service: string }[] } = JSON.parse(text)
  return JSON.stringify({ ...node, Services: node.Services.filter(({ Service }) => Service !== 'consul') })
}

function compareBody({ n, request, response }: Exchange, ours: Reply): void {
  const wanted = asServer(response.body ?? '')
  if (response.body_cut !== undefined && !FIELDS_ONLY.has(n)) return
  const depth = FIELDS_ONLY.get(n)
  if (depth !== undefined) {
    assert.deepEqual(fieldsOf(JSON.parse(ours.text), depth), fieldsOf(JSON.parse(wanted), depth))
  } else if (request.path.startsWith('/v1/agent/self') && ours.status === 200) compareSelf(wanted, ours.text)
  else if (/^\/v1\/agent\/members(?:$|\?wan)/.test(request.path))
    assert.deepEqual(ourMember(ours.text), ourMember(wanted))
  else if (n === 231)
    assert.equal(ours.text, '[]') // members that are client agents: there is none
  else if (n === 233) assert.deepEqual(fieldsOf(JSON.parse(ours.text), 1), fieldsOf(JSON.parse(wanted), 1))
  else if (n === 309) assert.equal(blank(withoutOwn(ours.text)), blank(withoutOwn(wanted)))
  else assert.equal(blank(ours.text), blank(wanted))
}

const COMPARED_HEADERS = [
  'Allow',
  'Content-Type',
  'Location',
  'Vary',
  'X-Consul-Effective-Consistency',
  'X-Consul-Reason',
]
const PRESENT_HEADERS = ['X-Consul-Contenthash', 'X-Consul-Index', 'X-Consul-Default-Acl-Policy']

function compareHeaders({ response }: Exchange, { headers }: Reply): void {
  for (const name of COMPARED_HEADERS) assert.equal(headers[name.toLowerCase()], response.headers[name], name)
  for (const name of PRESENT_HEADERS) {
    assert.equal(headers[name.toLowerCase()] !== undefined, response.headers[name] !== undefined, `${name} is there`)
  }
}

function compare(exchange: Exchange, ours: Reply): void {
  assert.equal(ours.status, exchange.response.status, ours.text)
  compareBody(exchange, ours)
  compareHeaders(exchange, ours)
}

const CATALOG_WAIT_MS = 5_000

/** What the agent knows reaches the catalog a little later: such answers may take a while to be right. */
const isOfCatalog = ({ request }: Exchange): boolean => /^\/v1\/(?:catalog|health|coordinate)\//.test(request.path)

async function replay(exchange: Exchange): Promise<void> {
  const { n, request } = exchange
  for (const path of UNLISTED.get(n) ?? []) assert.equal((await server.ask('PUT', path)).status, 200, path)
  const body = bodyOf(exchange)
  const send = () =>
    server.ask(request.method, pathOf(exchange), {
      ...(body !== undefined && { body }),
      ...(request.headers && { headers: request.headers }),
    })
  let ours = await send()
  const end = performance.now() + CATALOG_WAIT_MS
  while (isOfCatalog(exchange) && !isSame(exchange, ours) && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    ours = await send()
  }
  compare(exchange, ours)
}

function isSame(exchange: Exchange, ours: Reply): boolean {
  try {
    compare(exchange, ours)
    return true
  } catch {
    return false
  }
}

test('the server is its own only member', async () => {
  const members: Members[] = JSON.parse((await server.ask('GET', '/v1/agent/members')).text)
  lanPort = members[0]?.Port ?? 0
  assert.equal(members.length, 1)
})

for (const exchange of vector.exchanges.filter(isReplayed)) {
  const { n, request, note } = exchange
  const what = `${n} ${request.method} ${request.path}${note === undefined ? '' : ` (${note})`}`
  test(`a server answers as recorded: ${what}`, () => replay(exchange))
}

test('leave stops the server after its answer', async () => {
  assert.equal((await server.ask('PUT', '/v1/agent/leave')).status, 200)
  await server.ended()
  assert.equal(server.hasEnded, true)
})
