/**
 * /v1/txn and /v1/session over a socket: bodies that are wrong in some way, and what a body leaves out.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { HealthCheck, Node } from '#codec'
import { ask, emptyAgent, type HttpReply, type TwoDatacenters, twoDatacenters } from '../fixture.ts'
import type { HttpServer } from '../http/server.ts'
import { httpApi } from '../http-api.ts'

let all: TwoDatacenters
let server: HttpServer
let port = 0

before(async () => {
  all = await twoDatacenters()
  const base = { clock: systemClock, random: seededRandom(3), log: silentLogger, metrics: new Metrics() }
  server = httpApi({
    ...base,
    endpoints: all.dc1.endpoints,
    agent: emptyAgent(),
    txnMaxBytes: 4096,
    kvMaxValueBytes: 64,
  })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
  await all.dc1.state.write((tx) => {
    tx.putNode(Node.of({ Node: 's1', Address: '10.0.0.1' }))
    for (const id of ['serfHealth', 'a']) tx.putCheck(HealthCheck.of({ Node: 's1', CheckID: id, Status: 'passing' }))
  })
})
after(async () => {
  await server.close()
  await all.close()
})

const put = (path: string, body: string): Promise<HttpReply> => ask(port, 'PUT', path, { body })

/** Bodies of transactions that are refused as a whole. */
const REFUSED: readonly (readonly [body: string, status: number, text: string])[] = [
  ['"x"', 400, 'Failed to parse body: json: cannot unmarshal string into Go value of type api.TxnOps'],
  ['true', 400, 'Failed to parse body: json: cannot unmarshal bool into Go value of type api.TxnOps'],
  ['[', 400, 'Failed to parse body: unexpected EOF'],
  ['[{"KV": {"Verb": "set", "Key": "k", "Value": "?"}}]', 400, 'Failed to parse body: illegal base64 data in "Value"'],
  [
    '[{"KV": {"Verb": "get", "Key": "k", "Namespace": "x"}}]',
    400,
    'Failed to parse body: json: unknown field "Namespace"',
  ],
  [
    `[{"KV": {"Verb": "get", "Key": "${'k'.repeat(4096)}"}}]`,
    413,
    'Request body(4132 bytes) too large, max size: 4096 bytes. See https://www.consul.io/docs/agent/config/config-files#txn_max_req_len.',
  ],
]
for (const [body, status, text] of REFUSED) {
  test(`a transaction is refused with ${status}: ${body.slice(0, 60)}`, async () => {
    const reply = await put('/v1/txn', body)
    assert.deepEqual([reply.status, reply.body.toString()], [status, text])
  })
}

test('no body, null and an empty list are transactions without operations', async () => {
  for (const body of ['null', '[]']) assert.equal((await put('/v1/txn', body)).status, 200)
  assert.equal((await put('/v1/txn', '')).status, 400)
})

test('a transaction goes to the datacenter that is named, and reads say how fresh they are', async () => {
  const set = await put('/v1/txn?dc=dc2', '[{"KV": {"Verb": "set", "Key": "k", "Value": "dg=="}}]')
  assert.equal(set.status, 200)
  assert.equal(set.headers['x-consul-knownleader'], undefined)
  assert.equal(all.dc2.state.read((tx) => tx.kv.get('k')).value?.Value?.toString(), 'v')
  const got = await put('/v1/txn?dc=dc2&consistent', '[{"KV": {"Verb": "get", "Key": "k"}}]')
  assert.equal(JSON.parse(got.body.toString()).Results[0].KV.Value, 'dg==')
  assert.equal(got.headers['x-consul-knownleader'], 'true')
  const both = await put('/v1/txn?stale&consistent', '[]')
  assert.equal(both.status, 400)
})

const WHOLE = JSON.stringify([
  { KV: { Verb: 'set', Key: 'fuzz/a', Value: 'dg==', Flags: 7, Index: 1, Session: 's' } },
  { KV: { Verb: 'get-tree', Key: 'fuzz/' } },
  { Node: { Verb: 'cas', Node: { Node: 'n', Address: '10.0.0.1', ModifyIndex: 0, Meta: { a: 'b' } } } },
  {
    Service: {
      Verb: 'set',
      Node: 'n',
      Service: { ID: 'w', Service: 'web', Port: 1, Weights: { Passing: 1, Warning: 1 } },
    },
  },
  { Check: { Verb: 'set', Check: { Node: 'n', CheckID: 'c', Status: 'passing', Definition: { Interval: '10s' } } } },
])
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  'null',
  '-1',
  '1e99',
  '9999999999999999999',
  '""',
  '\\u0000',
  '\u{1f600}',
]

test('bodies with something wrong anywhere are answered, refused or reported, never with an error of the server (fuzz)', async () => {
  const random = seededRandom(21)
  const session = JSON.stringify({
    Name: 'n',
    Node: 's1',
    LockDelay: '1s',
    TTL: '10s',
    Checks: ['a'],
    ServiceChecks: [{ ID: 'a' }],
  })
  const counts = new Map<number, number>()
  for (let round = 0; round < 500; round++) {
    const [path, whole] = round % 4 === 0 ? ['/v1/session/create', session] : ['/v1/txn', WHOLE]
    let body = whole
    for (let edits = 1 + random.int(2); edits > 0; edits--) {
      const at = random.int(body.length)
      body = body.slice(0, at) + (PIECES[random.int(PIECES.length)] ?? '') + body.slice(at + random.int(4))
    }
    const { status, body: said } = await put(path, body)
    counts.set(status, (counts.get(status) ?? 0) + 1)
    // Consul's servers answer a session that is refused with 500 and the reason.
    const known = path === '/v1/txn' ? [200, 400, 409] : [200, 400, 500]
    assert.ok(known.includes(status), `${status} ${said.toString()} to ${body}`)
    if (status === 500) assert.match(said.toString(), /^(?:Invalid |Session TTL |apply failed: |Cannot create session)/)
  }
  assert.ok((counts.get(400) ?? 0) > 100 && (counts.get(409) ?? 0) > 5 && counts.has(200), JSON.stringify([...counts]))
})

/** What a body says of checks and of the delay, and what the session has. */
const BODIES: readonly (readonly [body: string, shown: Readonly<Record<string, unknown>>])[] = [
  ['', { Node: 's1', NodeChecks: ['serfHealth'], LockDelay: 15e9, Behavior: 'release', TTL: '' }],
  ['{"LockDelay": 90, "Behavior": "delete"}', { LockDelay: 60e9, Behavior: 'delete' }],
  ['{"LockDelay": 2000000000}', { LockDelay: 2e9 }],
  ['{"lockdelay": "1m"}', { LockDelay: 60e9 }],
  ['{"LockDelay": 0}', { LockDelay: 0 }],
  ['{"LockDelay": null, "Node": null}', { LockDelay: 15e9, Node: 's1' }],
  ['{"Checks": ["a"]}', { NodeChecks: ['a'] }],
  ['{"Checks": ["serfHealth"], "NodeChecks": ["a"]}', { NodeChecks: ['a'] }],
  ['{"NodeChecks": []}', { NodeChecks: [] }],
  ['{"ServiceChecks": [{"ID": "a"}]}', { NodeChecks: ['serfHealth'], ServiceChecks: [{ ID: 'a' }] }],
]
for (const [body, shown] of BODIES) {
  test(`a session made with ${body || 'no body'} has what was said, and defaults for the rest`, async () => {
    const made = await put('/v1/session/create', body)
    assert.equal(made.status, 200, made.body.toString())
    const { ID } = JSON.parse(made.body.toString())
    const [session] = JSON.parse((await ask(port, 'GET', `/v1/session/info/${ID}`)).body.toString())
    assert.deepEqual(Object.fromEntries(Object.keys(shown).map((name) => [name, session[name]])), shown)
  })
}

test('routes of a session without its ID, and bodies that are none, are refused', async () => {
  for (const [method, path] of [
    ['PUT', '/v1/session/destroy/'],
    ['PUT', '/v1/session/renew/'],
    ['GET', '/v1/session/info/'],
  ] as const) {
    const { status, body } = await ask(port, method, path)
    assert.deepEqual([status, body.toString()], [400, 'Missing session'])
  }
  for (const body of ['[]', '{"Nope": 1}', '{"LockDelay": true}', '{"Checks": "a"}']) {
    const reply = await put('/v1/session/create', body)
    assert.equal(reply.status, 400)
    assert.match(reply.body.toString(), /^Request decode failed: /)
  }
})
