/**
 * `merge-central-config` in catalog and health: a proxy with what config entries say about it.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  any,
  type ConfigEntry,
  ConfigEntryRequest,
  ConnectProxyConfig,
  map,
  Node,
  NodeService,
  NodeSpecificRequest,
  ProxyDefaults,
  ServiceDefaults,
  ServiceSpecificRequest,
  Upstream,
} from '#codec'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { catalog, configEntry, health } from './index.ts'

let all: Federation
let dc1: Datacenter
before(async () => {
  all = await federation(['dc1'])
  dc1 = all.of('dc1')
})
after(() => all.close())

const apply = (Entry: ConfigEntry) =>
  dc1.endpoints.call(configEntry.apply, { ...ConfigEntryRequest.zero(), Kind: Entry.Kind, Op: 'upsert', Entry })

test('merge-central-config shows a proxy as it runs, its registration above what entries say', async () => {
  await apply(ProxyDefaults.of({ Name: 'global', Config: { protocol: 'http', x: 1 }, MeshGateway: { Mode: 'local' } }))
  await apply(ServiceDefaults.of({ Name: 'web', Protocol: 'grpc', MaxInboundConnections: 5 }))
  const proxy = ConnectProxyConfig.of({
    DestinationServiceName: 'web',
    Config: { x: 2 },
    Upstreams: [Upstream.of({ DestinationName: 'api', DestinationType: 'service' })],
  })
  const service = NodeService.of({ Kind: 'connect-proxy', ID: 'p', Service: 'web-proxy', Proxy: proxy })
  await dc1.state.write((tx) => {
    tx.putNode(Node.of({ Node: 'n1', Address: '10.0.0.1' }))
    tx.putService('n1', service)
  })
  const args = ServiceSpecificRequest.of({ ServiceName: 'web', Connect: true, MergeCentralConfig: true })
  const seen = [
    (await dc1.endpoints.call(health.serviceNodes, args)).Nodes?.[0]?.Service?.Proxy,
    (await dc1.endpoints.call(catalog.serviceNodes, args)).ServiceNodes?.[0]?.ServiceProxy,
    (
      await dc1.endpoints.call(
        catalog.nodeServiceList,
        NodeSpecificRequest.of({ Node: 'n1', MergeCentralConfig: true }),
      )
    ).NodeServices?.Services?.[0]?.Proxy,
  ]
  for (const found of seen) {
    assert.deepEqual({ ...found?.Config }, { protocol: 'grpc', x: 2, max_inbound_connections: 5n })
    assert.equal(JSON.stringify(map(any).toJson(found?.Config ?? null)).includes('"max_inbound_connections":5'), true)
    assert.equal(found?.MeshGateway.Mode, 'local')
    assert.deepEqual({ ...found?.Upstreams?.[0]?.Config }, { protocol: 'http' })
    assert.equal(found?.Upstreams?.[0]?.MeshGateway.Mode, 'local')
  }
  const plain = await dc1.endpoints.call(health.serviceNodes, { ...args, MergeCentralConfig: false })
  assert.deepEqual({ ...plain.Nodes?.[0]?.Service?.Proxy.Config }, { x: 2 })
})
