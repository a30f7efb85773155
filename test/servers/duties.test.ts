/**
 * Several servers of a datacenter over one store, in one process: each serves everything, one has the duties.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type TestServer, testServers } from '../support/servers.ts'

async function json(server: TestServer, path: string): Promise<unknown> {
  const { status, body } = await server.client.request('GET', path)
  assert.equal(status, 200, `${path} of ${server.name}: ${body}`)
  return JSON.parse(String(body))
}

const leaderOf = (servers: readonly TestServer[]) => servers.find(({ agent }) => agent.core.leadership.leading)

test('three servers: one leads, all say so, each serves what another wrote', async (context) => {
  const datacenter = await testServers(context)
  const s1 = await datacenter.start('s1')
  const s2 = await datacenter.start('s2')
  const s3 = await datacenter.start('s3')
  const servers = [s1, s2, s3]
  for (const each of servers) assert.equal(await json(each, '/v1/status/leader'), s1.agent.core.rpcAddress)
  await eventually('all are in the catalog', async () => {
    for (const each of servers) {
      const health = (await json(each, '/v1/health/service/consul?passing')) as { Node: { Node: string } }[]
      assert.deepEqual(health.map(({ Node }) => Node.Node).sort(), ['s1', 's2', 's3'])
    }
  })
  await s2.client.request('PUT', '/v1/kv/a', { body: 'one' })
  await eventually('the third has it', async () => {
    const [entry] = (await json(s3, '/v1/kv/a')) as { Value: string }[]
    assert.equal(entry?.Value, Buffer.from('one').toString('base64'))
  })
  for (const each of servers) {
    const leaf = (await json(each, '/v1/agent/connect/ca/leaf/web')) as { CertPEM: string }
    assert.match(leaf.CertPEM, /BEGIN CERTIFICATE/)
  }
  assert.equal(((await json(s3, '/v1/connect/ca/roots')) as { Roots: unknown[] }).Roots.length, 1)
})

test('a leader that leaves hands over at once, and the next one takes it out of the catalog', async (context) => {
  const datacenter = await testServers(context)
  const s1 = await datacenter.start('s1')
  const s2 = await datacenter.start('s2')
  const s3 = await datacenter.start('s3')
  await eventually('all know each other', () => {
    for (const { agent } of [s1, s2, s3]) assert.equal(agent.core.gossip.lan.members().length, 3)
  })
  await eventually('all are in the catalog', async () => {
    assert.equal(((await json(s3, '/v1/catalog/nodes')) as unknown[]).length, 3)
  })
  await s1.agent.leave()
  await eventually('another one leads', () => assert.ok(leaderOf([s2, s3])))
  const next = leaderOf([s2, s3])
  for (const each of [s2, s3]) {
    await eventually('both know it', async () => {
      assert.equal(await json(each, '/v1/status/leader'), next?.agent.core.rpcAddress)
      const nodes = (await json(each, '/v1/catalog/nodes')) as { Node: string }[]
      assert.deepEqual(nodes.map(({ Node }) => Node).sort(), ['s2', 's3'])
    })
  }
  const again = await datacenter.start('s4')
  await eventually('a new one is registered', async () => {
    assert.equal(((await json(again, '/v1/catalog/nodes')) as unknown[]).length, 3)
  })
})

test('a server that dies is critical in the catalog, written by the leader', async (context) => {
  const datacenter = await testServers(context)
  const s1 = await datacenter.start('s1')
  const s2 = await datacenter.start('s2')
  await eventually('both are passing', async () => {
    assert.equal(((await json(s1, '/v1/health/service/consul?passing')) as unknown[]).length, 2)
  })
  const facts = (await json(s2, '/v1/catalog/node/s2')) as { Node: { TaggedAddresses: object } }
  assert.ok('wan' in facts.Node.TaggedAddresses, 'it says of itself what only it knows')
  await s2.agent.shutdown()
  await eventually('it is critical', async () => {
    const [check] = (await json(s1, '/v1/health/node/s2')) as { Status: string }[]
    assert.equal(check?.Status, 'critical')
  })
})

test('tokens made on one server count on the others', async (context) => {
  const secret = '11111111-2222-4333-8444-555555555555'
  const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: secret } }
  const datacenter = await testServers(context, { primary_datacenter: 'dc1', acl })
  const s1 = await datacenter.start('s1')
  const s2 = await datacenter.start('s2')
  const ask = (server: TestServer, method: string, path: string, token: string, body?: unknown) =>
    server.client.request(
      method,
      `${path}${path.includes('?') ? '&' : '?'}token=${token}`,
      body === undefined ? {} : { body },
    )
  await ask(s2, 'PUT', '/v1/kv/a', secret, 'one')
  const made = await ask(s1, 'PUT', '/v1/acl/token', secret, { Policies: [{ Name: 'global-management' }] })
  const { SecretID, AccessorID } = JSON.parse(String(made.body)) as { SecretID: string; AccessorID: string }
  await eventually('it counts', async () => {
    assert.equal((await ask(s2, 'GET', '/v1/kv/a', SecretID)).status, 200)
  })
  await ask(s1, 'DELETE', `/v1/acl/token/${AccessorID}`, secret)
  await eventually('it counts no more', async () => {
    const { status, body } = await ask(s2, 'GET', '/v1/kv/a', SecretID)
    assert.deepEqual([status, String(body)], [403, 'ACL not found'])
  })
})
