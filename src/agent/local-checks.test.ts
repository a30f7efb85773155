/**
 * Checks of a running agent against real targets.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { checkOf, fixture, held, until } from './local-fixture.ts'

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

test('a TTL that nobody renews expires', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerCheck(checkOf({ Name: 'ttl', TTL: '50ms', Status: 'passing' }))
  await until('it expires', () =>
    held(at).checks.some(({ Status, Output }) => Status === 'critical' && Output === 'TTL expired'),
  )
})
