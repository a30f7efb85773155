/**
 * Recorded HTTP exchanges about access control, replayed in their order against two datacenters that deny by default:
 * the same status, the same bytes, the same headers. Then what those without a token are refused anywhere.
 *
 * Identifiers, secrets, times and indexes differ: what the recording has is learnt from answers and sent and compared
 * as ours.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock, systemRandom } from '#base'
import { ACLReplicationStatus, HealthCheck, Node, NodeService } from '#codec'
import { seedAcls } from '#endpoints'
import { ask, type Datacenter, emptyAgent, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer } from './http/server.ts'
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
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly body_decoded?: string
    readonly body_cut?: string
  }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-acl.json', import.meta.url), 'utf8'),
)

/** Left out, and why. */
const LEFT_OUT: ReadonlyMap<number, string> = new Map([
  ...[5, 6, 430, 767, 768].map((n): [number, string] => [n, 'how far copies are: shown with real replication']),
  [428, 'a token copied to the secondary: shown with real replication'],
  [766, 'expires after a minute: shown by token-resolver.test.ts'],
  [437, 'aws-iam is not served and not named'],
])

/** Refusals of those without a token, in all areas. */
const DENIED = new Set([30, 33, 107, 127, 128, 137, 156, 227, 232, 255, 261, 327, 674, 697, 698, 761, 762, 792, 793])

function isReplayed({ n, area }: Exchange): boolean {
  return DENIED.has(n) || (/^(?:acl|agent tokens$)/.test(area) && !LEFT_OUT.has(n))
}

let federation: TwoDatacenters
const servers: HttpServer[] = []
const ports = new Map<string, number>()
/** What the recording has → what we have. */
const learnt = new Map<string, string>()

before(async () => {
  const replicated = ACLReplicationStatus.of({ Enabled: true })
  federation = await twoDatacenters({
    acl: {
      enabled: true,
      defaultPolicy: 'deny',
      replicatesTokens: true,
      replicationToken: () => 'x',
      replicationStatus: () => replicated,
    },
  })
  for (const dc of [federation.dc1, federation.dc2]) {
    const options = { primary: dc === federation.dc1, initialManagement: '' }
    await seedAcls(dc.state, { clock: systemClock, random: systemRandom }, options)
  }
  await federation.dc1.state.write((tx) => {
    tx.putNode(Node.of({ Node: 'ext1', Address: '10.0.0.1' }))
    tx.putCheck(HealthCheck.of({ Node: 'ext1', CheckID: 'c', Status: 'passing' }))
    tx.putService('ext1', NodeService.of({ ID: 'redis', Service: 'redis' }))
  })
  ports.set('s1', await serve(federation.dc1, 's1'))
  ports.set('a1', await serve(federation.dc1, 'a1'))
  ports.set('s2', await serve(federation.dc2, 's2'))
})

after(async () => {
  for (const server of servers) await server.close()
  await federation.close()
})

async function serve({ endpoints }: Datacenter, nodeName: string): Promise<number> {
  const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
  const setAgentToken = (kind: string) => kind === 'agent' || kind === 'replication'
  const server = httpApi({ ...base, endpoints, agent: { ...emptyAgent(), nodeName }, setAgentToken })
  servers.push(server)
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port
}

const LEARNT_FIELDS = /"(?:ID|AccessorID|SecretID|CreateTime|ExpirationTime|Hash)":"([^"]*)"/g
const INDEX_FIELDS = /"(CreateIndex|ModifyIndex)":\d+|\(reset index: \d+\)/g
const blank = (body: string) => body.replace(INDEX_FIELDS, '"$1":0')

function learn(recorded: string, ours: string): void {
  const mine = [...ours.matchAll(LEARNT_FIELDS)]
  for (const [at, [, value]] of [...recorded.matchAll(LEARNT_FIELDS)].entries()) {
    const own = mine[at]?.[1]
    if (value !== undefined && own !== undefined && value !== '' && !learnt.has(value)) learnt.set(value, own)
  }
}

/** Recorded text with what was learnt in place of the recorded. */
function ours(text: string): string {
  let out = text
  for (const [recorded, own] of learnt) out = out.replaceAll(recorded, own)
  return out
}

const LIST_OF_OBJECTS = /^\[\{/

/** Lists stand in the order of identifiers, which are others: objects are compared by name. */
function sorted(body: string): string {
  if (!LIST_OF_OBJECTS.test(body)) return body
  const items: readonly object[] = JSON.parse(body)
  return JSON.stringify(items.map((item) => JSON.stringify({ ...item, CreateTime: '' })).sort())
}

const COMPARED_HEADERS = [
  'Content-Type',
  'Vary',
  'X-Consul-Default-Acl-Policy',
  'X-Consul-Results-Filtered-By-Acls',
  'X-Consul-Knownleader',
  'X-Consul-Query-Backend',
]

async function replay({ request, response: recorded }: Exchange): Promise<void> {
  const headers = Object.entries(request.headers ?? {}).map(([name, value]): [string, string] => [name, ours(value)])
  const said = await ask(ports.get(request.to) ?? 0, request.method, ours(request.path), {
    ...(request.body !== undefined && { body: Buffer.from(ours(request.body)) }),
    headers: Object.fromEntries(headers),
  })
  const text = said.body.toString()
  assert.equal(said.status, recorded.status, text)
  const wanted = recorded.body_decoded ?? recorded.body ?? ''
  if (!LIST_OF_OBJECTS.test(wanted)) learn(wanted, text)
  if (recorded.body_cut === undefined) assert.equal(sorted(blank(text)), sorted(blank(ours(wanted))))
  for (const name of COMPARED_HEADERS) {
    if (name === 'X-Consul-Query-Backend' && recorded.headers[name] === 'streaming') continue
    if (name === 'X-Consul-Knownleader' && recorded.headers['X-Consul-Query-Backend'] === 'streaming') continue
    assert.equal(said.headers[name.toLowerCase()], recorded.headers[name], name)
  }
}

for (const exchange of vector.exchanges.filter(isReplayed)) {
  const { n, request, note } = exchange
  test(`ACLs answer as recorded: ${n} ${request.method} ${request.path}${note === undefined ? '' : ` (${note})`}`, () =>
    replay(exchange))
}
