/**
 * Recorded HTTP exchanges replayed against the operations behind them, in their order: the same writes are accepted and
 * refused with the same words, and the same reads give the same JSON, indexes aside (ours count other commits).
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decode, encode, type Kind } from '#codec'
import { type Federation, federation } from './fixture.ts'
import { allOperations } from './index.ts'

interface Exchange {
  readonly n: number
  readonly request: {
    readonly to: string
    readonly method: string
    readonly path: string
    readonly body?: string
    readonly body_base64?: string
  }
  readonly response: { readonly status: number; readonly body: string }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-operations.json', import.meta.url), 'utf8'),
)

/** Answered before an operation is asked, or of sessions, or of coordinates that the recording's pool measured. */
const ELSEWHERE = new Set([35, 134, 135, 158, 163, 685, 686, 687, 692])
const isReplayed = ({ n, request }: Exchange): boolean =>
  !ELSEWHERE.has(n) && !/\/v1\/session|acquire=|release=|kv\/lock/.test(request.path)

/** Recorded index → ours, learnt from the entries that were read. */
const indexes = new Map<number, number>()

interface Asked {
  readonly federation: Federation
  readonly query: URLSearchParams
  readonly body: Buffer
  readonly name: string
}

type Fields = Readonly<Record<string, unknown>>
type Handler = (asked: Asked) => Promise<unknown>

/** Calls an operation of dc1 over its bytes, with arguments and reply as JSON. */
async function ask(asked: Asked, method: string, given: Fields): Promise<unknown> {
  const operation = allOperations.find(({ name }) => name === method)
  if (operation === undefined) throw new Error(`no operation ${method}`)
  return askAs(asked, method, operation.args, operation.reply, given)
}

async function askAs<A, R>(
  asked: Asked,
  method: string,
  args: Kind<A>,
  reply: Kind<R>,
  given: Fields,
): Promise<unknown> {
  const body = encode(args, args.fromJson(given, '', { unknownKeys: 'refuse' }))
  const answer = await asked.federation.of('dc1').endpoints.handle(method, body, { remote: 'test' })
  return JSON.parse(JSON.stringify(reply.toJson(decode(reply, answer))))
}

/** A read whose reply has the answer in one field. */
function read(method: string, field: string, args: (asked: Asked) => Fields): Handler {
  return async (asked) => {
    const reply = await ask(asked, method, { ...common(asked), ...args(asked) })
    return fieldOf(reply, field)
  }
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, field)
    ? Reflect.get(value, field)
    : undefined
}

function write(method: string, answer: unknown): Handler {
  return async (asked) => {
    await ask(asked, method, JSON.parse(asked.body.toString()))
    return answer
  }
}

function common({ query }: Asked): Fields {
  const meta = query.getAll('node-meta').map((pair) => pair.split(':', 2))
  return {
    Datacenter: query.get('dc') ?? '',
    Filter: query.get('filter') ?? '',
    RequireConsistent: query.has('consistent'),
    ...(meta.length > 0 && { NodeMetaFilters: Object.fromEntries(meta) }),
    ...(query.has('near') && { Source: { Node: query.get('near') } }),
  }
}

const service =
  (kind: Fields) =>
  ({ name, query }: Asked): Fields => ({
    ServiceName: name,
    ServiceTags: query.getAll('tag'),
    TagFilter: query.has('tag'),
    HealthFilterType: query.has('passing') ? 2 : 0,
    ...kind,
  })
const node = ({ name }: Asked): Fields => ({ Node: name })
const nothing = (): Fields => ({})

async function readKv(asked: Asked): Promise<unknown> {
  const { query, name } = asked
  if (query.has('keys')) {
    const args = { Datacenter: query.get('dc') ?? '', Prefix: name, Seperator: query.get('separator') ?? '' }
    return fieldOf(await ask(asked, 'KVS.ListKeys', args), 'Keys')
  }
  const method = query.has('recurse') ? 'KVS.List' : 'KVS.Get'
  const entries = fieldOf(await ask(asked, method, { Datacenter: query.get('dc') ?? '', Key: name }), 'Entries')
  if (!query.has('raw') || !Array.isArray(entries)) return entries
  return Buffer.from(String(fieldOf(entries[0], 'Value')), 'base64').toString()
}

async function writeKv(asked: Asked, Op: string): Promise<unknown> {
  const { query, name, body } = asked
  const cas = Number(query.get('cas') ?? '0')
  const DirEnt = {
    Key: name,
    Value: body.toString('base64'),
    Flags: Number(query.get('flags') ?? '0'),
    ModifyIndex: indexes.get(cas) ?? cas,
  }
  const met = await ask(asked, 'KVS.Apply', { Op, Datacenter: query.get('dc') ?? '', DirEnt })
  return query.has('cas') ? met : true
}

function deleteOperation({ query }: Asked): string {
  if (query.has('recurse')) return 'delete-tree'
  return query.has('cas') ? 'delete-cas' : 'delete'
}

const ROUTES: readonly (readonly [RegExp, Handler])[] = [
  [/^PUT \/v1\/catalog\/register$/, write('Catalog.Register', true)],
  [/^PUT \/v1\/catalog\/deregister$/, write('Catalog.Deregister', true)],
  [/^PUT \/v1\/coordinate\/update$/, write('Coordinate.Update', undefined)],
  [/^GET \/v1\/catalog\/datacenters$/, (asked) => ask(asked, 'Catalog.ListDatacenters', {})],
  [/^GET \/v1\/catalog\/nodes$/, read('Catalog.ListNodes', 'Nodes', nothing)],
  [/^GET \/v1\/catalog\/services$/, read('Catalog.ListServices', 'Services', nothing)],
  [/^GET \/v1\/catalog\/service\/(.+)$/, read('Catalog.ServiceNodes', 'ServiceNodes', service({}))],
  [/^GET \/v1\/catalog\/connect\/(.+)$/, read('Catalog.ServiceNodes', 'ServiceNodes', service({ Connect: true }))],
  [/^GET \/v1\/catalog\/node\/(.+)$/, read('Catalog.NodeServices', 'NodeServices', node)],
  [/^GET \/v1\/catalog\/node-services\/(.+)$/, read('Catalog.NodeServiceList', 'NodeServices', node)],
  [/^GET \/v1\/catalog\/gateway-services\/(.+)$/, read('Catalog.GatewayServices', 'Services', service({}))],
  [/^GET \/v1\/health\/node\/(.+)$/, read('Health.NodeChecks', 'HealthChecks', node)],
  [/^GET \/v1\/health\/checks\/(.+)$/, read('Health.ServiceChecks', 'HealthChecks', service({}))],
  [/^GET \/v1\/health\/state\/(.+)$/, read('Health.ChecksInState', 'HealthChecks', ({ name }) => ({ State: name }))],
  [/^GET \/v1\/health\/service\/(.+)$/, read('Health.ServiceNodes', 'Nodes', service({}))],
  [/^GET \/v1\/health\/connect\/(.+)$/, read('Health.ServiceNodes', 'Nodes', service({ Connect: true }))],
  [/^GET \/v1\/health\/ingress\/(.+)$/, read('Health.ServiceNodes', 'Nodes', service({ Ingress: true }))],
  [/^GET \/v1\/coordinate\/node\/(.+)$/, read('Coordinate.Node', 'Coordinates', node)],
  [/^GET \/v1\/kv\/(.*)$/, readKv],
  [/^PUT \/v1\/kv\/(.+)$/, (asked) => writeKv(asked, asked.query.has('cas') ? 'cas' : 'set')],
  [/^DELETE \/v1\/kv\/(.*)$/, (asked) => writeKv(asked, deleteOperation(asked))],
]

/** The status and body that the HTTP face would make of it. */
async function replay(all: Federation, { request }: Exchange): Promise<{ status: number; body: unknown }> {
  const url = new URL(request.path, 'http://test')
  for (const [pattern, handler] of ROUTES) {
    const match = pattern.exec(`${request.method} ${url.pathname}`)
    if (match === null) continue
    const body = Buffer.from(request.body ?? request.body_base64 ?? '', request.body === undefined ? 'base64' : 'utf8')
    const asked = { federation: all, query: url.searchParams, body, name: decodeURIComponent(match[1] ?? '') }
    try {
      return { status: 200, body: await handler(asked) }
    } catch (error) {
      return { status: 500, body: error instanceof Error ? error.message : error }
    }
  }
  throw new Error(`no handler for ${request.method} ${request.path}`)
}

/** Learns what our indexes are where the recording has its own. */
function learn(recorded: unknown, ours: unknown): void {
  if (Array.isArray(recorded) && Array.isArray(ours)) for (const [i, each] of recorded.entries()) learn(each, ours[i])
  const [theirs, mine] = [fieldOf(recorded, 'ModifyIndex'), fieldOf(ours, 'ModifyIndex')]
  if (typeof theirs === 'number' && typeof mine === 'number') indexes.set(theirs, mine)
}

const INDEXES = /"(?:Create|Modify)Index":\d+/g
/** Indexes aside; and where the HTTP face of health shows lists that are nil as empty, all do here. */
const text = (body: unknown): string =>
  (JSON.stringify(body) ?? '').replaceAll(INDEXES, '"Index":0').replaceAll('"Tags":null', '"Tags":[]')

/** What the recorded agents had registered themselves. */
async function registerAgents(all: Federation): Promise<void> {
  const bodyOf = (n: number) => JSON.parse(vector.exchanges.find((each) => each.n === n)?.response.body ?? '[]')
  const checks: Fields[] = bodyOf(60)
  for (const found of [...bodyOf(32), ...bodyOf(37)]) {
    const { Meta: NodeMeta, CreateIndex, ModifyIndex, ...rest } = found
    if (rest.Node.startsWith('ext')) continue
    const Service = rest.Node.startsWith('s') ? { ID: 'consul', Service: 'consul', Tags: [], Port: 8300 } : null
    const Checks = checks.filter(({ Node, CheckID }) => Node === rest.Node && CheckID === 'serfHealth')
    const asked = { federation: all, query: new URLSearchParams(), body: Buffer.alloc(0), name: '' }
    await ask(asked, 'Catalog.Register', { ...rest, NodeMeta, Service, Checks })
  }
  const [consul] = bodyOf(87)
  const asked = { federation: all, query: new URLSearchParams(), body: Buffer.alloc(0), name: '' }
  const { Node, Address, Datacenter } = consul.Node
  const { CreateIndex, ModifyIndex, ...Service } = consul.Service
  await ask(asked, 'Catalog.Register', {
    Node,
    Address,
    Datacenter,
    SkipNodeUpdate: true,
    Service,
    Checks: consul.Checks,
  })
}

test('recorded exchanges of catalog, health, kv and coordinates are answered as they were', async (t) => {
  const all = await federation(['dc1', 'dc2'])
  t.after(() => all.close())
  await registerAgents(all)
  const wrong: string[] = []
  let replayed = 0
  for (const exchange of vector.exchanges.filter(isReplayed)) {
    const { status, body } = exchange.response
    const ours = await replay(all, exchange)
    replayed++
    const what = `${exchange.n} ${exchange.request.method} ${exchange.request.path}`
    if (status === 500) {
      if (ours.status !== 500 || ours.body !== body) wrong.push(`${what}\n  ${body}\n  ${JSON.stringify(ours.body)}`)
    } else if (status === 404) {
      if (ours.status !== 200 || !(ours.body === null || text(ours.body) === '[]')) wrong.push(`${what}: found`)
    } else {
      const raw = exchange.request.path.includes('raw')
      const recorded: unknown = raw ? body : body === '' ? undefined : JSON.parse(body)
      const mine = ours.body === null && Array.isArray(recorded) ? [] : ours.body
      learn(recorded, mine)
      if (ours.status !== 200 || text(mine) !== text(recorded)) {
        wrong.push(`${what}\n  ${text(recorded)}\n  ${ours.status} ${text(mine)}`)
      }
    }
  }
  assert.equal(wrong.join('\n'), '')
  assert.ok(replayed >= 90, `only ${replayed} were replayed`)
})
