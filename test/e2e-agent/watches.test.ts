/**
 * `watches` of a real server's configuration: programs and URLs that are called at each change, with the rights of their
 * tokens, and that a reload adds, ends and leaves alone.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate, createCertificateAuthority } from '#codec'
import { freePort, ServerProcess, temporaryDirectory } from './server-process.ts'

const MANAGEMENT = '5fd4b8d1-0f4c-4c10-8b3e-6a7e7a1b8a11'
const turn = () => new Promise((resolve) => setTimeout(resolve, 20))

/** A handler that appends what it is given to a file of its own. */
const appending = (file: string) => ['sh', '-c', `(cat; echo "at $CONSUL_INDEX") >> ${file}; echo told`]
const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '')

async function holds(file: string, pattern: RegExp): Promise<void> {
  while (!pattern.test(read(file))) await turn()
}

interface Hooked {
  readonly index: string
  readonly body: string
}

async function hook(context: TestContext): Promise<{ path: string; calls: Hooked[] }> {
  const calls: Hooked[] = []
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    calls.push({ index: String(request.headers['x-consul-index']), body })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { path: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, calls }
}

function settingsOf(server: ServerProcess): Record<string, unknown> {
  return JSON.parse(readFileSync(join(server.directory, 'server.json'), 'utf8'))
}

test('watches run at each change, with their token, and as a reload says', async (context) => {
  const files = temporaryDirectory()
  const [key, denied, event] = ['key', 'denied', 'event'].map((name) => join(files, name)) as [string, string, string]
  const { path, calls } = await hook(context)
  const ofKey = { type: 'key', key: 'a/b', args: appending(key), token: MANAGEMENT }
  const watches = [
    ofKey,
    { type: 'key', key: 'a/c', args: appending(denied) },
    { type: 'services', handler_type: 'http', http_handler_config: { path }, token: MANAGEMENT },
  ]
  const server = await ServerProcess.start({
    watches,
    acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT } },
  })
  context.after(() => server.stop())
  const headers = { 'X-Consul-Token': MANAGEMENT }
  const put = async (at: string, body: string) => {
    const { status, text } = await server.ask('PUT', at, { body, headers })
    assert.equal(status, 200, text)
  }
  await holds(key, /^null\nat \d+\n$/)
  await put('/v1/kv/a/b', 'one')
  await holds(key, /"Key":"a\/b".*"Value":"b25l".*\nat \d+\n$/)
  assert.match(server.output, /agent\.watch: watch handler: .*output=told/)
  while (!server.output.includes('watch="key a/c"')) await turn()
  assert.match(server.output, /watch failed: watch="key a\/c" .*lacks permission/)
  assert.equal(read(denied), '', 'nobody may read that without a token')
  while (!calls.some(({ body }) => body.includes('"consul"'))) await turn()
  assert.match(calls[0]?.index ?? '', /^\d+$/)

  const runs = read(key)
  const reload = async (changed: readonly object[]) => {
    writeFileSync(join(server.directory, 'server.json'), JSON.stringify({ ...settingsOf(server), watches: changed }))
    return server.ask('PUT', '/v1/agent/reload', { headers })
  }
  assert.equal(
    (await reload([ofKey, { type: 'event', name: 'deploy', args: appending(event), token: MANAGEMENT }])).status,
    200,
  )
  await holds(event, /^\[\]\nat /)
  await put('/v1/event/fire/deploy', 'now')
  await holds(event, /"Name":"deploy"/)
  assert.equal(read(key), runs, 'one that stays is not begun anew')
  const before = calls.length
  await put('/v1/catalog/register', JSON.stringify({ Node: 'n', Address: '10.0.0.1', Service: { Service: 'web' } }))
  await put('/v1/kv/a/b', 'two')
  await holds(key, /"Value":"dHdv"/)
  assert.equal(calls.length, before, 'one that is gone is not called')

  const refused = await reload([{ type: 'color', args: ['x'] }])
  assert.match(refused.text, /"watches\.type" at .*: Watch type "color" is not known/)
  await put('/v1/kv/a/b', 'three')
  await holds(key, /"Value":"dGhyZWU="/)
  assert.doesNotMatch(server.output, new RegExp(MANAGEMENT))
})

test('watches of an agent that only speaks HTTPS, and only to who shows a certificate, run too', async (context) => {
  const files = temporaryDirectory()
  const out = join(files, 'nodes')
  const ca = createCertificateAuthority({})
  const { certPem, keyPem } = createCertificate({ ca, commonName: 'agent', dnsNames: ['agent.test'] })
  const tls = { ca_file: join(files, 'ca'), cert_file: join(files, 'cert'), key_file: join(files, 'key') }
  writeFileSync(tls.ca_file, ca.certPem)
  writeFileSync(tls.cert_file, certPem)
  writeFileSync(tls.key_file, keyPem, { mode: 0o600 })
  const https = await freePort()
  const server = await ServerProcess.start({
    ports: { http: -1, dns: 0, server: 0, serf_lan: 0, serf_wan: -1, https },
    tls: { https: { ...tls, verify_incoming: true } },
    watches: [{ type: 'nodes', args: appending(out) }],
  })
  context.after(() => server.stop())
  await holds(out, /"Node":"s1"/)
})
