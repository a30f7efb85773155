/** Handlers of watches: real programs and a real HTTP server that do what they should, fail, hang, or are ended. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { createCertificate, createCertificateAuthority } from '#codec'
import { callHandler, type HttpHandler } from './http-handler.ts'
import { runHandler } from './script-handler.ts'

const ANSWER = { text: '{"a":1}', index: '7' }
const never = new AbortController().signal

function script(words: readonly string[], { shell = true, signal = never } = {}) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const reason = runHandler({ words, shell }, ANSWER, { env: { PATH: process.env.PATH }, stdout, stderr, signal })
  const printed = () => ({ out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') })
  return { reason, printed, stdout }
}

test('a program gets the answer and the index, and its output goes where it is told to', async () => {
  const { reason, printed } = script(['cat; echo "$CONSUL_INDEX" >&2'])
  assert.equal(await reason, undefined)
  assert.deepEqual(printed(), { out: '{"a":1}\n', err: '7\n' })
})

test('a program that fails, or is not there, says so; one that reads nothing does not fail by that', async () => {
  assert.equal(await script(['exit 3']).reason, 'exit status 3')
  assert.equal(await script(['kill -9 $$']).reason, 'exit status SIGKILL')
  assert.match((await script(['/no/such/program'], { shell: false }).reason) ?? '', /ENOENT/)
  assert.equal(await script(['exec <&-; true']).reason, undefined)
})

test('a signal ends a program and what it started, also when both refuse to go', async () => {
  const end = new AbortController()
  const { reason, stdout } = script(['trap "" TERM; sleep 300 & echo "$!"; sleep 300'], { signal: end.signal })
  const pid = Number(String((await once(stdout, 'data'))[0]))
  assert.ok(existsSync(`/proc/${pid}`))
  end.abort()
  assert.equal(await reason, undefined, 'it was asked to end')
  // One that nobody has buried yet is gone too.
  const gone = () => {
    try {
      return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    } catch {
      return true
    }
  }
  while (!gone()) await new Promise((resolve) => setTimeout(resolve, 10))
})

interface Called {
  readonly method: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

async function listener(
  context: TestContext,
  answer: (response: ServerResponse) => void,
  tls?: { cert: string; key: string },
) {
  const calls: Called[] = []
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = Buffer.concat(await request.toArray()).toString()
    calls.push({ method: request.method, headers: request.headers, body })
    answer(response)
  }
  const server = tls ? createSecure(tls, take) : createServer(take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/secret-path`
  const call = (more: Partial<HttpHandler> = {}, signal = never) =>
    callHandler({ url, method: 'POST', headers: {}, timeoutMs: 20_000, skipVerify: false, ...more }, ANSWER, signal)
  return { calls, call }
}

test('an HTTP handler gets the answer with its index, method and headers; 2xx is success', async (context) => {
  const { calls, call } = await listener(context, (response) => response.writeHead(204).end())
  assert.equal(await call({ method: 'PUT', headers: { 'x-foo': ['bar', 'baz'] } }), undefined)
  const [{ method, headers, body }] = calls as [Called]
  assert.deepEqual([method, body, headers['x-consul-index'], headers['x-foo']], ['PUT', '{"a":1}', '7', 'bar, baz'])
  assert.equal(headers['content-type'], 'application/json')
})

test('an HTTP handler that fails says why, and never where it is', async (context) => {
  const refusing = await listener(context, (response) => response.writeHead(500).end('secret'))
  assert.equal(await refusing.call(), 'its answer has status 500')
  const silent = await listener(context, () => {})
  assert.equal(await silent.call({ timeoutMs: 50 }), 'no answer in 50 ms')
  const end = new AbortController()
  const ended = silent.call({}, end.signal)
  while (silent.calls.length < 2) await new Promise((resolve) => setImmediate(resolve))
  end.abort()
  assert.equal(await ended, undefined, 'it was asked to end')
  assert.equal(await refusing.call({ url: 'http://127.0.0.1:1/secret-path' }), 'connection refused')
  const endless = await listener(context, (response) => {
    const write = () => void (response.destroyed || response.write(Buffer.alloc(65_536), write))
    write()
  })
  assert.equal(await endless.call(), undefined, 'what it says beyond the limit is dropped')
})

test('an HTTPS handler is verified unless it is told not to be', async (context) => {
  const ca = createCertificateAuthority({})
  const { certPem, keyPem } = createCertificate({ ca, commonName: 'hook', dnsNames: ['hook'] })
  const { calls, call } = await listener(context, (response) => response.end(), { cert: certPem, key: keyPem })
  assert.match((await call()) ?? '', /unable to verify|issuer/)
  assert.equal(calls.length, 0)
  assert.equal(await call({ skipVerify: true }), undefined)
  assert.equal(calls.length, 1)
})
