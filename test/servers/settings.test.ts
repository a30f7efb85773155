/**
 * Settings of a server's configuration on their way to what they are about: asked of running servers.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type TestServer, testServers } from '../support/servers.ts'

const limit = { timeout: 60_000 }

async function json<T>({ client }: TestServer, path: string): Promise<T> {
  const { status, body } = await client.request('GET', path)
  assert.equal(status, 200, `${path}: ${body}`)
  return JSON.parse(String(body)) as T
}

test(
  'disable_coordinates keeps the coordinate of its server, and of no other, out of the catalog',
  limit,
  async (context) => {
    const datacenter = await testServers(context)
    const silent = await datacenter.start('s1', { disable_coordinates: true })
    const other = await datacenter.start('s2')
    await eventually('the one that began later has told its own', async () => {
      for (const server of [silent, other]) {
        const known = await json<{ Node: string }[]>(server, '/v1/coordinate/nodes')
        assert.deepEqual(
          known.map(({ Node }) => Node),
          ['s2'],
        )
      }
    })
  },
)

test(
  'what is kept of checks, how long reads wait and how large headers may be is as configured',
  limit,
  async (context) => {
    const datacenter = await testServers(context)
    const server = await datacenter.start('s1', {
      discard_check_output: true,
      default_query_time: '20ms',
      max_query_time: '40ms',
      http_config: { max_header_bytes: 2_000 },
      checks: [{ id: 'c', name: 'c', ttl: '1h' }],
    })
    const told = await server.client.request('PUT', '/v1/agent/check/warn/c?note=hot')
    assert.equal(told.status, 200)
    const checks = await json<Record<string, { Status: string; Output: string }>>(server, '/v1/agent/checks')
    assert.deepEqual([checks['c']?.Status, checks['c']?.Output], ['warning', ''])
    for (const wait of ['', '&wait=10m']) {
      await json(server, `/v1/catalog/services?index=999999${wait}`)
    }
    const large = await server.client.request('GET', `/v1/status/leader?${'x'.repeat(3_000)}`)
    assert.equal(large.status, 431)
  },
)
