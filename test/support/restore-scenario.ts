/**
 * A restore by one of several servers: all of them hold what was restored, wake who waits, and let no index go back.
 */
import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import type { TestServer, TestServers } from './servers.ts'

const valueOn = async (server: TestServer) => {
  const { status, body, index } = await server.client.request('GET', '/v1/kv/k', { query: { raw: true } })
  return { status, value: String(body), index }
}

/** @param datacenter - of which no server runs yet; @returns the snapshot */
export async function restoreByAnotherServer(datacenter: TestServers): Promise<Buffer> {
  const servers = [await datacenter.start('s1'), await datacenter.start('s2'), await datacenter.start('s3')] as const
  const [s1, s2, s3] = servers
  await s1.client.expect('PUT', '/v1/kv/k', { body: 'before' })
  await eventually('all have it', async () => {
    for (const each of servers) assert.equal((await valueOn(each)).value, 'before')
  })
  const leaf = '/v1/agent/connect/ca/leaf/web'
  await s2.client.expect('GET', leaf)
  const saved = await s2.client.expect('GET', '/v1/snapshot')
  await s1.client.expect('PUT', '/v1/kv/k', { body: 'after' })
  await s1.client.expect('PUT', '/v1/kv/new', { body: 'x' })
  await eventually('all have the later value', async () => {
    for (const each of servers) assert.equal((await valueOn(each)).value, 'after')
  })
  const shown = await Promise.all(servers.map(async (each) => (await valueOn(each)).index))
  const waiting = servers.map((each, at) =>
    each.client.request('GET', '/v1/kv/k', { query: { raw: true, index: Math.max(...shown), wait: `${60 + at}s` } }),
  )
  await s3.client.expect('PUT', '/v1/snapshot', { body: saved.body })
  for (const answer of await Promise.all(waiting)) {
    assert.equal(String(answer.body), 'before')
    assert.ok(answer.index > Math.max(...shown))
  }
  for (const each of servers) {
    await eventually('the later key is gone', async () => {
      assert.equal((await each.client.request('GET', '/v1/kv/new')).status, 404)
    })
    await each.client.expect('GET', leaf)
  }
  await s1.client.expect('PUT', '/v1/kv/k', { body: 'goes on' })
  await eventually('writes go on everywhere', async () => {
    for (const each of servers) assert.equal((await valueOn(each)).value, 'goes on')
  })
  await eventually('all servers are in the catalog', async () => {
    const nodes = (await s2.client.json('GET', '/v1/catalog/nodes')) as unknown[]
    assert.equal(nodes.length, 3)
  })
  return saved.body
}
