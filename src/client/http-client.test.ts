/**
 * The client against a real HTTP server: parameters, errors, time-outs, streams.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { codeOf } from '#base'
import { list, string } from '#codec'
import { HttpClient } from './index.ts'

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void

async function withServer(handler: Handler, use: (client: HttpClient, port: number) => Promise<void>, token?: string) {
  const server = http.createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new HttpClient({ address: `127.0.0.1:${port}`, datacenter: 'dc2', ...(token ? { token } : {}) })
  try {
    await use(client, port)
  } finally {
    client.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

test('get() sends the datacenter, flags and lists as query parameters and the token as a header', async () => {
  const seen: string[] = []
  await withServer(
    (request, response) => {
      seen.push(request.url ?? '', String(request.headers['x-consul-token']))
      response.setHeader('X-Consul-Index', '42')
      response.end('["a"]')
    },
    async (client) => {
      const answer = await client.get(list(string), '/v1/x', {
        query: { passing: true, tag: ['a b', 'c'], near: undefined },
      })
      assert.deepEqual(answer, { value: ['a'], index: 42 })
    },
    'secret-token',
  )
  assert.deepEqual(seen, ['/v1/x?dc=dc2&passing&tag=a%20b&tag=c', 'secret-token'])
})

test('expect() reports another status with the text of the answer', async () => {
  await withServer(
    (_request, response) => {
      response.statusCode = 500
      response.end('No path to datacenter')
    },
    async (client) => {
      await assert.rejects(client.json('GET', '/v1/x'), {
        message: 'Unexpected response code: 500 (No path to datacenter)',
      })
    },
  )
})

test('request() says what could not be reached, and that an answer is no JSON', async () => {
  const closed = new HttpClient({ address: 'http://127.0.0.1:9' })
  await assert.rejects(closed.request('GET', '/v1/x'), (error) => codeOf(error) === 'API_UNREACHABLE')
  closed.close()
  await withServer(
    (_request, response) => response.end('<html>'),
    (client) => assert.rejects(client.json('GET', '/v1/x'), (error) => codeOf(error) === 'API_NOT_JSON'),
  )
  assert.throws(() => new HttpClient({ address: 'ftp://x' }), { message: /HTTP address "ftp:\/\/x"/ })
})

test('request() ends with its signal and at its time limit', async () => {
  await withServer(
    () => {},
    async (client) => {
      const abort = new AbortController()
      const pending = client.request('GET', '/v1/x', { signal: abort.signal })
      abort.abort(new Error('no longer wanted'))
      await assert.rejects(pending, { message: 'no longer wanted' })
      await assert.rejects(
        client.request('GET', '/v1/x', { timeoutMs: 20 }),
        (error) => codeOf(error) === 'API_TIMEOUT',
      )
    },
  )
})

test('stream() yields what arrives until its signal ends it', async () => {
  await withServer(
    (_request, response) => response.write('line 1\n'),
    async (client) => {
      const abort = new AbortController()
      const lines: string[] = []
      for await (const chunk of client.stream('GET', '/v1/agent/monitor', { signal: abort.signal })) {
        lines.push(chunk.toString())
        abort.abort()
      }
      assert.deepEqual(lines, ['line 1\n'])
    },
  )
})
