/**
 * Catalog and health beyond the transcript: tags, metadata, distance, mesh proxies, registrations that are refused.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Coordinate, HealthCheck, NodeService, QuerySource, type RegisterRequest } from '#codec'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { catalog, coordinate, health, internal } from './index.ts'

let all: Federation
let dc1: Datacenter

before(async () => {
  all = await federation(['dc1'])
  dc1 = all.of('dc1')
  await instance('n1', { ID: 'web1', Service: 'web', Tags: ['Primary', 'v1'] }, 'passing')
  await instance('n2', { ID: 'web2', Service: 'web', Tags: ['v1'] }, 'warning')
  await instance('n3', { ID: 'web3', Service: 'web', Tags: ['v2'] }, 'critical')
  const proxied = { Proxy: { ...NodeService.of().Proxy, DestinationServiceName: 'web' } }
  const sidecar = { Kind: 'connect-proxy', ID: 'web1-proxy', Service: 'web-proxy', Port: 21000 }
  await instance('n1', { ...sidecar, ...proxied }, 'passing')
  await instance('n2', { Kind: 'mesh-gateway', ID: 'gw', Service: 'mesh-gateway', Port: 8443 }, 'passing')
})
after(() => all.close())

function register(given: Partial<RegisterRequest>): Promise<unknown> {
  const args = catalog.register.args.of({ Address: '192.0.2.1', ...given })
  return dc1.endpoints.call(catalog.register, args)
}

function instance(node: string, service: Partial<NodeService>, Status: string): Promise<unknown> {
  const Service = NodeService.of(service)
  const Check = HealthCheck.of({ Name: `${Service.ID} check`, Status, ServiceID: Service.ID })
  return register({ Node: node, NodeMeta: { rack: node }, Service, Check })
}

async function ids(given: object): Promise<string> {
  const args = health.serviceNodes.args.of({ ServiceName: 'web', ...given })
  const { Nodes } = await dc1.endpoints.call(health.serviceNodes, args)
  return (Nodes ?? []).map(({ Service }) => Service?.ID).join(' ')
}

test('Health.ServiceNodes filters by health: all, without critical, passing only', async () => {
  assert.equal(await ids({}), 'web1 web2 web3')
  assert.equal(await ids({ HealthFilterType: 1 }), 'web1 web2')
  assert.equal(await ids({ HealthFilterType: 2 }), 'web1')
})

test('tags must all be there, without regard to case; an old caller sends one in ServiceTag', async () => {
  assert.equal(await ids({ TagFilter: true, ServiceTags: ['primary', 'V1'] }), 'web1')
  assert.equal(await ids({ TagFilter: true, ServiceTags: ['primary', 'v2'] }), '')
  assert.equal(await ids({ TagFilter: true, ServiceTag: 'v1' }), 'web1 web2')
  assert.equal(await ids({ ServiceTags: ['v1'] }), 'web1 web2 web3', 'without TagFilter nothing is asked')
})

test('node metadata must all match', async () => {
  assert.equal(await ids({ NodeMetaFilters: { rack: 'n2' } }), 'web2')
  assert.equal(await ids({ NodeMetaFilters: { rack: 'n2', zone: 'a' } }), '')
})

test('Connect gives the proxies of a service; nothing is behind ingress gateways and peers', async () => {
  assert.equal(await ids({ Connect: true }), 'web1-proxy')
  assert.equal(await ids({ Ingress: true }), '')
  assert.equal(await ids({ PeerName: 'elsewhere' }), '')
})

test('near sorts by distance, unknown places last, and neither index nor watch follows coordinates', async () => {
  const at = (x: number) => Coordinate.of({ Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 1, Height: 0.00001 })
  const place = (Node: string, x: number) =>
    dc1.endpoints.call(coordinate.update, coordinate.update.args.of({ Node, Coord: at(x) }))
  const Source = QuerySource.of({ Datacenter: 'dc1', Node: 'n3' })
  assert.equal(await ids({ Source }), 'web1 web2 web3', 'an asker without a place')
  await place('n3', 0)
  await place('n2', 0.01)
  const near = health.serviceNodes.args.of({ ServiceName: 'web', Source })
  const before = await dc1.endpoints.call(health.serviceNodes, near)
  assert.equal(await ids({ Source }), 'web3 web2 web1')
  await place('n1', 0.001)
  const after = await dc1.endpoints.call(health.serviceNodes, near)
  assert.equal(after.Index, before.Index)
  assert.equal(await ids({ Source }), 'web3 web1 web2')
  assert.equal(await ids({ Source: QuerySource.of({ Datacenter: 'dc2', Node: 'n3' }) }), 'web1 web2 web3')
  const proxy = QuerySource.of({ Datacenter: 'dc1', Node: 'n3', DisableNode: true })
  assert.equal(await ids({ Source: proxy }), 'web1 web2 web3')
  const shared = health.serviceNodes.args.of({ ServiceName: 'web', Source: proxy })
  const plain = health.serviceNodes.args.of({ ServiceName: 'web' })
  assert.equal(dc1.endpoints.live(health.serviceNodes, shared), dc1.endpoints.live(health.serviceNodes, plain))
})

test('Coordinate.Update passes over a node that is not in the catalog and refuses what is no place', async () => {
  const before = dc1.state.index
  const Coord = Coordinate.of({ Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1 })
  await dc1.endpoints.call(coordinate.update, coordinate.update.args.of({ Node: 'nobody', Coord }))
  assert.equal(dc1.state.index, before)
  const bad = [null, Coordinate.of(), Coordinate.of({ Vec: [Number.NaN, 0, 0, 0, 0, 0, 0, 0] })]
  for (const each of bad) {
    const args = coordinate.update.args.of({ Node: 'n1', Coord: each })
    await assert.rejects(dc1.endpoints.call(coordinate.update, args), { message: 'incompatible coordinate' })
  }
})

test('Catalog.Register refuses with the words that clients know, and changes nothing', async () => {
  const before = dc1.state.index
  const refused: readonly (readonly [Partial<RegisterRequest>, string])[] = [
    [{ Node: '' }, 'Must provide node'],
    [{ Node: 'a', Address: '' }, 'Must provide address if SkipNodeUpdate is not set'],
    [{ Node: 'a', ID: 'not-a-uuid' }, 'Bad node ID: uuid string is wrong length'],
    [{ Node: 'a', ID: 'e'.repeat(36) }, 'Bad node ID: uuid is improperly formatted'],
    [{ Node: 'a', ID: 'zeeeeeee-0000-4000-8000-000000000001' }, "Bad node ID: encoding/hex: invalid byte: U+007A 'z'"],
    [
      { Node: 'a', Service: NodeService.of({ ID: 'x' }) },
      'Must provide service name (Service.Service) when service ID is provided',
    ],
    [
      { Node: 'a', Service: NodeService.of({ Service: 'p', Kind: 'connect-proxy' }) },
      'Proxy.DestinationServiceName must be non-empty for Connect proxy services',
    ],
    [
      { Node: 'a', Check: HealthCheck.of({ Name: 'c', Node: 'b' }) },
      `check's node "b" does not match request's node "a"`,
    ],
    [{ Node: 'a', Check: HealthCheck.of() }, 'Cannot register check of node "a": it has neither CheckID nor Name'],
  ]
  for (const [args, message] of refused) await assert.rejects(register(args), { message, code: 'INVALID_REQUEST' })
  const orphan = { Node: 'a', Check: HealthCheck.of({ Name: 'c', ServiceID: 'nope' }) }
  await assert.rejects(register(orphan), /Missing service registration/)
  const many = Array.from({ length: 61 }, (_, i) => HealthCheck.of({ Name: `c${i}` }))
  await assert.rejects(register({ Node: 'a', Checks: many }), /61 checks are given and the limit is 60/)
  assert.equal(dc1.state.index, before)
})

test('Catalog.Register moves no index when everything is there already', async () => {
  const before = dc1.state.index
  await instance('n1', { ID: 'web1', Service: 'web', Tags: ['Primary', 'v1'] }, 'passing')
  assert.equal(dc1.state.index, before)
})

test('a node that is alive keeps its name against another ID', async () => {
  const ID = '11111111-0000-4000-8000-000000000001'
  const alive = HealthCheck.of({ CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' })
  await register({ Node: 'alive', ID, Check: alive })
  const taker = { Node: 'alive', ID: '22222222-0000-4000-8000-000000000002' }
  await assert.rejects(register(taker), {
    message: `Error while renaming Node ID: "${taker.ID}": Node name alive is reserved by node ${ID} with name alive (192.0.2.1)`,
  })
  await register({ Node: 'alive', Check: { ...alive, Status: 'critical' } })
  const nodes = await dc1.endpoints.call(catalog.listNodes, catalog.listNodes.args.of({ Filter: 'Node == alive' }))
  assert.equal(nodes.Nodes?.[0]?.ID, ID, 'a registration without an ID keeps it')
  await register(taker)
})

test('Internal.ServiceDump gives the mesh gateways with their checks', async () => {
  const args = internal.serviceDump.args.of({ ServiceKind: 'mesh-gateway', UseServiceKind: true, NodesOnly: true })
  const { Nodes, Gateways } = await dc1.endpoints.call(internal.serviceDump, args)
  assert.deepEqual(
    Nodes?.map(({ Service, Checks }) => [Service?.ID, Checks?.map(({ Name }) => Name)]),
    [['gw', ['gw check']]],
  )
  assert.deepEqual(Gateways, [])
})

test('Internal.NodeDump and NodeInfo give nodes with all that runs on them', async () => {
  const dump = await dc1.endpoints.call(internal.nodeDump, internal.nodeDump.args.of({ Filter: 'Meta.rack == n2' }))
  assert.deepEqual(
    dump.Dump?.map(({ Node, Services }) => [Node, Services?.map(({ ID }) => ID)]),
    [['n2', ['gw', 'web2']]],
  )
  const one = await dc1.endpoints.call(internal.nodeInfo, internal.nodeInfo.args.of({ Node: 'n2' }))
  assert.deepEqual(one.Dump, dump.Dump)
  const none = await dc1.endpoints.call(internal.nodeInfo, internal.nodeInfo.args.of({ Node: 'nope' }))
  assert.deepEqual(none.Dump, [])
})

test('Internal.CatalogOverview counts nodes, instances and checks by their worst state', async () => {
  const { Services, Checks, Nodes } = await dc1.endpoints.call(
    internal.catalogOverview,
    internal.catalogOverview.args.of(),
  )
  assert.deepEqual(
    Services?.find(({ Name }) => Name === 'web'),
    {
      Name: 'web',
      Total: 3,
      Passing: 1,
      Warning: 1,
      Critical: 1,
    },
  )
  assert.equal(Checks?.find(({ Name }) => Name === 'web3 check')?.Critical, 1)
  assert.equal(Nodes?.[0]?.Total, 4)
})

test('Internal.EventFire hands the event over as it came', async () => {
  const args = internal.eventFire.args.of({ Name: 'deploy', Payload: Buffer.from([1, 2]) })
  assert.equal((await dc1.endpoints.call(internal.eventFire, args)).Index, 1)
  assert.deepEqual(dc1.events, [{ name: 'deploy', payload: Buffer.from([1, 2]) }])
  await assert.rejects(dc1.endpoints.call(internal.eventFire, internal.eventFire.args.of()), /Must provide event name/)
})
