/** /v1/event as recorded (http-events.json), and lists that wait. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { decodeUserEvent, UserEvent } from '#codec'
import type { AgentPort } from './agent-port.ts'
import { ask, emptyAgent, type HttpReply, type TwoDatacenters, twoDatacenters } from './fixture.ts'
import type { HttpServer } from './http/server.ts'
import { httpApi } from './http-api.ts'

const ID = 'db3d3ef9-4065-e824-bde3-b59c967a034f'
const INDEX = '7412515306198788971'
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/

interface Exchange {
  readonly n: number
  readonly request: { readonly method: string; readonly path: string; readonly body?: string }
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
}

const vector = new URL('../../test/vectors/http-events.json', import.meta.url)
const recorded: readonly Exchange[] = JSON.parse(readFileSync(vector, 'utf8')).exchanges

let open: TwoDatacenters
let denying: TwoDatacenters
const servers: HttpServer[] = []
const ports = { open: 0, denying: 0 }
let kept: UserEvent[] = []
const listeners = new Set<() => void>()

function arrive(event: Partial<UserEvent>): void {
  kept = [...kept, UserEvent.of({ Version: 1, ...event })]
  for (const each of listeners) each()
}

const agent: AgentPort = {
  ...emptyAgent(),
  events: {
    list: () => kept,
    onEvent: (callback) => {
      listeners.add(callback)
      return () => void listeners.delete(callback)
    },
  },
}

before(async () => {
  open = await twoDatacenters()
  denying = await twoDatacenters({ acl: { enabled: true, defaultPolicy: 'deny' } })
  for (const [name, { dc1 }] of [['open', open] as const, ['denying', denying] as const]) {
    const base = { clock: systemClock, random: seededRandom(7), log: silentLogger, metrics: new Metrics() }
    const server = httpApi({ ...base, endpoints: dc1.endpoints, agent })
    servers.push(server)
    ports[name] = (await server.listen({ host: '127.0.0.1', port: 0 })).port
  }
})

after(async () => {
  for (const server of servers) await server.close()
  await open.close()
  await denying.close()
})

const list = (query = ''): Promise<HttpReply> => ask(ports.open, 'GET', `/v1/event/list${query}`)

for (const { n, request, response } of recorded) {
  test(`exchange ${n}: ${request.method} ${request.path}`, async () => {
    kept = [UserEvent.of({ ID, Name: 'deploy', Payload: Buffer.from('payload'), Version: 1, LTime: 2 })]
    const port = n === 205 ? ports.denying : ports.open
    const reply = await ask(port, request.method, request.path, { ...(request.body && { body: request.body }) })
    assert.equal(reply.status, response.status)
    const blanked = (text: string) => (request.method === 'PUT' ? text.replace(UUID, 'ID') : text)
    assert.equal(blanked(String(reply.body)), blanked(response.body))
    assert.equal(reply.headers['content-type'], response.headers['Content-Type'])
    if (response.headers['X-Consul-Index'] === undefined) return
    assert.equal(reply.headers['x-consul-index'], response.headers['X-Consul-Index'])
  })
}

test('an event is fired into the datacenter that is named, in the form of gossip', async () => {
  const { events } = open.dc2
  const { body } = await ask(ports.open, 'PUT', '/v1/event/fire/deploy?dc=dc2&node=s.&service=web&tag=v1', {
    body: 'p',
  })
  const [{ name, payload } = assert.fail('nothing was fired')] = events
  assert.equal(name, 'deploy')
  assert.deepEqual(UserEvent.toJson(decodeUserEvent(payload)), JSON.parse(String(body)))
  const long = await ask(ports.open, 'PUT', '/v1/event/fire/deploy', { body: 'x'.repeat(5_000) })
  assert.equal(long.status, 413)
})

test('a list waits until its newest event is another one, by all 64 bits of its index', async () => {
  kept = [UserEvent.of({ ID, Name: 'deploy' })]
  const waiting = list(`?index=${INDEX}&wait=60s`)
  // One bit less, below what a double can tell apart, is another index.
  assert.equal((await list(`?index=${BigInt(INDEX) - 1n}&wait=60s`)).headers['x-consul-index'], INDEX)
  const named = list(`?name=deploy&index=${INDEX}&wait=60s`)
  const empty = list('?name=later&index=1&wait=60s')
  while (listeners.size < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  arrive({ ID: '00000000-0000-0001-0000-000000000002', Name: 'other' })
  assert.equal((await waiting).headers['x-consul-index'], '3')
  arrive({ ID: '00000000-0000-0001-0000-000000000005', Name: 'later' })
  assert.equal(JSON.parse(String((await empty).body)).length, 1)
  arrive({ ID: '00000000-0000-0001-0000-000000000008', Name: 'deploy' })
  assert.equal((await named).headers['x-consul-index'], '9')
  assert.equal(listeners.size, 0)
  assert.equal((await list('?index=9&wait=1ms')).status, 200)
  assert.equal((await list('?index=x')).status, 400)
})

test('who may not read events sees none, and is told where a token was shown', async () => {
  kept = [UserEvent.of({ ID, Name: 'deploy' })]
  const reply = await ask(ports.denying, 'GET', '/v1/event/list')
  assert.equal(String(reply.body), '[]')
})
