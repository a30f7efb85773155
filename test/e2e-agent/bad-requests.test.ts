/**
 * Bad input over HTTP to a running server: each gets the status and text that clients expect, and changes nothing.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServerProcess } from './server-process.ts'

const GOSSIP_KEY = 'I8pGpYyHEpzLyYLkqHXoM97qQ4ySsT3LIGJkg/8eHxM='
const KV_LIMIT_BYTES = 524_288

interface Case {
  readonly what: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: string
  readonly status: number
  readonly text: RegExp
}

const register = (what: string, body: string, text: RegExp): Case => ({
  what,
  method: 'PUT',
  path: '/v1/catalog/register',
  body,
  status: 400,
  text,
})
const service = (what: string, body: string, text: RegExp): Case => ({
  ...register(what, body, text),
  path: '/v1/agent/service/register',
})
const noPath = (method: Case['method'], path: string, body?: string): Case => ({
  what: 'a datacenter that does not exist',
  method,
  path,
  ...(body !== undefined && { body }),
  status: 500,
  text: /^No path to datacenter$/,
})

const CASES: readonly Case[] = [
  register(
    'malformed JSON',
    '{bad',
    /^Request decode failed: invalid character 'b' looking for beginning of object key/,
  ),
  register('JSON that ends too early', '{"Node":"n"', /^Request decode failed: unexpected EOF$/),
  register('no body', '', /^Request decode failed: EOF$/),
  register('an array for an object', '[]', /cannot unmarshal array into Go value/),
  register('a number for a text', '{"Node":5,"Address":"x"}', /cannot unmarshal number into Go struct field .*Node/),
  register('an unknown key', '{"Node":"n","Address":"x","Nope":1}', /json: unknown field "Nope"/),
  register('bytes that are no text', '\u0000\u0001', /^Request decode failed: invalid character/),
  register('nesting without end', '['.repeat(20_000), /^Request decode failed: /),
  service('a text for a number', '{"Name":"w","Port":"abc"}', /cannot unmarshal string into Go struct field .*Port/),
  service('a duration without a unit', '{"Name":"w","Check":{"TTL":"abc"}}', /time: invalid duration "abc"/),
  service('no name', '{"Port":1}', /^Missing service name$/),
  {
    what: 'a value above 512 KiB',
    method: 'PUT',
    path: '/v1/kv/large',
    body: 'x'.repeat(KV_LIMIT_BYTES + 1),
    status: 413,
    text: /^Request body\(524289 bytes\) too large, max size: 524288 bytes/,
  },
  { what: 'a conflict', method: 'PUT', path: '/v1/kv/kept?cas=1', body: 'other', status: 200, text: /^false\n?$/ },
  { what: 'a conflict', method: 'DELETE', path: '/v1/kv/kept?cas=1', status: 200, text: /^false\n?$/ },
  { what: 'no number', method: 'PUT', path: '/v1/kv/kept?cas=x', body: 'other', status: 500, text: /invalid syntax/ },
  { what: 'no key', method: 'PUT', path: '/v1/kv/', body: 'x', status: 400, text: /^Missing key name$/ },
  {
    what: 'a gossip key that is no base64',
    method: 'POST',
    path: '/v1/operator/keyring',
    body: '{"Key":"zz"}',
    status: 500,
    text: /not standard base64/,
  },
  {
    what: 'a gossip key of a wrong length',
    method: 'POST',
    path: '/v1/operator/keyring',
    body: '{"Key":"AAAA"}',
    status: 500,
    text: /key size must be 16, 24 or 32 bytes/,
  },
  noPath('GET', '/v1/kv/kept?dc=nowhere'),
  noPath('PUT', '/v1/kv/kept?dc=nowhere', 'other'),
  noPath('PUT', '/v1/catalog/register', '{"Datacenter":"nowhere","Node":"n","Address":"192.0.2.1"}'),
  noPath('GET', '/v1/health/service/web?dc=nowhere'),
  { what: 'no number', method: 'GET', path: '/v1/catalog/nodes?index=x', status: 400, text: /^Invalid index$/ },
  {
    what: 'no duration',
    method: 'GET',
    path: '/v1/catalog/nodes?index=1&wait=x',
    status: 400,
    text: /^Invalid wait time$/,
  },
  {
    what: 'a filter that is none',
    method: 'GET',
    path: `/v1/catalog/nodes?filter=${encodeURIComponent('Node = = x')}`,
    status: 500,
    text: /^Failed to create boolean expression evaluator: /,
  },
  {
    what: 'an unknown check',
    method: 'PUT',
    path: '/v1/agent/check/pass/none',
    status: 404,
    text: /^Unknown check ID "none"/,
  },
  { what: 'a wrong method', method: 'POST', path: '/v1/catalog/nodes', status: 405, text: /^method POST not allowed$/ },
  { what: 'an unknown path', method: 'GET', path: '/v1/nothing', status: 404, text: /^Invalid URL path/ },
]

let server: ServerProcess

before(async () => {
  server = await ServerProcess.start({ encrypt: GOSSIP_KEY })
  assert.equal((await server.ask('PUT', '/v1/kv/kept', { body: 'as it was' })).status, 200)
})

after(() => server.stop())

/** All that a request could have changed, indexes included. */
async function everything(): Promise<readonly string[]> {
  const paths = [
    '/v1/kv/?recurse',
    '/v1/catalog/nodes',
    '/v1/catalog/services',
    '/v1/agent/services',
    '/v1/agent/checks',
  ]
  const replies = await Promise.all([...paths, '/v1/operator/keyring'].map((path) => server.ask('GET', path)))
  return replies.map((reply) => `${reply.headers['x-consul-index']} ${reply.text}`)
}

for (const { what, method, path, body, status, text } of CASES) {
  test(`${method} ${path.slice(0, 60)} refuses ${what}, and nothing changes`, async () => {
    const past = await everything()
    const reply = await server.ask(method, path, body === undefined ? {} : { body })
    assert.match(reply.text, text)
    assert.equal(reply.status, status)
    assert.deepEqual(await everything(), past)
  })
}

test('a value of exactly 512 KiB is taken', async () => {
  const body = 'x'.repeat(KV_LIMIT_BYTES)
  assert.equal((await server.ask('PUT', '/v1/kv/large', { body })).status, 200)
  assert.equal((await server.ask('GET', '/v1/kv/large?raw')).body.length, KV_LIMIT_BYTES)
})
