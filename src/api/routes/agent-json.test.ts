/**
 * The agent's JSON of services against the recorded one, field by field and in its order.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectProxyConfig, NodeService, Upstream } from '#codec'
import { agentServiceJson, contentHashOf } from './agent-json.ts'

test('agentServiceJson() shows a plain service without proxy and with empty tags and metadata', () => {
  const service = NodeService.of({ ID: 'w', Service: 'w', TaggedAddresses: { x: { Address: '', Port: -1 } } })
  assert.equal(
    JSON.stringify(agentServiceJson(service, 'dc1')),
    '{"ID":"w","Service":"w","Tags":[],"Meta":{},"Port":0,"Address":"","TaggedAddresses":{"x":{"Address":"","Port":-1}},"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Datacenter":"dc1"}',
  )
})

test('agentServiceJson() leaves out the datacenter of an upstream that names none', () => {
  const Upstreams = [
    Upstream.of({ DestinationType: 'service', DestinationName: 'web', LocalBindPort: 5000 }),
    Upstream.of({
      DestinationType: 'service',
      DestinationName: 'db',
      Datacenter: 'dc2',
      LocalBindPort: 5001,
      MeshGateway: { Mode: 'local' },
    }),
  ]
  const proxy = ConnectProxyConfig.of({ DestinationServiceName: 'api', Mode: 'transparent', Upstreams })
  const service = NodeService.of({ Kind: 'connect-proxy', ID: 'p', Service: 'p', Port: 21_999, Proxy: proxy })
  assert.equal(
    JSON.stringify(agentServiceJson(service, 'dc1', 'abc')),
    '{"Kind":"connect-proxy","ID":"p","Service":"p","Tags":[],"Meta":{},"Port":21999,"Address":"","Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"ContentHash":"abc","Proxy":{"DestinationServiceName":"api","Mode":"transparent","Upstreams":[{"DestinationType":"service","DestinationName":"web","LocalBindPort":5000,"MeshGateway":{}},{"DestinationType":"service","DestinationName":"db","Datacenter":"dc2","LocalBindPort":5001,"MeshGateway":{"Mode":"local"}}],"MeshGateway":{},"Expose":{}},"Datacenter":"dc1"}',
  )
})

test('contentHashOf() is the same for the same content and another for another', () => {
  const of = (Port: number) => contentHashOf(agentServiceJson(NodeService.of({ ID: 'a', Service: 'a', Port }), 'dc1'))
  assert.equal(of(1), of(1))
  assert.notEqual(of(1), of(2))
  assert.match(of(1), /^[1-9a-f][0-9a-f]{0,15}$/)
})
