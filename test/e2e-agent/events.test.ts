/** User events as an operator fires and watches them, through the real gossip of one server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runProgram, ServerProcess } from './server-process.ts'

let server: ServerProcess

before(async () => {
  server = await ServerProcess.start()
})
after(() => server.stop())

const hanse = (...words: string[]) => {
  const [command = '', ...rest] = words
  return runProgram([command, '-http-addr', `127.0.0.1:${server.httpPort}`, ...rest])
}

test('an event that is fired is listed with its Lamport time, and wakes who waits', async () => {
  const empty = await server.ask('GET', '/v1/event/list')
  assert.deepEqual([empty.text, empty.headers['x-consul-index']], ['[]', '1'])
  const waiting = server.ask('GET', '/v1/event/list?name=deploy&index=1&wait=60s')
  const other = await hanse('event', '-name', 'deploy', '-node', '^elsewhere$', 'not for us')
  const { stdout, code } = await hanse('event', '-name', 'deploy', 'hello')
  assert.equal(code, 0)
  const [, ID = ''] = /^Event ID: ([0-9a-f-]{36})\n$/.exec(stdout) ?? []
  const [event, ...more] = JSON.parse((await waiting).text)
  assert.deepEqual(more, [], other.stdout)
  assert.deepEqual(
    { ...event, LTime: event.LTime > 0 },
    {
      ID,
      Name: 'deploy',
      Payload: Buffer.from('hello').toString('base64'),
      NodeFilter: '',
      ServiceFilter: '',
      TagFilter: '',
      Version: 1,
      LTime: true,
    },
  )
  const watched = await hanse('watch', '-type', 'event', '-name', 'deploy')
  assert.deepEqual(JSON.parse(watched.stdout), [event])
})

test('an event for a service reaches the agent that has it', async () => {
  const body = JSON.stringify({ Name: 'web', Tags: ['v1'] })
  await server.ask('PUT', '/v1/agent/service/register', { body })
  for (const filters of ['service=db', 'service=web&tag=v2', 'service=^web$&tag=v1']) {
    assert.equal((await server.ask('PUT', `/v1/event/fire/restart?${filters}`)).status, 200)
  }
  const waited = await server.ask('GET', '/v1/event/list?name=restart&index=1&wait=60s')
  assert.deepEqual(
    JSON.parse(waited.text).map(({ ServiceFilter, TagFilter }: Record<string, string>) => [ServiceFilter, TagFilter]),
    [['^web$', 'v1']],
  )
})

test('an event that is too large for gossip is refused with its limit', async () => {
  const { status, text } = await server.ask('PUT', '/v1/event/fire/big', { body: 'x'.repeat(600) })
  assert.deepEqual([status, text], [400, 'user event exceeds sane limit of 512 bytes before encoding'])
})
