/** /v1/snapshot as recorded (exchanges 681 to 684 of http.json): headers, refusals, and a round trip of the body. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { ask, emptyAgent, type HttpReply, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer } from './http/server.ts'
import { httpApi } from './http-api.ts'

let open: TwoDatacenters
let denying: TwoDatacenters
const servers: HttpServer[] = []
const ports = { open: 0, denying: 0 }

before(async () => {
  open = await twoDatacenters()
  denying = await twoDatacenters({ acl: { enabled: true, defaultPolicy: 'deny' } })
  for (const [name, { dc1 }] of Object.entries({ open, denying })) {
    const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
    const server = httpApi({ ...base, endpoints: dc1.endpoints, agent: emptyAgent() })
    servers.push(server)
    ports[name === 'open' ? 'open' : 'denying'] = (await server.listen({ host: '127.0.0.1', port: 0 })).port
  }
})

after(async () => {
  for (const server of servers) await server.close()
  await open.close()
  await denying.close()
})

const get = (key: string): Promise<HttpReply> => ask(ports.open, 'GET', `/v1/kv/${key}?raw`)

test('GET has the recorded headers and PUT takes its body back', async () => {
  await ask(ports.open, 'PUT', '/v1/kv/k', { body: 'before' })
  const saved = await ask(ports.open, 'GET', '/v1/snapshot')
  const { headers } = saved
  assert.equal(saved.status, 200)
  assert.deepEqual(
    ['content-type', 'vary', 'transfer-encoding', 'x-consul-knownleader', 'x-consul-lastcontact'].map(
      (n) => headers[n],
    ),
    ['application/x-gzip', 'Accept-Encoding', 'chunked', 'true', '0'],
  )
  assert.equal(headers['x-consul-query-backend'], 'blocking-query')
  assert.equal(headers['x-consul-default-acl-policy'], 'allow')
  assert.equal(headers['x-consul-index'], String(open.dc1.state.index))
  assert.equal(saved.body.toString('hex', 0, 10), '1f8b0800000000000003')
  await ask(ports.open, 'PUT', '/v1/kv/k', { body: 'after' })
  const restored = await ask(ports.open, 'PUT', '/v1/snapshot', { body: saved.body })
  assert.deepEqual([restored.status, restored.body.length], [200, 0])
  assert.equal(String((await get('k')).body), 'before')
})

test('a body that is no snapshot gets the recorded text', async () => {
  const { status, body } = await ask(ports.open, 'PUT', '/v1/snapshot', { body: 'not an archive' })
  assert.deepEqual([status, String(body)], [500, 'failed to decompress snapshot: gzip: invalid header'])
})

test('a large body that is refused at its beginning is still answered', async () => {
  const { status } = await ask(ports.open, 'PUT', '/v1/snapshot', { body: Buffer.alloc(30_000_000, 'x') })
  assert.equal(status, 500)
})

test('nobody without a token gets or brings a snapshot', async () => {
  for (const [method, body] of [
    ['GET', undefined],
    ['PUT', 'x'],
  ] as const) {
    const reply = await ask(ports.denying, method, '/v1/snapshot', body === undefined ? {} : { body })
    assert.equal(reply.status, 403)
    assert.equal(reply.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal(
      String(reply.body),
      "Permission denied: anonymous token lacks permission 'acl:write'. The anonymous token is used implicitly when a request does not specify a token.",
    )
  }
})
