/**
 * Recorded HTTP exchanges about config entries, intentions and discovery chains replayed, in their order, against a
 * listening server with real state behind it: the same status, the same bytes, the same headers.
 *
 * Blanked before bodies are compared: indexes (ours count other commits), hashes (each implementation has its own),
 * times, IDs that are given at random, the mesh's trust domain.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock, systemRandom } from '#base'
import { seedAcls } from '#endpoints'
import { ask, emptyAgent, type HttpReply, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer } from './http/server.ts'
import { httpApi } from './http-api.ts'

interface Exchange {
  readonly n: number
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
  }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-config-entries.json', import.meta.url), 'utf8'),
)

/** Left out, and why. */
const LEFT_OUT: ReadonlyMap<number, string> = new Map([[642, 'what another datacenter had copied at the time']])

/** Who wrote and read in the recording; all others were anonymous, and ACLs denied by default. */
const MANAGEMENT = 'd82752e8-0b4b-5583-a656-ebd1a2a5644a'

let federation: TwoDatacenters
const servers: HttpServer[] = []
const ports = new Map<string, number>()

before(async () => {
  federation = await twoDatacenters({ acl: { enabled: true, defaultPolicy: 'deny' } })
  for (const { state, name } of [federation.dc1, federation.dc2]) {
    const options = { primary: name === 'dc1', initialManagement: MANAGEMENT }
    await seedAcls(state, { clock: systemClock, random: systemRandom }, options)
  }
  for (const [server, { endpoints }] of [
    ['s1', federation.dc1],
    ['s2', federation.dc2],
  ] as const) {
    const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
    const http = httpApi({ ...base, endpoints, agent: emptyAgent() })
    servers.push(http)
    ports.set(server, (await http.listen({ host: '127.0.0.1', port: 0 })).port)
  }
})

after(async () => {
  for (const server of servers) await server.close()
  await federation.close()
})

/** Recorded index or ID → ours. */
const ours = new Map<string, string>()
const NUMBERS = /"(CreateIndex|ModifyIndex)":(\d+)/g
const IDS = /"(ID)":"([0-9a-f-]{36})"/g

function learn(recorded: string, answer: string): void {
  for (const pattern of [NUMBERS, IDS]) {
    const mine = [...answer.matchAll(pattern)]
    for (const [at, match] of [...recorded.matchAll(pattern)].entries()) {
      const own = mine[at]?.[2]
      if (own !== undefined) ours.set(match[2] ?? '', own)
    }
  }
}

function blank(body: string): string {
  return (
    body
      .replace(NUMBERS, '"$1":0')
      .replace(/"Hash":(?:\d+|"[^"]*")/g, '"Hash":0')
      .replace(/"(ID|LegacyID)":"[0-9a-f-]{36}"/g, '"$1":""')
      .replace(/"(CreatedAt|UpdatedAt|LegacyCreateTime|LegacyUpdateTime)":"[^"]*"/g, '"$1":""')
      .replace(/internal\.(?:[0-9a-f-]{36}\.consul)?"/g, 'internal"')
      // Virtual addresses are not given out.
      .replace(/"(AutoVirtualIPs|ManualVirtualIPs)":(?:null|\[[^\]]*\])/g, '"$1":null')
  )
}

const pathOf = ({ path }: Exchange['request']): string =>
  path
    .replace(/cas=(\d+)/, (whole, index: string) => (ours.has(index) ? `cas=${ours.get(index)}` : whole))
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, (id) => ours.get(id) ?? id)

const COMPARED_HEADERS = [
  'Content-Type',
  'X-Consul-Default-Acl-Policy',
  'X-Consul-Effective-Consistency',
  'X-Consul-Knownleader',
  'X-Consul-Results-Filtered-By-Acls',
]

function compareHeaders({ response: recorded }: Exchange, reply: HttpReply): void {
  for (const name of COMPARED_HEADERS) assert.equal(reply.headers[name.toLowerCase()], recorded.headers[name], name)
  assert.equal(
    reply.headers['x-consul-index'] === undefined,
    recorded.headers['X-Consul-Index'] === undefined,
    'X-Consul-Index is there or not',
  )
}

for (const exchange of vector.exchanges.filter(({ n }) => !LEFT_OUT.has(n))) {
  const { n, request, response: recorded, note } = exchange
  const told = `${n} ${request.method} ${request.path} ${request.body ?? ''}`.trim()
  test(`HTTP answers as recorded: ${told}${note === undefined ? '' : ` (${note})`}`, async () => {
    const reply = await ask(ports.get(request.to) ?? 0, request.method, pathOf(request), {
      ...(request.body !== undefined && { body: request.body }),
      ...(request.headers && { headers: request.headers }),
    })
    const text = reply.body.toString()
    assert.equal(reply.status, recorded.status, text)
    learn(recorded.body ?? '', text)
    assert.equal(blank(text), blank(recorded.body ?? ''))
    compareHeaders(exchange, reply)
  })
}
