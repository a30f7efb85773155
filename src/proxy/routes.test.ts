/**
 * Route tables made from what a datacenter knows, and which route a name gets.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GatewaySnapshot, MAX_ROUTES, Routes, routesFor } from './routes.ts'

const at = (port: number) => [{ host: '10.0.0.1', port }]
const snapshot: GatewaySnapshot = {
  datacenter: 'dc1',
  domain: 'consul.',
  trustDomain: '11111111-2222-3333-4444-555555555555.consul',
  localServers: [
    { node: 's1', address: '10.0.0.1', port: 8300 },
    { node: 'S2', address: '10.0.0.2', port: 8300 },
  ],
  localServices: [{ sni: 'web.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul', endpoints: at(9001) }],
  remoteGateways: new Map([
    ['dc2', at(2)],
    ['dc3', at(3)],
    ['dc1', at(1)],
  ]),
}
const trust = snapshot.trustDomain

test('routesFor() leads local names to servers and services, and all names of other datacenters to their gateways', () => {
  const routes = new Routes(routesFor(snapshot))
  const found = (sni: string) => {
    const route = routes.match(sni)
    return route && `${route.name} ${route.endpoints.map(({ host, port }) => `${host}:${port}`).join(' ')}`
  }
  assert.equal(found('server.dc1.consul'), 'server.dc1.consul 10.0.0.1:8300 10.0.0.2:8300')
  assert.equal(found('s1.server.dc1.consul'), 's1.server.dc1.consul 10.0.0.1:8300')
  assert.equal(found('s2.server.dc1.consul'), 's2.server.dc1.consul 10.0.0.2:8300')
  assert.equal(found(`web.default.dc1.internal.${trust}`), `web.default.dc1.internal.${trust} 10.0.0.1:9001`)
  assert.equal(found('server.dc2.consul'), 'server.dc2.consul 10.0.0.1:2')
  assert.equal(found('any.server.dc2.consul'), '*.server.dc2.consul 10.0.0.1:2')
  assert.equal(found(`v1.api.default.dc3.internal.${trust}`), `*.dc3.internal.${trust} 10.0.0.1:3`)
  for (const unknown of [
    's9.server.dc1.consul',
    `dc2.internal.${trust}`,
    'dc2.consul',
    'consul',
    '',
    '.',
    'server.dc4.consul',
  ]) {
    assert.equal(found(unknown), undefined, unknown)
  }
})

test('Routes.match() prefers the exact name, then the longest suffix', () => {
  const routes = new Routes({
    exact: new Map([['a.b.c', at(1)]]),
    wildcards: [
      { suffix: '.c', endpoints: at(2) },
      { suffix: '.b.c', endpoints: at(3) },
    ],
  })
  assert.equal(routes.match('a.b.c')?.endpoints[0]?.port, 1)
  assert.equal(routes.match('x.y.b.c')?.endpoints[0]?.port, 3)
  assert.equal(routes.match('b.c')?.endpoints[0]?.port, 2)
  assert.equal(routes.match('c'), undefined)
})

test('Routes refuses a table above the limit', () => {
  const exact = new Map(Array.from({ length: MAX_ROUTES + 1 }, (_, n) => [`s${n}`, at(1)]))
  assert.throws(() => new Routes({ exact, wildcards: [] }), { code: 'GATEWAY_TOO_MANY_ROUTES' })
})
