/**
 * Checks of a running agent against real targets.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { HealthCheck, NodeService, RegisterRequest } from '#codec'
import { catalog, type Endpoints } from '#endpoints'
import { checkOf, fixture, held, keep, serviceOf, until } from './local-fixture.ts'

async function target(context: TestContext, answer: () => number): Promise<Server & { url: string }> {
  const server = createServer((_, response) => response.writeHead(answer()).end('body'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/health` })
}

test('HTTP and TCP checks see their target and say so in the words of Consul', async (context) => {
  const at = await fixture(context)
  const { url } = await target(context, () => 200)
  const { host } = new URL(url)
  const agent = await at.start()
  await agent.registerCheck(checkOf({ Name: 'http', HTTP: url, Interval: '1h' }))
  await agent.registerCheck(checkOf({ Name: 'tcp', TCP: host, Interval: '1h' }))
  await agent.registerCheck(checkOf({ Name: 'refused', TCP: '127.0.0.1:1', Interval: '1h' }))
  const catalogHas = (id: string, status: string, output: string) => () =>
    held(at).checks.some((check) => check.CheckID === id && check.Status === status && check.Output === output)
  await until('http passes', catalogHas('http', 'passing', `HTTP GET ${url}: 200 OK Output: body`))
  await until('tcp passes', catalogHas('tcp', 'passing', `TCP connect ${host}: Success`))
  const refusal = 'dial tcp 127.0.0.1:1: connect: connection refused'
  await until('refused is critical', () => agent.check('refused')?.Output === refusal)
})

test('a status counts after as many results in a row as the check asks for', async (context) => {
  const at = await fixture(context)
  let asked = 0
  const { url } = await target(context, () => {
    asked++
    return 200
  })
  const agent = await at.start()
  await agent.registerCheck(checkOf({ Name: 'slow', HTTP: url, Interval: '1s', SuccessBeforePassing: 2 }))
  await until('it was asked once', () => asked === 1)
  assert.equal(agent.check('slow')?.Status, 'critical')
  await until('it passes', () => agent.check('slow')?.Status === 'passing')
  assert.equal(asked, 2)
})

test('discard_check_output keeps the status of checks and not what they said, from when it is set', async (context) => {
  const at = await fixture(context)
  const { url } = await target(context, () => 200)
  let discards = false
  const agent = await at.start({ discardsOutput: () => discards, checkOutputMaxBytes: 3 })
  await agent.registerCheck(checkOf({ Name: 'http', HTTP: url, Interval: '1s' }))
  await agent.registerCheck(checkOf({ Name: 'ttl', TTL: '1h' }))
  await agent.updateTtl('ttl', 'warning', 'hot: 99 degrees')
  assert.match(agent.check('ttl')?.Output ?? '', /^hot \.\.\. \(captured 3 of 15 bytes\)$/)
  await until('http passes', () => agent.check('http')?.Output === `HTTP GET ${url}: 200 OK Output: bod`)
  discards = true
  await agent.updateTtl('ttl', 'passing', 'cool')
  const ttl = held(at).checks.find(({ CheckID }) => CheckID === 'ttl')
  assert.deepEqual([ttl?.Status, ttl?.Output], ['passing', ''])
  await until('the output is gone', () => agent.check('http')?.Output === '')
  assert.equal(agent.check('http')?.Status, 'passing')
})

test('a TTL that nobody renews expires', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerCheck(checkOf({ Name: 'ttl', TTL: '50ms', Status: 'passing' }))
  await until('it expires', () =>
    held(at).checks.some(({ Status, Output }) => Status === 'critical' && Output === 'TTL expired'),
  )
})

test('an alias follows a service of another node, also when that comes and goes', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const alias = { AliasNode: 'other', AliasService: 'db' }
  await agent.registerService(serviceOf({ Name: 'web', Check: { CheckID: 'follows', ...alias } }), keep)
  const output = () => agent.check('follows')?.Output
  assert.equal(output(), 'Service db could not be found on node other')
  const remote = (Status: string) => remoteService(at.endpoints, Status)
  await remote('passing')
  await until('it passes', () => agent.check('follows')?.Status === 'passing')
  await remote('warning')
  await until('it warns', () => agent.check('follows')?.Status === 'warning')
  await until('the catalog has it', () => held(at).checks[0]?.Status === 'warning')
  await agent.deregisterService('web')
  await remote('critical')
  assert.equal(agent.check('follows'), undefined)
})

function remoteService(endpoints: Endpoints, Status: string): Promise<unknown> {
  const Service = NodeService.of({ ID: 'db', Service: 'db' })
  const Check = HealthCheck.of({ CheckID: 'c', Name: 'c', ServiceID: 'db', Status })
  return endpoints.call(catalog.register, RegisterRequest.of({ Node: 'other', Address: '192.0.2.1', Service, Check }))
}

test('stop() ends the probes that run, and leaves no connection', async (context) => {
  const at = await fixture(context)
  let open = 0
  const server = createServer(() => {})
  server.on('connection', (socket) => {
    open++
    socket.on('close', () => open--)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const agent = await at.start()
  for (const Name of ['a', 'b', 'c']) await agent.registerCheck(checkOf({ Name, HTTP: url, Interval: '1s' }))
  await until('they are asked', () => open === 3)
  const { index } = at.state
  await agent.stop()
  await until('they are gone', () => open === 0)
  assert.deepEqual([at.state.index, agent.checks().map((check) => check.Output)], [index, ['', '', '']])
})
