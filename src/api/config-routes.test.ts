/**
 * /v1/config, /v1/connect/intentions and /v1/discovery-chain beyond the recordings: waiting, other datacenters, bodies
 * that nobody would send.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { ask, emptyAgent, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer } from './http/server.ts'
import { httpApi } from './http-api.ts'

let federation: TwoDatacenters
let server: HttpServer
let port = 0

before(async () => {
  federation = await twoDatacenters()
  const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
  server = httpApi({ ...base, endpoints: federation.dc2.endpoints, agent: emptyAgent() })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
})
after(async () => {
  await server.close()
  await federation.close()
})

const put = (entry: object, query = '') => ask(port, 'PUT', `/v1/config${query}`, { body: JSON.stringify(entry) })

test('a read of an entry that is not there waits until it is, and until it is gone again', async () => {
  const path = '/v1/config/service-defaults/later'
  const index = (reply: { headers: Readonly<Record<string, string | string[] | undefined>> }) =>
    String(reply.headers['x-consul-index'])
  const missing = await ask(port, 'GET', `${path}?dc=dc1`)
  assert.equal(missing.status, 404)
  const coming = ask(port, 'GET', `${path}?dc=dc1&index=${index(missing)}&wait=20s`)
  await put({ Kind: 'service-defaults', Name: 'later', Protocol: 'http' })
  const there = await coming
  assert.equal(there.status, 200)
  const going = ask(port, 'GET', `${path}?dc=dc1&index=${index(there)}&wait=20s`)
  await ask(port, 'DELETE', path)
  assert.equal((await going).status, 404)
})

test('an entry keeps 64-bit hashes and its opaque values to the digit, pretty or not', async () => {
  await put({ Kind: 'proxy-defaults', Name: 'global', Config: { a: { b: [1, 2.5, 'x', true] } } })
  const plain = (await ask(port, 'GET', '/v1/config/proxy-defaults/global?dc=dc1')).body.toString()
  assert.match(plain, /"Config":\{"a":\{"b":\[1,2\.5,"x",true\]\}\}/)
  const hash = /"Hash":(\d+)/.exec(plain)?.[1] ?? ''
  const pretty = (await ask(port, 'GET', '/v1/config/proxy-defaults/global?dc=dc1&pretty')).body.toString()
  assert.match(pretty, new RegExp(`"Hash": ${hash},\\n`))
})

test('names may hold slashes, and empty parts are none', async () => {
  assert.equal((await ask(port, 'DELETE', '/v1/config/')).status, 404)
  assert.equal((await ask(port, 'DELETE', '/v1/config/nope/x')).status, 500)
  assert.deepEqual(JSON.parse((await ask(port, 'DELETE', '/v1/config/service-defaults/a/b')).body.toString()), {})
})

test('an intention that another datacenter does not have is not found, and one is set there', async () => {
  const exact = '/v1/connect/intentions/exact?source=front&destination=web&dc=dc1'
  assert.equal((await ask(port, 'GET', exact)).status, 404)
  assert.equal((await ask(port, 'PUT', exact, { body: '{"Action":"deny"}' })).status, 200)
  assert.equal((await ask(port, 'GET', exact)).status, 200)
  assert.equal((await ask(port, 'DELETE', exact.replace('&dc=dc1', ''))).status, 200)
})

test('POST of a chain takes overrides in any spelling and refuses what is none (fuzz)', async () => {
  const random = seededRandom(3)
  const post = (body: string | Buffer) => ask(port, 'POST', '/v1/discovery-chain/web', { body })
  const known =
    '{"override_connect_timeout": "7s", "overrideProtocol": "tcp", "OVERRIDEMESHGATEWAY": {"mode": "local"}}'
  const { Chain } = JSON.parse((await post(known)).body.toString())
  const [target] = Object.values<{ ConnectTimeout: string; MeshGateway: object }>(Chain.Targets)
  assert.deepEqual([target?.ConnectTimeout, target?.MeshGateway], ['7s', { Mode: 'local' }])
  assert.equal((await post('')).status, 200)
  for (const body of ['[]', 'null', '1', '{"OverrideConnectTimeout": {}}', '{"OverrideMeshGateway": 5}']) {
    assert.ok([200, 400].includes((await post(body)).status), body)
  }
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.from(known)
    for (let i = 0; i < 3; i++) bytes[random.int(bytes.length)] = random.int(256)
    const { status, body } = await post(bytes)
    assert.ok(status === 200 || status === 400, `${status} ${body} for ${bytes}`)
  }
})

test('PUT of an entry answers damaged bodies with an error of its own (fuzz)', async () => {
  const random = seededRandom(4)
  const seeds = [
    '{"Kind":"service-resolver","Name":"x","Failover":{"*":{"Targets":[{"Datacenter":"dc2"}]}}}',
    '{"Kind":"service-intentions","Name":"web","Sources":[{"Name":"a","Action":"allow"}]}',
    '{"kind":"proxy-defaults","name":"global","config":{"protocol":"http"}}',
  ]
  for (let round = 0; round < 200; round++) {
    const bytes = Buffer.from(seeds[round % seeds.length] ?? '')
    for (let i = 0; i < 3; i++) bytes[random.int(bytes.length)] = random.int(256)
    const { status, body } = await ask(port, 'PUT', '/v1/config', { body: bytes })
    assert.ok([200, 400, 500].includes(status), `${status} ${body}`)
    assert.doesNotMatch(body.toString(), /TypeError|undefined|not a function/, bytes.toString())
  }
})
