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
const CALLED = { timeoutMs: 30_000 }

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter
let dc3: Datacenter
const backends: Server[] = []
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
  dc3 = await bed.make({ name: 'dc3', primaryGateways: [gateway] })
  dc3.startServer()
  dc3.startGateway(await bed.address())
  await readEachOther([dc1, dc2, dc3])

  await dc1.client.expect('PUT', '/v1/config', {
    body: { Kind: 'proxy-defaults', Name: 'global', MeshGateway: { Mode: 'local' } },
  })
  await serve(dc2, 'api')
  await serve(dc3, 'api')
  upstream = await startCaller(dc1, 'web', dc2)
})
after(async () => {
  await bed.stop()
  for (const backend of backends) backend.close()
})

/** A service with a sidecar that says which one has answered. */
async function serve(where: Datacenter, name: string): Promise<void> {
  const { server, port } = await listen(`${name} in ${where.name}`)
  backends.push(server)
  const [Port = 0] = await freePorts(1)
  await where.client.expect('PUT', '/v1/agent/service/register', {
    body: { Name: name, Port: port, Address: LOOPBACK, Connect: { SidecarService: { Port } } },
  })
  where.startSidecar(name)
}

/** A service whose sidecar takes connections to api in another datacenter. @returns where */
async function startCaller(where: Datacenter, name: string, target: Datacenter): Promise<number> {
  const [Port = 0, LocalBindPort = 0] = await freePorts(2)
  const Upstreams = [{ DestinationName: 'api', Datacenter: target.name, LocalBindPort }]
  await where.client.expect('PUT', '/v1/agent/service/register', {
    body: { Name: name, Port: 9, Address: LOOPBACK, Connect: { SidecarService: { Port, Proxy: { Upstreams } } } },
  })
  where.startSidecar(name)
  return LocalBindPort
}

/** A new connection each time: intentions are looked at when one is made. */
async function call(body: string, port = upstream, by = 'api in dc2'): Promise<string> {
  const asked = request({ host: LOOPBACK, port, method: 'POST', agent: false, timeout: 5_000 })
  asked.on('timeout', () => asked.destroy(new Error('no answer')))
  asked.end(body)
  const [answer] = await once(asked, 'response')
  let text = ''
  for await (const part of answer) text += part
  assert.equal(answer.headers['x-served-by'], by)
  return text
}

async function intend(action: string): Promise<void> {
  await dc1.client.expect('PUT', '/v1/connect/intentions/exact', {
    query: { source: 'web', destination: 'api' },
    body: { Action: action },
  })
}

test('web in dc1 calls api in dc2 through both gateways', async () => {
  await eventually('the call is answered', async () => assert.equal(await call('hello'), 'hello'), CALLED)
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

test('two secondaries call each other while the primary and its gateway are gone, new services too', async () => {
  const both = [
    [dc2, dc3],
    [dc3, dc2],
  ] as const
  const calls = async (name: string) => {
    for (const [from, to] of both) {
      const port = await startCaller(from, name, to)
      await eventually(`${name} in ${from.name} is answered`, () => call('hello', port, `api in ${to.name}`), CALLED)
      known.push([port, `api in ${to.name}`])
    }
  }
  const known: [number, string][] = []
  await calls('early')
  await Promise.all([dc1.server?.stop('SIGKILL'), dc1.gateway?.stop('SIGKILL')])
  for (const [port, by] of known) assert.equal(await call('hello', port, by), 'hello')
  await eventually('the primary is missed', async () => assert.match(await dc2.readError('dc1'), /^Remote DC has no/))
  await calls('late')
  for (const [port, by] of known) assert.equal(await call('hello', port, by), 'hello')
})
