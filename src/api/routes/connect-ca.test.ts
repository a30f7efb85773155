/**
 * Who gets a key over the HTTP API: where access control is on, only those who may stand for the service.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock, systemRandom } from '#base'
import { ConnectProxyConfig, IssuedCert, NodeService } from '#codec'
import { seedAcls } from '#endpoints'
import { ask, emptyAgent, type TwoDatacenters, twoDatacenters } from '../fixture.ts'
import type { HttpServer } from '../http/server.ts'
import { httpApi } from '../http-api.ts'

const MANAGEMENT = '11111111-2222-4333-8444-555555555555'
const KEY = 'the key of web'

let federation: TwoDatacenters
let server: HttpServer
let port = 0

before(async () => {
  federation = await twoDatacenters({ acl: { enabled: true, defaultPolicy: 'deny' } })
  const { state, endpoints } = federation.dc1
  const options = { primary: true, initialManagement: MANAGEMENT }
  await seedAcls(state, { clock: systemClock, random: systemRandom }, options)
  const proxied = ConnectProxyConfig.of({ DestinationServiceName: 'web', DestinationServiceID: 'web-1' })
  const sidecar = NodeService.of({ ID: 'web-1-sidecar-proxy', Service: 'web-sidecar-proxy', Proxy: proxied })
  const agent = {
    ...emptyAgent(),
    service: (id: string) => (id === sidecar.ID ? sidecar : undefined),
    leaf: async () => ({ certificate: IssuedCert.of({ PrivateKeyPEM: KEY }), index: 1 }),
    proxySnapshot: async () => ({ snapshot: { Leaf: KEY }, hash: 'abc' }),
  }
  const base = { clock: systemClock, random: seededRandom(3), log: silentLogger, metrics: new Metrics() }
  server = httpApi({ ...base, endpoints, agent })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
})
after(async () => {
  await server.close()
  await federation.close()
})

/** The secret of a token that holds these rules. */
async function tokenWith(name: string, rules: string): Promise<string> {
  const headers = { 'X-Consul-Token': MANAGEMENT }
  const policy = await ask(port, 'PUT', '/v1/acl/policy', {
    headers,
    body: Buffer.from(JSON.stringify({ Name: name, Rules: rules })),
  })
  assert.equal(policy.status, 200, policy.body.toString())
  const body = Buffer.from(JSON.stringify({ Policies: [{ Name: name }] }))
  const token = await ask(port, 'PUT', '/v1/acl/token', { headers, body })
  const { SecretID } = JSON.parse(token.body.toString())
  assert.equal(typeof SecretID, 'string')
  return SecretID
}

for (const path of ['/v1/agent/connect/ca/leaf/web', '/v1/internal/proxy-snapshot/web-1-sidecar-proxy']) {
  test(`${path} gives a key to those who may write the service, and to nobody else`, async () => {
    const reader = await tokenWith(`reads-${path.length}`, 'service_prefix "" { policy = "read" }')
    const other = await tokenWith(`other-${path.length}`, 'service "api" { policy = "write" }')
    for (const token of ['', reader, other]) {
      const refused = await ask(port, 'GET', path, { headers: { 'X-Consul-Token': token } })
      assert.equal(refused.status, 403)
      assert.doesNotMatch(refused.body.toString(), new RegExp(KEY))
    }
    const writer = await tokenWith(`writes-${path.length}`, 'service "web" { policy = "write" }')
    const given = await ask(port, 'GET', path, { headers: { 'X-Consul-Token': writer } })
    assert.equal(given.status, 200)
    assert.match(given.body.toString(), new RegExp(KEY))
  })
}
