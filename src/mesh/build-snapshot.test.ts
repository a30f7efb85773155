/**
 * Snapshots against what a real server told real proxies in the same laboratory: dc1 (primary) with web and db, dc2
 * with front and db, a gateway each.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import {
  CheckServiceNode,
  ConnectProxyConfig,
  decode,
  encode,
  HealthCheck,
  IndexedGenericConfigEntries,
  Node,
  NodeService,
  PeeredServiceName,
  ServiceConfigResponse,
  Upstream,
} from '#codec'
import {
  authorizeConnection,
  buildSnapshot,
  compileChain,
  EntrySet,
  entryFromValue,
  gatewayDatacenters,
  matchIntentions,
  ProxySnapshot,
  resolveServiceConfig,
  type SnapshotInputs,
  storedEntry,
  upstreamQuestions,
} from './index.ts'

interface RecordedProxy {
  readonly clusters: Record<
    string,
    { connect_timeout: string; sni?: string; identities?: string[]; aggregate?: string[] }
  >
  readonly endpoints: Record<string, string[]>
  readonly listeners: string[]
  readonly principals: string[]
  readonly local_connect_timeout: string
}

function vector<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../test/vectors/${name}`, import.meta.url), 'utf8'))
}
const recorded = vector<{ proxies: { front: RecordedProxy; db2: RecordedProxy } }>('sidecar-clusters.json').proxies
const bodies = vector<{ vectors: { method: string; body_hex: string }[] }>('config-entry-bodies.json').vectors

/** The entries of the laboratory, as its secondary got them. */
const last = bodies.filter(({ method }) => method === 'ConfigEntry.ListAll').at(-1)!
const laboratory = new EntrySet(decode(IndexedGenericConfigEntries, Buffer.from(last.body_hex, 'hex')).Entries)
const TRUST_DOMAIN = '301b3c12-45e6-cd31-e038-69a79960e8a9.consul'
const MODES = ['passing', 'warning', 'critical'] as const

function instance(service: string, port: number, status: (typeof MODES)[number] = 'passing'): CheckServiceNode {
  return CheckServiceNode.of({
    Node: Node.of({ Node: 'n', Address: '127.0.0.1' }),
    Service: NodeService.of({ ID: service, Service: service, Port: port }),
    Checks: [HealthCheck.of({ Status: status })],
  })
}

const instances: Readonly<Record<string, readonly CheckServiceNode[]>> = {
  'db.default.default.dc2': [instance('db-sidecar-proxy', 22702)],
  'db.default.default.dc1': [instance('db-sidecar-proxy', 21702)],
  'web.default.default.dc1': [instance('web-sidecar-proxy', 21701)],
  'v1.web.default.default.dc1': [instance('web-sidecar-proxy', 21701)],
}
const gateways: Readonly<Record<string, readonly CheckServiceNode[]>> = {
  dc1: [instance('mesh-gateway', 21543)],
  dc2: [instance('mesh-gateway', 22543)],
}

const FRONT = NodeService.of({
  Kind: 'connect-proxy',
  ID: 'front-sidecar-proxy',
  Service: 'front-sidecar-proxy',
  Address: '127.0.0.1',
  Port: 22703,
  Proxy: ConnectProxyConfig.of({
    DestinationServiceName: 'front',
    LocalServicePort: 9090,
    Upstreams: [
      Upstream.of({ DestinationName: 'web', Datacenter: 'dc1', LocalBindPort: 29191 }),
      Upstream.of({ DestinationName: 'db', LocalBindPort: 29192 }),
      Upstream.of({ DestinationName: 'db', Datacenter: 'dc1', LocalBindPort: 29193, MeshGateway: { Mode: 'remote' } }),
      Upstream.of({ DestinationName: 'cache', LocalBindPort: 29194 }),
    ],
  }),
})

/** What the operation around the builder does: asks, compiles, hands over. */
function snapshotOf(proxy: NodeService, change: Partial<SnapshotInputs> = {}, entries = laboratory): ProxySnapshot {
  const service = proxy.Proxy.DestinationServiceName
  const upstreams = (proxy.Proxy.Upstreams ?? []).map(({ DestinationName }) =>
    PeeredServiceName.of({ ServiceName: { Name: DestinationName } }),
  )
  const defaults = resolveServiceConfig(entries, { service, mode: '', meshGatewayMode: '', upstreams })
  const context = { datacenter: 'dc2', trustDomain: TRUST_DOMAIN, proxy, defaults }
  return buildSnapshot({
    ...context,
    node: Node.of({ Node: 'c2' }),
    chains: new Map(upstreamQuestions(context).map(({ id, chain }) => [id, compileChain(entries, chain)])),
    intentions: matchIntentions(entries, { by: 'destination', name: service }),
    defaultAllow: false,
    instances: ({ ID }) => instances[ID] ?? [],
    gateways: (datacenter) => gateways[datacenter] ?? [],
    leaf: { CertPEM: 'leaf', PrivateKeyPEM: 'key', ValidBefore: '2026-11-26T10:14:07Z' },
    roots: ['root'],
    ...change,
  })
}

const seconds = (ms: number) => `${ms / 1000}s`

test('a sidecar with upstreams in two datacenters gets the clusters, names and identities that Envoy got', () => {
  const { Clusters } = snapshotOf(FRONT)
  const clusters: RecordedProxy['clusters'] = {}
  const endpoints: RecordedProxy['endpoints'] = {}
  for (const { Name, ConnectTimeoutMs, Targets } of Clusters) {
    if (Targets.length > 1) {
      clusters[Name] = { connect_timeout: seconds(ConnectTimeoutMs), aggregate: Targets.map((target) => target.Name) }
      endpoints[Name] = []
    }
    for (const target of Targets) {
      clusters[target.Name] = {
        connect_timeout: seconds(target.ConnectTimeoutMs),
        sni: target.SNI,
        identities: [...target.SpiffeIDs],
      }
      endpoints[target.Name] = target.Endpoints.map(({ Address, Port }) => `${Address}:${Port}`)
    }
  }
  const { local_app: _, ...known } = recorded.front.endpoints
  assert.deepEqual(clusters, recorded.front.clusters)
  assert.deepEqual(endpoints, known)
})

test('its listeners have the recorded names, and lead by chain and weight to clusters', () => {
  const { Public, Upstreams } = snapshotOf(FRONT)
  assert.deepEqual([Public.Name, ...Upstreams.map(({ Listener }) => Listener.Name)].sort(), recorded.front.listeners)
  assert.equal(seconds(Public.LocalApp.ConnectTimeoutMs), recorded.front.local_connect_timeout)
  assert.deepEqual(
    Upstreams.map(({ ID, Protocol, Splits }) => [ID, Protocol, Splits]),
    [
      ['web?dc=dc1', 'http', [{ Weight: 100, Cluster: `v1.web.default.dc1.internal.${TRUST_DOMAIN}` }]],
      ['db', 'tcp', [{ Weight: 100, Cluster: `db.default.dc2.internal.${TRUST_DOMAIN}` }]],
      ['db?dc=dc1', 'tcp', [{ Weight: 100, Cluster: `dd412229~db.default.dc1.internal.${TRUST_DOMAIN}` }]],
      ['cache', 'http', [{ Weight: 100, Cluster: `cache.default.dc2.internal.${TRUST_DOMAIN}` }]],
    ],
  )
})

test('gatewayDatacenters() names the gateways that a chain needs', () => {
  const chain = (mode: string) =>
    compileChain(laboratory, {
      service: 'db',
      datacenter: 'dc1',
      trustDomain: TRUST_DOMAIN,
      overrideMeshGatewayMode: mode,
    })
  assert.deepEqual(gatewayDatacenters(chain('local'), 'dc2'), ['dc2'])
  assert.deepEqual(gatewayDatacenters(chain('remote'), 'dc2'), ['dc1'])
  assert.deepEqual(gatewayDatacenters(chain('none'), 'dc2'), [])
  assert.deepEqual(gatewayDatacenters(chain('remote'), 'dc1'), ['dc2'])
})

const DB2 = NodeService.of({
  ...FRONT,
  ID: 'db-sidecar-proxy',
  Port: 22702,
  Proxy: ConnectProxyConfig.of({ DestinationServiceName: 'db', LocalServicePort: 5433 }),
})

test('the rules of a destination are the recorded principals, and decide about callers of any datacenter', () => {
  const snapshot = snapshotOf(DB2)
  assert.deepEqual(
    snapshot.Public.Rules.map(({ Principal }) => Principal),
    recorded.db2.principals,
  )
  const caller = (name: string, dc = 'dc1', domain = TRUST_DOMAIN) =>
    authorizeConnection(snapshot, `spiffe://${domain}/ns/default/dc/${dc}/svc/${name}`).allowed
  assert.deepEqual([caller('web'), caller('front', 'dc2'), caller('front', 'dc9')], [true, true, true])
  assert.deepEqual([caller('other'), caller('web', 'dc1', 'foreign.consul')], [false, false])
  assert.equal(authorizeConnection(snapshot, 'spiffe://x/agent/server/dc/dc1').allowed, false)
  for (const { Principal, Source } of snapshot.Public.Rules) {
    assert.match(`spiffe://${TRUST_DOMAIN}/ns/default/dc/dc7/svc/${Source}`, new RegExp(Principal))
    assert.doesNotMatch(`spiffe://${TRUST_DOMAIN}/ns/default/dc/dc7/svc/${Source}x`, new RegExp(Principal))
  }
})

test('a rule about requests lets no unread connection in, and a deny of everyone yields to an exact allow', () => {
  const entries = laboratory.with({
    kind: 'service-intentions',
    name: 'db',
    entry: storedEntry(
      entryFromValue({
        Kind: 'service-intentions',
        Name: 'db',
        Sources: [
          { Name: '*', Action: 'deny' },
          { Name: 'l7', Permissions: [{ Action: 'allow', HTTP: { PathPrefix: '/' } }] },
          { Name: 'web', Action: 'allow' },
        ],
      }),
    ),
  })
  const snapshot = snapshotOf(DB2, { defaultAllow: true }, entries)
  const decide = (name: string) =>
    authorizeConnection(snapshot, `spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/${name}`).allowed
  assert.deepEqual([decide('web'), decide('l7'), decide('stranger')], [true, false, false])
  assert.equal(snapshotOf(DB2, { defaultAllow: true, intentions: [] }).Public.DefaultAllow, true)
})

test('endpoints carry health and weight, and their WAN addresses when they are called from away', () => {
  const away = CheckServiceNode.of({
    ...instance('db', 21702, 'warning'),
    Node: Node.of({ Node: 'n', Address: '10.0.0.1', TaggedAddresses: { wan: '198.51.100.1' } }),
  })
  const tagged = CheckServiceNode.of({
    Node: Node.of({ Node: 'm', Address: '10.0.0.2' }),
    Service: NodeService.of({
      Service: 'db',
      Port: 1,
      TaggedAddresses: { wan: { Address: '198.51.100.2', Port: 443 } },
      Weights: { Passing: 5, Warning: 2 },
    }),
    Checks: [HealthCheck.of({ Status: 'critical' })],
  })
  const proxy = NodeService.of({
    ...FRONT,
    Proxy: ConnectProxyConfig.of({
      DestinationServiceName: 'front',
      Upstreams: [
        Upstream.of({ DestinationName: 'db', Datacenter: 'dc1', MeshGateway: { Mode: 'none' }, LocalBindPort: 1 }),
      ],
    }),
  })
  const { Clusters } = snapshotOf(proxy, {
    instances: ({ Datacenter }) => (Datacenter === 'dc1' ? [tagged, away] : []),
  })
  assert.deepEqual(Clusters[0]?.Targets[0]?.Endpoints, [
    { Address: '198.51.100.1', Port: 21702, Healthy: true, Weight: 1 },
    { Address: '198.51.100.2', Port: 443, Healthy: false, Weight: 5 },
  ])
})

test('buildSnapshot(): equal inputs give an equal, frozen snapshot that JSON carries whole', () => {
  const snapshot = snapshotOf(FRONT)
  assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), JSON.parse(JSON.stringify(snapshotOf(FRONT))))
  assert.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.Clusters[0]?.Targets[0]?.Endpoints))
})

test('buildSnapshot() leaves out an upstream whose chain is not there yet, and refuses what is no sidecar', () => {
  assert.deepEqual(snapshotOf(FRONT, { chains: new Map() }).Upstreams, [])
  assert.throws(() => snapshotOf(NodeService.of({ ...FRONT, Kind: 'mesh-gateway' })), {
    message: 'Build snapshot of proxy "front-sidecar-proxy": kind "mesh-gateway" is not connect-proxy',
  })
  const nameless = NodeService.of({ ...FRONT, Proxy: ConnectProxyConfig.of() })
  assert.throws(() => snapshotOf(nameless, { defaults: ServiceConfigResponse.of() }), { code: 'SNAPSHOT_INCOMPLETE' })
})

test('a snapshot is the same after its JSON and after its bytes', () => {
  const snapshot = snapshotOf(FRONT)
  const json: unknown = JSON.parse(JSON.stringify(ProxySnapshot.toJson(snapshot)))
  assert.deepEqual(ProxySnapshot.fromJson(json, '', { unknownKeys: 'refuse' }), snapshot)
  assert.deepEqual(decode(ProxySnapshot, encode(ProxySnapshot, snapshot)), snapshot)
})

test('fuzz: a snapshot with broken bytes or JSON is refused with a typed error', () => {
  const random = seededRandom(9)
  const bytes = encode(ProxySnapshot, snapshotOf(FRONT))
  const text = JSON.stringify(ProxySnapshot.toJson(snapshotOf(FRONT)))
  for (let round = 0; round < 1500; round++) {
    const broken = Buffer.from(bytes)
    broken[random.int(broken.length)] = random.int(256)
    const at = random.int(text.length)
    const pieces = ['null', '[]', '{}', '"x"', '-1', 'true']
    const swapped =
      text.slice(0, at) + text.slice(at).replace(/":("[^"]*"|\d+|true|false|\{\}|\[\])/, `":${pieces[random.int(6)]}`)
    for (const read of [
      () => decode(ProxySnapshot, broken),
      () => ProxySnapshot.fromJson(JSON.parse(swapped), '', { unknownKeys: 'refuse' }),
    ]) {
      try {
        read()
      } catch (thrown) {
        assert.ok(thrown instanceof HanseError, String(thrown))
      }
    }
  }
})
