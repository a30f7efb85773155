/**
 * A service of one datacenter calls one of another: through its sidecar, both mesh gateways and the other's sidecar, with
 * mutual TLS from end to end, as config entries and intentions say.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, request, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import { freePorts } from '#local'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

const LOOPBACK = '127.0.0.1'

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter
let backend: Server
/** Where web's sidecar takes connections to api. */
let upstream = 0

async function listen(name: string): Promise<{ server: Server; port: number }> {
  const server = createHttpServer((incoming, outgoing) => incoming.pipe(outgoing.setHeader('x-served-by', name)))
  server.listen(0, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { server, port: address.port }
}

before(async () => {
  const gateway = await bed.address()
  dc1 = await bed.make({ name: 'dc1' })
  dc1.startServer()
  dc1.startGateway(gateway)
  dc2 = await bed.make({ name: 'dc2', primaryGateways: [gateway] })
  dc2.startServer()
  dc2.startGateway(await bed.address())
  await readEachOther([dc1, dc2])

  const api = await listen('api in dc2')
  backend = api.server
  const [webSidecar = 0, apiSidecar = 0, free = 0] = await freePorts(3)
  upstream = free
  await dc1.client.expect('PUT', '/v1/config', {
    body: { Kind: 'proxy-defaults', Name: 'global', MeshGateway: { Mode: 'local' } },
  })
  await dc2.client.expect('PUT', '/v1/agent/service/register', {
    body: {
      Name: 'api',
      Port: api.port,
      Address: LOOPBACK,
      Connect: { SidecarService: { Port: apiSidecar } },
    },
  })
  const upstreams = [{ DestinationName: 'api', Datacenter: 'dc2', LocalBindPort: upstream }]
  await dc1.client.expect('PUT', '/v1/agent/service/register', {
    body: {
      Name: 'web',
      Port: 9,
      Address: LOOPBACK,
      Connect: { SidecarService: { Port: webSidecar, Proxy: { Upstreams: upstreams } } },
    },
  })
  dc2.startSidecar('api')
  dc1.startSidecar('web')
})
after(async () => {
  await bed.stop()
  backend?.close()
})

/** A new connection each time: intentions are looked at when one is made. */
async function call(body: string): Promise<string> {
  const asked = request({ host: LOOPBACK, port: upstream, method: 'POST', agent: false, timeout: 5_000 })
  asked.on('timeout', () => asked.destroy(new Error('no answer')))
  asked.end(body)
  const [answer] = await once(asked, 'response')
  let text = ''
  for await (const part of answer) text += part
  assert.equal(answer.headers['x-served-by'], 'api in dc2')
  return text
}

async function intend(action: string): Promise<void> {
  await dc1.client.expect('PUT', '/v1/connect/intentions/exact', {
    query: { source: 'web', destination: 'api' },
    body: { Action: action },
  })
}

test('web in dc1 calls api in dc2 through both gateways', async () => {
  await eventually('the call is answered', async () => assert.equal(await call('hello'), 'hello'), {
    timeoutMs: 30_000,
  })
  const large = 'x'.repeat(1 << 20)
  assert.equal(await call(large), large)
})

test('an intention that denies it refuses new calls, and one that allows it lets them pass again', async () => {
  await intend('deny')
  await eventually('the call is refused', () => assert.rejects(call('hello')))
  await intend('allow')
  await eventually('the call is answered', () => call('hello'))
})

test('calls go on while the primary is away, and its server comes back to them', async () => {
  await dc1.server?.stop('SIGKILL')
  assert.equal(await call('hello'), 'hello')
  dc1.startServer()
  await dc1.ready()
  await eventually('the call is answered', () => call('hello'))
})
