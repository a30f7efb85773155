/**
 * Which gateways are tried for which datacenter, and in which order.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { CheckServiceNode, FederationState, HealthCheck, Node, NodeService } from '#codec'
import { type Gateway, GatewayLocator } from './gateway-locator.ts'

interface GatewayFacts {
  readonly lan?: string
  readonly wan?: string
  readonly service?: string
  readonly critical?: boolean
  readonly federation?: boolean
}

function split(at: string): { Address: string; Port: number } {
  const [Address = '', port = '0'] = at.split(':')
  return { Address, Port: Number(port) }
}

function gateway({ lan, wan, service, critical, federation = true }: GatewayFacts): CheckServiceNode {
  return CheckServiceNode.of({
    Node: Node.of({ Node: 'n', Address: '10.0.0.1' }),
    Service: NodeService.of({
      Kind: 'mesh-gateway',
      ID: 'gw',
      Service: 'mesh-gateway',
      ...(service ? split(service) : { Port: 8443 }),
      ...(service ? { Address: split(service).Address } : {}),
      Meta: federation ? { 'consul-wan-federation': '1' } : {},
      TaggedAddresses: {
        ...(lan ? { lan: split(lan) } : {}),
        ...(wan ? { wan: split(wan) } : {}),
      },
    }),
    Checks: [HealthCheck.of({ Status: critical ? 'critical' : 'passing' })],
  })
}

const stateOf = (datacenter: string, ...gateways: CheckServiceNode[]) =>
  FederationState.of({ Datacenter: datacenter, MeshGateways: gateways })

function locator(datacenter: string): GatewayLocator {
  const made = new GatewayLocator({
    datacenter,
    primaryDatacenter: 'dc1',
    configured: datacenter === 'dc1' ? [] : [{ host: '198.51.100.9', port: 443 }],
  })
  made.setStates([
    stateOf('dc1', gateway({ lan: '10.1.0.1:8443', wan: '198.51.100.1:443' })),
    stateOf('dc2', gateway({ lan: '10.2.0.1:8443', wan: '198.51.100.2:443' })),
    stateOf('dc3', gateway({ lan: '10.3.0.1:8443', wan: '198.51.100.3:443' })),
  ])
  return made
}

const show = (gateways: readonly Gateway[]) => gateways.map(({ host, port, source }) => `${source} ${host}:${port}`)
const random = () => seededRandom(1)

test('candidates() of the primary for a secondary are its own gateways by LAN address', () => {
  assert.deepEqual(show(locator('dc1').candidates('dc2', random())), ['local 10.1.0.1:8443'])
})

test('candidates() of a secondary for the primary begin with its own gateways and go on with the primary’s', () => {
  assert.deepEqual(show(locator('dc2').candidates('dc1', random())), [
    'local 10.2.0.1:8443',
    'federation-state 198.51.100.1:443',
    'configured 198.51.100.9:443',
  ])
})

test('candidates() of a secondary for another secondary are its own gateways only', () => {
  assert.deepEqual(show(locator('dc2').candidates('dc3', random())), ['local 10.2.0.1:8443'])
})

test('a fresh secondary dials the configured gateways', () => {
  const fresh = new GatewayLocator({
    datacenter: 'dc2',
    primaryDatacenter: 'dc1',
    configured: [{ host: 'gw.example', port: 443 }],
  })
  assert.deepEqual(show(fresh.candidates('dc1', random())), ['configured gw.example:443'])
  assert.deepEqual(show(fresh.candidates('dc3', random())), [])
})

test('a secondary whose replication failed three times dials the primary’s gateways first, until a success', () => {
  const secondary = locator('dc2')
  secondary.replicationFailed()
  secondary.replicationFailed()
  assert.equal(show(secondary.candidates('dc1', random()))[0], 'local 10.2.0.1:8443')
  secondary.replicationFailed()
  assert.match(show(secondary.candidates('dc1', random()))[0] ?? '', /^(federation-state|configured) /)
  assert.equal(show(secondary.candidates('dc1', random())).at(-1), 'local 10.2.0.1:8443')
  secondary.replicationSucceeded()
  assert.equal(show(secondary.candidates('dc1', random()))[0], 'local 10.2.0.1:8443')
})

test('a gateway that the primary pushed is tried before what replication knew', () => {
  const secondary = locator('dc2')
  secondary.setPushed([gateway({ wan: '203.0.113.7:443' })])
  assert.deepEqual(show(secondary.of('dc1')), [
    'pushed 203.0.113.7:443',
    'federation-state 198.51.100.1:443',
    'configured 198.51.100.9:443',
  ])
})

test('gateways with a critical check or without the federation mark are not used', () => {
  const made = new GatewayLocator({ datacenter: 'dc1', primaryDatacenter: 'dc1', configured: [] })
  made.setStates([
    stateOf('dc1', gateway({ lan: '10.1.0.1:1', critical: true }), gateway({ lan: '10.1.0.2:2', federation: false })),
  ])
  assert.deepEqual(made.candidates('dc2', random()), [])
})

test('an address falls back from the tag to the service and to the node', () => {
  const made = new GatewayLocator({ datacenter: 'dc1', primaryDatacenter: 'dc1', configured: [] })
  made.setStates([stateOf('dc1', gateway({ service: '10.1.0.5:9000' }), gateway({}))])
  assert.deepEqual(new Set(show(made.local())), new Set(['local 10.1.0.5:9000', 'local 10.0.0.1:8443']))
})
