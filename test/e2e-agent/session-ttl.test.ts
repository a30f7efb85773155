/** `session_ttl_min` of a real server: the shortest TTL that it takes, and the words of the refusal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerProcess } from './server-process.ts'

test('session_ttl_min says which TTLs are taken', async (context) => {
  const server = await ServerProcess.start({ session_ttl_min: '30s' })
  context.after(() => server.stop())
  const create = (TTL: string) =>
    server.ask('PUT', '/v1/session/create', { body: JSON.stringify({ TTL, NodeChecks: [] }) })
  const short = await create('29s')
  assert.equal(short.status, 500)
  assert.equal(short.text, "Invalid Session TTL '29000000000', must be between [30s=24h0m0s]")
  let taken = await create('30s')
  // Until the node has registered itself, nobody can have a session on it.
  while (taken.text.includes('Missing node registration')) taken = await create('30s')
  assert.equal(taken.status, 200, taken.text)
  assert.match(server.output, /serving/)
  assert.doesNotMatch(server.output, /session_ttl_min/, 'no warning that it has no effect')
})
