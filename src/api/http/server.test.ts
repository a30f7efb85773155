/**
 * The HTTP server over real sockets: blocking reads, wakes of many, restrictions, limits, broken input.
 */
import assert from 'node:assert/strict'
import { request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { createCertificate, createCertificateAuthority, NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import { ask, emptyAgent, type TwoDatacenters, twoDatacenters } from '../fixture.ts'
import { httpApi } from '../http-api.ts'
import { readPath } from './path.ts'
import type { HttpServer, HttpServerOptions } from './server.ts'

let federation: TwoDatacenters
const servers: HttpServer[] = []

before(async () => {
  federation = await twoDatacenters()
})

after(async () => {
  for (const server of servers) await server.close()
  await federation.close()
})

async function serve(options: Partial<HttpServerOptions> = {}): Promise<number> {
  const base = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics: new Metrics() }
  const server = httpApi({ ...base, endpoints: federation.dc1.endpoints, agent: emptyAgent(), ...options })
  servers.push(server)
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port
}

async function register(name: string, port: number): Promise<void> {
  const Service = NodeService.of({ ID: name, Service: name, Port: port, Weights: { Passing: 1, Warning: 1 } })
  await federation.dc1.endpoints.call(
    catalog.register,
    RegisterRequest.of({ Node: 'n1', Address: '10.0.0.1', Service }),
  )
}

test('a blocking read answers when what it read changes, and not when something else does', async () => {
  const port = await serve()
  await register('watched', 1)
  const first = await ask(port, 'GET', '/v1/health/service/watched')
  const index = first.headers['x-consul-index']
  const waiting = ask(port, 'GET', `/v1/health/service/watched?index=${index}&wait=60s`)
  let answered = false
  void waiting.then(() => {
    answered = true
  })
  await register('other', 1)
  await ask(port, 'GET', '/v1/catalog/services')
  assert.equal(answered, false)
  await register('watched', 2)
  const second = await waiting
  assert.equal(JSON.parse(second.body.toString())[0].Service.Port, 2)
  assert.ok(Number(second.headers['x-consul-index']) > Number(index))
})

test('a blocking read for an index that never comes answers at the end of its wait with the index that is', async () => {
  const port = await serve()
  const now = await ask(port, 'GET', '/v1/catalog/services')
  const later = await ask(port, 'GET', '/v1/catalog/services?index=99999999&wait=20ms')
  assert.equal(later.headers['x-consul-index'], now.headers['x-consul-index'])
  assert.deepEqual(later.body, now.body)
})

test('default_query_time and max_query_time end a wait, here and in another datacenter', {
  timeout: 30_000,
}, async (context) => {
  const short = await twoDatacenters({ waits: { defaultMs: 20, maxMs: 40, callMs: 60_000 } })
  const base = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics: new Metrics() }
  const server = httpApi({ ...base, endpoints: short.dc1.endpoints, agent: emptyAgent() })
  context.after(async () => {
    await server.close()
    await short.close()
  })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  for (const wait of ['', '&wait=300s']) {
    for (const path of ['/v1/catalog/services?', '/v1/catalog/services?dc=dc2&', '/v1/event/list?']) {
      const { headers } = await ask(port, 'GET', path)
      const index = headers['x-consul-index']
      const later = await ask(port, 'GET', `${path}index=${index}${wait}`)
      assert.equal(later.status, 200)
      assert.equal(later.headers['x-consul-index'], index)
    }
  }
})

test('a thousand watchers of one service are woken by one change with the same bytes', async () => {
  const port = await serve({ maxConnectionsPerClient: 0 })
  await register('crowd', 1)
  const { headers } = await ask(port, 'GET', '/v1/health/service/crowd')
  const path = `/v1/health/service/crowd?index=${headers['x-consul-index']}&wait=60s`
  const watchers = Array.from({ length: 1000 }, () => ask(port, 'GET', path))
  await ask(port, 'GET', '/v1/status/leader')
  await register('crowd', 2)
  const answers = await Promise.all(watchers)
  assert.ok(answers.every(({ body }) => body.equals(answers[0]?.body ?? Buffer.alloc(0))))
  assert.match(answers[0]?.body.toString() ?? '', /"Port":2/)
})

test('block_endpoints, response_headers and allow_write_http_from hold for every route', async () => {
  const port = await serve({
    blockEndpoints: ['/v1/kv/'],
    responseHeaders: { 'X-Ours': 'yes' },
    allowWriteHttpFrom: ['10.0.0.0/8'],
  })
  const blocked = await ask(port, 'GET', '/v1/kv/a')
  assert.equal(blocked.status, 403)
  assert.equal(blocked.headers['x-ours'], 'yes')
  const write = await ask(port, 'PUT', '/v1/catalog/register', { body: '{}' })
  assert.equal(write.status, 403)
  assert.equal((await ask(port, 'GET', '/v1/catalog/nodes')).headers['x-ours'], 'yes')
})

test('one connection more than http_max_conns_per_client is told so and closed', async () => {
  const port = await serve({ maxConnectionsPerClient: 2 })
  const open = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  const refused = await ask(port, 'GET', '/v1/status/leader')
  assert.equal(refused.status, 429)
  for (const socket of open) socket.destroy()
})

test('a body beyond the limit is 413 also when its length was not announced', async () => {
  const port = await serve()
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('PUT /v1/catalog/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = Buffer.alloc(64 * 1024, 'x')
    for (let n = 0; n < 40; n++) socket.write(Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]))
    socket.write('0\r\n\r\n')
    socket.once('data', (bytes) => {
      socket.destroy()
      resolve(bytes.toString())
    })
  })
  assert.match(answer, /^HTTP\/1\.1 413 /)
})

test('HTTPS serves the same routes, and with a required client certificate only to who has one', async () => {
  const ca = createCertificateAuthority()
  const issued = createCertificate({
    ca,
    commonName: 'server.dc1.consul',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  })
  const base = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics: new Metrics() }
  const server = httpApi({ ...base, endpoints: federation.dc1.endpoints, agent: emptyAgent() })
  servers.push(server)
  const identity = { cert: issued.certPem, key: issued.keyPem, ca: ca.certPem }
  const tls = { ...identity, requestCert: true, rejectUnauthorized: true }
  const { port } = await server.listen({ host: '127.0.0.1', port: 0, tls })
  const get = (options: object) =>
    new Promise<number | undefined>((resolve, reject) => {
      const out = secureRequest(
        { host: '127.0.0.1', port, path: '/v1/status/leader', agent: false, ...options },
        (reply) => {
          reply.resume()
          reply.once('end', () => resolve(reply.statusCode))
        },
      )
      out.once('error', reject)
      out.end()
    })
  assert.equal(await get(identity), 200)
  await assert.rejects(get({ ca: ca.certPem }))
})

test('a client of HTTPS that shows no TLS within limits.https_handshake_timeout is cut off', {
  timeout: 30_000,
}, async () => {
  const ca = createCertificateAuthority()
  const issued = createCertificate({ ca, commonName: 'server.dc1.consul', dnsNames: ['localhost'], ipAddresses: [] })
  const base = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics: new Metrics() }
  const options = { ...base, endpoints: federation.dc1.endpoints, agent: emptyAgent(), handshakeTimeoutMs: 50 }
  const server = httpApi(options)
  servers.push(server)
  const tls = { cert: issued.certPem, key: issued.keyPem, requestCert: false, rejectUnauthorized: false }
  const { port } = await server.listen({ host: '127.0.0.1', port: 0, tls })
  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => {})
  await new Promise((resolve) => silent.once('close', resolve))
})

test('http_config.max_header_bytes is the most that a request may have of headers, more than usual as well as less', async () => {
  const headers = (bytes: number) => ({ headers: { 'X-Filler': 'x'.repeat(bytes) } })
  const small = await serve({ maxHeaderBytes: 1_000 })
  assert.equal((await ask(small, 'GET', '/v1/status/leader', headers(500))).status, 200)
  assert.equal((await ask(small, 'GET', '/v1/status/leader', headers(1_000))).status, 431)
  const usual = await serve()
  assert.equal((await ask(usual, 'GET', '/v1/status/leader', headers(20_000))).status, 431)
  const large = await serve({ maxHeaderBytes: 40_000 })
  assert.equal((await ask(large, 'GET', '/v1/status/leader', headers(20_000))).status, 200)
})

test('a name that cannot stand in a header is answered like any other', async () => {
  const port = await serve()
  const { status, body } = await ask(port, 'GET', '/v1/agent/health/service/id/%E5%90%8D?format=text')
  assert.equal(status, 404)
  assert.equal(body.toString(), 'ServiceId 名 not found')
})

test('a token is no part of a plan that is kept: the same question with and without one is answered', async () => {
  const port = await serve()
  const headers = { 'X-Consul-Token': 'e95b599e-166e-7d80-08ad-aee76e7ddf19' }
  assert.equal((await ask(port, 'GET', '/v1/catalog/nodes', { headers })).status, 200)
  assert.equal((await ask(port, 'GET', '/v1/catalog/nodes?token=e95b599e')).status, 200)
})

test('an Enterprise header is refused also where the URL was answered before without it', async () => {
  const port = await serve()
  assert.equal((await ask(port, 'GET', '/v1/catalog/services')).status, 200)
  const refused = await ask(port, 'GET', '/v1/catalog/services', { headers: { 'X-Consul-Namespace': 'x' } })
  assert.equal(refused.status, 400)
})

test('the keyring lists what can be reached and names what cannot; a change that failed somewhere fails', async () => {
  const port = await serve()
  const whole = JSON.parse((await ask(port, 'GET', '/v1/operator/keyring')).body.toString())
  assert.equal(whole.length, 3)
  federation.fail('dc2', 'unreachable')
  const partial = await ask(port, 'GET', '/v1/operator/keyring')
  assert.equal(partial.status, 200)
  const missing = JSON.parse(partial.body.toString()).find((each: { Datacenter: string }) => each.Datacenter === 'dc2')
  assert.deepEqual([missing.Keys, missing.NumNodes], [{}, 0])
  assert.match(missing.Error, /no server currently reachable/)
  const refused = await ask(port, 'POST', '/v1/operator/keyring', { body: '{"Key":"x"}' })
  assert.equal(refused.status, 500)
  assert.match(refused.body.toString(), /^1 error occurred:\n\t\* dc2 \(LAN\) error: /)
})

test('readPath() survives any request target and never gives a path that is unclean', () => {
  const random = seededRandom(4)
  const parts = [
    '/',
    '//',
    '..',
    '.',
    '%2F',
    '%2e',
    '%00',
    '%zz',
    'v1',
    'kv',
    'a',
    '?',
    'é',
    '\\',
    '\x7f',
    '%F0%9F%98%80',
  ]
  for (let run = 0; run < 20_000; run++) {
    let target = '/'
    for (let n = random.int(8); n > 0; n--) target += parts[random.int(parts.length)] ?? ''
    const reading = readPath(target)
    if (reading.kind === 'path' && !reading.path.startsWith('/v1/kv/')) {
      assert.doesNotMatch(reading.path, /\/\/|\/\.\.?(?:\/|$)/)
    }
  }
})

test('bodies that are no JSON, or other JSON, are refused by name and leave the server as it was', async () => {
  const port = await serve()
  const random = seededRandom(9)
  const sample = '{"Node":"f","Address":"1.1.1.1","Service":{"Service":"s","Port":1,"Tags":["a"]},"Check":{"Name":"c"}}'
  for (let run = 0; run < 150; run++) {
    const body = Buffer.from(sample)
    for (let n = 1 + random.int(3); n > 0; n--) body[random.int(body.length)] = 0x20 + random.int(0x60)
    const { status, body: text } = await ask(port, 'PUT', '/v1/catalog/register', { body })
    assert.ok([200, 400, 500].includes(status), text.toString())
    if (status === 400) assert.match(text.toString(), /^Request decode failed: /)
  }
  assert.equal((await ask(port, 'GET', '/v1/status/leader')).status, 200)
})
