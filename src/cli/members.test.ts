/**
 * `hanse members`: order, what tags leave open, filters, exit statuses.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from './test-run.ts'

const server = (name: string, more: object = {}) => ({
  Name: name,
  Addr: '10.0.0.1',
  Port: 8301,
  Status: 1,
  Tags: { role: 'consul', dc: 'dc1', build: '1.21.0:hanse', vsn: '2', segment: '' },
  ...more,
})
const client = (name: string, more: object = {}) => ({
  ...server(name),
  Tags: { role: 'node', dc: 'dc1', build: '1.21.0:', vsn: '2', segment: '' },
  ...more,
})
const ask = (members: unknown, words: readonly string[] = []) =>
  runCommand(['members', ...words], { answers: { 'GET /v1/agent/members?segment=_all': { body: members } } })

test('members: servers first, then by segment and name', async () => {
  const east = { role: 'node', dc: 'dc1', build: '1.21.0:', vsn: '2', segment: 'east' }
  const { stdout, status } = await ask([
    client('b'),
    client('a', { Tags: east }),
    client('a2'),
    server('z'),
    server('s'),
  ])
  assert.equal(status, 0)
  assert.equal(
    stdout,
    `Node  Address        Status  Type    Build   Protocol  DC   Partition  Segment
s     10.0.0.1:8301  alive   server  1.21.0  2         dc1  default    <all>
z     10.0.0.1:8301  alive   server  1.21.0  2         dc1  default    <all>
a2    10.0.0.1:8301  alive   client  1.21.0  2         dc1  default    <default>
b     10.0.0.1:8301  alive   client  1.21.0  2         dc1  default    <default>
a     10.0.0.1:8301  alive   client  1.21.0  2         dc1  default    east
`,
  )
})

test('members: every status by its name, IPv6 in brackets, a member without tags as unknown', async () => {
  const { stdout } = await ask([
    client('a', { Status: 2, Addr: '::1' }),
    client('b', { Status: 3 }),
    client('c', { Status: 4 }),
    client('d', { Tags: null, Status: 0 }),
  ])
  const rows = stdout.split('\n').map((line) =>
    line
      .trim()
      .split(/\s{2,}/)
      .slice(0, 4),
  )
  assert.deepEqual(rows.slice(1, 5), [
    ['a', '[::1]:8301', 'leaving', 'client'],
    ['b', '10.0.0.1:8301', 'left', 'client'],
    ['c', '10.0.0.1:8301', 'failed', 'client'],
    ['d', '10.0.0.1:8301', 'none', 'unknown'],
  ])
})

test('members: -status takes a regular expression; no match is status 2 and silence', async () => {
  const members = [client('a'), client('b', { Status: 4 })]
  assert.match((await ask(members, ['-status=failed|left'])).stdout, /^Node.*\nb .*\n$/)
  const none = await ask(members, ['-status=^leaving$'])
  assert.deepEqual([none.status, none.both], [2, ''])
  assert.equal((await ask([])).status, 2)
  const broken = await ask(members, ['-status=('])
  assert.equal(broken.status, 1)
  assert.equal(broken.stderr, 'Read flag "-status": "(" is not a regular expression\n')
  assert.equal(broken.asked.length, 0)
})

test('members: -wan, -segment and -filter are asked of the agent', async () => {
  const line = 'GET /v1/agent/members?segment=east&wan=1&filter=Tags.dc%20%3D%3D%20%22dc1%22'
  const words = ['members', '-wan', '-segment=east', '-filter', 'Tags.dc == "dc1"']
  assert.equal((await runCommand(words, { answers: { [line]: { body: [server('s')] } } })).status, 0)
})
