/**
 * ConfigEntry.*, Intention.* and DiscoveryChain.Get over two datacenters with real state: where they run, on what
 * conditions they write, who may use them, what wakes who waits.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { compileAuthorizer, parseRules } from '#acl'
import {
  CONFIG_ENTRY_KINDS,
  type ConfigEntry,
  ConfigEntryListAllRequest,
  ConfigEntryQuery,
  ConfigEntryRequest,
  configEntryName,
  DiscoveryChainRequest,
  decode,
  encode,
  Intention,
  IntentionListRequest,
  IntentionQueryRequest,
  IntentionRequest,
  Mesh,
  ProxyDefaults,
  ServiceConfigRequest,
  ServiceDefaults,
  ServiceIntentions,
  ServiceResolver,
  SourceIntention,
} from '#codec'
import { maySee, needsRead, needsWrite } from './config-entry-rights.ts'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { allOperations, configEntry, discoveryChain, intention, Rights } from './index.ts'

let all: Federation
let dc1: Datacenter
let dc2: Datacenter
before(async () => {
  all = await federation(['dc1', 'dc2'])
  dc1 = all.of('dc1')
  dc2 = all.of('dc2')
})
after(() => all.close())

beforeEach(async () => {
  await dc1.state.write((tx) => {
    for (const entry of tx.configEntries.all()) tx.deleteConfigEntry(entry.Kind, configEntryName(entry))
  })
})

function request(Entry: ConfigEntry, Op = 'upsert'): ConfigEntryRequest {
  return { ...ConfigEntryRequest.zero(), Kind: Entry.Kind, Op, Entry }
}
const apply = (where: Datacenter, entry: ConfigEntry, op?: string) =>
  where.endpoints.call(configEntry.apply, request(entry, op))
const get = async (where: Datacenter, Kind: string, Name: string, Datacenter = '') =>
  (await where.endpoints.call(configEntry.get, ConfigEntryQuery.of({ Kind, Name, Datacenter }))).Entry
const web = (more: Partial<ServiceDefaults> = {}) => ServiceDefaults.of({ Name: 'web', Protocol: 'http', ...more })

test('Apply writes in the primary, whichever datacenter is asked, and keeps the entry normalised and with a hash', async () => {
  assert.equal(await apply(dc2, web({ Protocol: 'HTTP' })), true)
  const entry = await get(dc1, 'service-defaults', 'web')
  assert.ok(entry?.Kind === 'service-defaults')
  assert.equal(entry.Protocol, 'http')
  assert.notEqual(BigInt(entry.Hash), 0n)
  assert.equal(await get(dc2, 'service-defaults', 'web'), null)
  assert.deepEqual(await get(dc2, 'service-defaults', 'web', 'dc1'), entry)
})

test('Apply with cas writes only over the index that it names, and over nothing for 0', async () => {
  assert.equal(await apply(dc1, web(), 'upsert-cas'), true)
  assert.equal(await apply(dc1, web({ Protocol: 'grpc' }), 'upsert-cas'), false)
  const { ModifyIndex } = (await get(dc1, 'service-defaults', 'web')) ?? web()
  assert.equal(await apply(dc1, web({ Protocol: 'grpc', ModifyIndex: ModifyIndex + 1 }), 'upsert-cas'), false)
  assert.equal(await apply(dc1, web({ Protocol: 'grpc', ModifyIndex }), 'upsert-cas'), true)
  assert.equal(await apply(dc1, web({ ModifyIndex }), 'delete-cas'), false)
})

test('Apply of what is there already moves no index', async () => {
  await apply(dc1, web())
  const before = await get(dc1, 'service-defaults', 'web')
  assert.equal(await apply(dc1, web()), true)
  assert.deepEqual(await get(dc1, 'service-defaults', 'web'), before)
})

test('of many writers with the same cas one wins, and checks hold though others write meanwhile', async () => {
  const writes = Array.from({ length: 20 }, (_, at) => apply(dc1, web({ MaxInboundConnections: at + 1 }), 'upsert-cas'))
  assert.equal((await Promise.all(writes)).filter(Boolean).length, 1)
  const redirect = (Name: string, Service: string) =>
    apply(dc1, ServiceResolver.of({ Name, Redirect: redirectTo(Service) })).then(
      () => true,
      () => false,
    )
  assert.equal((await Promise.all([redirect('a', 'b'), redirect('b', 'a')])).filter(Boolean).length, 1)
})

function redirectTo(Service: string): NonNullable<ServiceResolver['Redirect']> {
  const base = { ServiceSubset: '', Namespace: '', Partition: '', Datacenter: '', Peer: '', SamenessGroup: '' }
  return { ...base, Service }
}

test('an entry that is invalid, or would break a chain, is refused and nothing is written', async () => {
  await assert.rejects(apply(dc1, web({ Name: '' })), /Name is required/)
  await assert.rejects(apply(dc2, web({ Name: '' })), /rpc error making call: Name is required/)
  await assert.rejects(apply(dc1, web(), 'twist'), /Invalid config entry operation "twist"/)
  await apply(dc1, ServiceResolver.of({ Name: 'a', Redirect: redirectTo('web') }))
  await assert.rejects(apply(dc1, web()), /inconsistent protocols/)
  assert.equal(await get(dc1, 'service-defaults', 'web'), null)
  await assert.rejects(
    dc1.endpoints.call(configEntry.apply, { ...ConfigEntryRequest.zero(), Kind: 'future', Op: 'upsert' }),
    /invalid config entry kind: future/,
  )
})

test('Delete removes an entry, one that is not there too; with cas only the index that it names', async () => {
  const remove = (entry: ConfigEntry, op: string) => dc1.endpoints.call(configEntry.destroy, request(entry, op))
  await apply(dc1, web())
  assert.deepEqual(await remove(web({ ModifyIndex: 1 }), 'delete-cas'), { Deleted: false })
  assert.deepEqual(await remove(web(), 'delete'), { Deleted: true })
  assert.deepEqual(await remove(web(), ''), { Deleted: true })
  assert.equal(await get(dc1, 'service-defaults', 'web'), null)
})

test('ListAll answers only the kinds that the caller knows, and old ones who knows none', async () => {
  const [mesh, proxy] = [Mesh.of({}), ProxyDefaults.of({ Name: 'global' })]
  for (const entry of [web(), mesh, proxy]) await apply(dc1, entry)
  const kinds = async (Kinds: readonly string[] | null) => {
    const reply = await dc1.endpoints.call(configEntry.listAll, ConfigEntryListAllRequest.of({ Kinds }))
    return reply.Entries.map(({ Kind }) => Kind)
  }
  assert.deepEqual(await kinds(CONFIG_ENTRY_KINDS), ['mesh', 'proxy-defaults', 'service-defaults'])
  assert.deepEqual(await kinds(['mesh', 'future']), ['mesh'])
  assert.deepEqual(await kinds(null), ['proxy-defaults', 'service-defaults'])
})

test('a read of one entry waits for that entry alone, and hears of its deletion', async () => {
  await apply(dc1, web())
  const ask = (MinQueryIndex: number) =>
    dc1.endpoints.call(configEntry.get, ConfigEntryQuery.of({ Kind: 'service-defaults', Name: 'web', MinQueryIndex }))
  const { Index } = await ask(0)
  let woken = 0
  const waiting = ask(Index).then((reply) => {
    woken++
    return reply
  })
  await apply(dc1, web({ Name: 'api' }))
  assert.equal(woken, 0)
  await apply(dc1, web(), 'delete')
  const reply = await waiting
  assert.equal(reply.Entry, null)
  assert.ok(reply.Index > Index)
})

test('ResolveServiceConfig merges what is said of all, of the service and of its upstreams', async () => {
  await apply(
    dc1,
    ProxyDefaults.of({ Name: 'global', Config: { protocol: 'http', x: 1 }, MeshGateway: { Mode: 'local' } }),
  )
  await apply(dc1, web({ Protocol: 'grpc', MaxInboundConnections: 5 }))
  const upstream = { ServiceName: { Name: 'web' }, Peer: '' }
  const ask = (Name: string) =>
    dc1.endpoints.call(
      configEntry.resolveServiceConfig,
      ServiceConfigRequest.of({ Name, UpstreamServiceNames: [upstream] }),
    )
  const own = await ask('web')
  assert.deepEqual({ ...own.ProxyConfig }, { protocol: 'grpc', x: 1, max_inbound_connections: 5n })
  assert.equal(own.MeshGateway.Mode, 'local')
  const other = await ask('api')
  assert.equal(other.UpstreamConfigs?.[0]?.Config?.protocol, 'grpc')
})

test('an intention is set, found, matched, decided and removed in the primary by way of a secondary', async () => {
  const given = Intention.of({ SourceName: 'front', DestinationName: 'web', Action: 'deny' })
  const change = (where: Datacenter, Op: string, Intention: Intention) =>
    where.endpoints.call(intention.apply, IntentionRequest.of({ Op, Intention }))
  assert.equal(await change(dc2, 'upsert', given), '')
  const listed = await dc1.endpoints.call(intention.list, IntentionListRequest.of())
  assert.deepEqual(
    listed.Intentions?.map((each) => [each?.SourceName, each?.Precedence]),
    [['front', 9]],
  )
  assert.equal(listed.DataOrigin, 'config')
  const legacy = await dc1.endpoints.call(intention.list, IntentionListRequest.of({ Legacy: true }))
  assert.deepEqual(legacy.Intentions, [])
  const Entries = [
    { Name: 'web', Namespace: '', Partition: '' },
    { Name: 'api', Namespace: '', Partition: '' },
  ]
  const Match = { Type: 'destination', Entries, WithSamenessGroups: false }
  const matched = await dc1.endpoints.call(intention.match, IntentionQueryRequest.of({ Match }))
  assert.deepEqual(
    matched.Matches?.map((each) => each?.length ?? null),
    [1, null],
  )
  assert.equal(await change(dc2, 'delete', given), '')
  assert.equal(await change(dc1, 'delete', given), '')
  assert.equal(await get(dc1, 'service-intentions', 'web'), null)
})

test('intentions of the old kind have an ID, keep their time of creation, and are found by it', async () => {
  const change = (Op: string, given: Partial<Intention>) =>
    dc1.endpoints.call(intention.apply, IntentionRequest.of({ Op, Intention: Intention.of(given) }))
  const pair = { SourceName: 'front', DestinationName: 'old', Action: 'allow' }
  const ID = await change('create', { ...pair, Meta: { a: 'b' } })
  assert.match(ID, /^[0-9a-f-]{36}$/)
  await assert.rejects(change('create', pair), /Sources\[1\] defines "front" more than once/)
  await assert.rejects(change('create', { ...pair, ID }), /ID must be empty/)
  const find = async () =>
    (await dc1.endpoints.call(intention.get, IntentionQueryRequest.of({ IntentionID: ID }))).Intentions?.[0]
  const before = await find()
  assert.equal(await change('update', { ...pair, ID, Action: 'deny' }), ID)
  const after = await find()
  assert.equal(after?.Action, 'deny')
  assert.equal(after?.CreatedAt, before?.CreatedAt)
  assert.equal(await change('delete', { ID }), ID)
  await assert.rejects(find(), /Intention not found/)
  await assert.rejects(change('delete', { ID }), /Intention not found/)
  await assert.rejects(change('twist', pair), /Invalid intention operation "twist"/)
})

test('a chain is compiled for the datacenter that is asked, or the one that it is to be evaluated for', async () => {
  const ask = async (where: Datacenter, given: Partial<DiscoveryChainRequest> = {}) =>
    (await where.endpoints.call(discoveryChain.get, DiscoveryChainRequest.of({ Name: 'web', ...given }))).Chain
  assert.equal((await ask(dc1))?.Datacenter, 'dc1')
  assert.equal((await ask(dc1, { Datacenter: 'dc2' }))?.Datacenter, 'dc2')
  assert.equal((await ask(dc1, { EvaluateInDatacenter: 'dc3' }))?.Datacenter, 'dc3')
  assert.equal((await ask(dc1, { OverrideConnectTimeout: 7e9 }))?.CustomizationHash.length, 8)
  await assert.rejects(ask(dc1, { Name: '' }), /Must provide service name/)
})

function rightsOf(rules: string): Rights {
  const authorizer = compileAuthorizer([parseRules(rules)], { defaultPolicy: 'deny' })
  return new Rights('a', authorizer, rules, true)
}

test('service rights open the entries of a service, mesh rights those for all, and leading to others needs to see them', () => {
  const service = rightsOf('service "web" { policy = "write" intentions = "read" }')
  needsWrite(web(), service)
  needsRead('service-defaults', 'web', service)
  needsRead('proxy-defaults', 'global', service)
  assert.equal(maySee('service-defaults', 'api', service), false)
  assert.equal(maySee('service-intentions', 'web', service), true)
  assert.throws(() => needsRead('service-defaults', 'api', service), /lacks permission 'service:read' on "api"/)
  assert.throws(() => needsWrite(ProxyDefaults.of({ Name: 'global' }), service), /lacks permission 'mesh:write'/)
  assert.throws(() => needsWrite(ServiceIntentions.of({ Name: 'web' }), service), /'intention:write' on "web"/)
  const redirect = ServiceResolver.of({ Name: 'web', Redirect: redirectTo('api') })
  assert.throws(() => needsWrite(redirect, service), /lacks permission 'service:read' on "api"/)
  needsWrite(Mesh.of({}), rightsOf('mesh = "write"'))
  const intentions = ServiceIntentions.of({ Name: 'web', Sources: [SourceIntention.of({ Name: 'api' })] })
  needsWrite(intentions, rightsOf('service "web" { policy = "read" intentions = "write" }'))
})

interface Call {
  readonly method: string
  readonly request_body_hex: string
}

test('recorded calls of a real secondary and of real agents are answered in their own form', async () => {
  await apply(dc1, web())
  await apply(dc1, ProxyDefaults.of({ Name: 'global', Config: { protocol: 'http' } }))
  const file = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../test/vectors/${name}`, import.meta.url), 'utf8'))
  const calls: Call[] = [...file('rpc-cross-dc.json').calls, ...file('rpc-cross-dc-2.json').captured]
  const operations = new Map(allOperations.map((operation) => [operation.name, operation]))
  let answered = 0
  for (const { method, request_body_hex: hex } of calls) {
    const operation = operations.get(method)
    if (operation === undefined || !/^(?:ConfigEntry|Intention|DiscoveryChain)\./.test(method)) continue
    const body = Buffer.from(hex, 'hex')
    assert.deepEqual(
      decode(operation.args, encode(operation.args, decode(operation.args, body))),
      decode(operation.args, body),
    )
    try {
      const reply = await dc1.endpoints.handle(method, body, { remote: 'test', signal: AbortSignal.timeout(1) })
      assert.deepEqual(encode(operation.reply, decode(operation.reply, reply)), reply)
      answered++
    } catch (error) {
      assert.match(String(error), /the caller has gone$|Intention not found$/, method)
    }
  }
  assert.ok(answered >= 4, `${answered} answered`)
})
