/** `watches` of a configuration: what becomes of them, and what is wrong with bad ones. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HanseError } from '#base'
import { loadConfig } from './config.ts'
import { reloadable } from './config-reload.ts'
import { MAX_WATCHES } from './config-watches.ts'
import { ownAccess } from './watches.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-config-watches-'))
after(() => rmSync(folder, { recursive: true }))
const machine = { hostname: () => 'host-1', addresses: () => [] }
let files = 0

function load(text: string) {
  const file = join(folder, `${++files}.hcl`)
  writeFileSync(file, `server = true\nbootstrap = true\ndata_dir = "/d"\nbind_addr = "127.0.0.1"\n${text}`)
  return loadConfig({ args: ['-config-file', file], machine })
}

function faultOf(text: string): HanseError {
  try {
    load(text)
  } catch (error) {
    assert.ok(error instanceof HanseError, String(error))
    return error
  }
  return assert.fail('no error')
}

const watch = (...lines: string[]) => `watches = [{\n${lines.join('\n')}\n}]`
const SECRET = 'T0P-S3CRET'

test('watches take what is watched, and a handler of each sort', () => {
  const { config, warnings } = load(`watches = [
    { type = "key" key = "foo/bar" args = ["/usr/bin/handler", "-redis"] },
    { type = "service" service = "web" tag = ["a", "b"] passingonly = true handler = "cat > /dev/null" token = "t" datacenter = "dc2" },
    { type = "agent_service" service_id = "web-1" handler_type = "http" http_handler_config {
      path = "https://localhost:8000/watch" method = "PUT" header { "x-foo" = ["bar", "baz"] } timeout = "3s" tls_skip_verify = true
    } },
    { type = "checks" handler_type = "http" http_handler_config { path = "http://localhost/" } },
  ]`)
  assert.deepEqual(
    warnings.filter((line) => line.includes('watches')),
    [],
  )
  const [key, service, agentService, checks] = config.watches
  assert.deepEqual(key?.script, { words: ['/usr/bin/handler', '-redis'], shell: false })
  assert.deepEqual([key?.parameters.key, key?.datacenter, key?.token], ['foo/bar', '', ''])
  assert.deepEqual(service?.script, { words: ['cat > /dev/null'], shell: true })
  assert.deepEqual([service?.parameters.tag, service?.datacenter, service?.token], [['a', 'b'], 'dc2', 't'])
  const url = 'https://localhost:8000/watch'
  const headers = { 'x-foo': ['bar', 'baz'] }
  assert.deepEqual(agentService?.http, { url, method: 'PUT', headers, timeoutMs: 3_000, skipVerify: true })
  const plain = { url: 'http://localhost/', method: 'POST', headers: {}, timeoutMs: 10_000, skipVerify: false }
  assert.deepEqual(checks?.http, plain)
  assert.deepEqual(reloadable(load('').config, load(watch('type = "nodes"', 'args = ["x"]')).config), {
    apply: ['watches'],
    restart: [],
  })
})

test('a watch that could never run is refused by key and line, without its secrets', () => {
  const script = 'args = ["x"]'
  const http = (...lines: string[]) =>
    watch('type = "nodes"', 'handler_type = "http"', `http_handler_config {\n${lines.join('\n')}\n}`)
  const cases: [text: string, message: RegExp][] = [
    [watch(script), /"watches\.type" at .*:6: Watch type must be specified/],
    [watch(script, 'type = "color"'), /"watches\.type" at .*:7: Watch type "color" is not known; there are key, /],
    [watch('type = "key"', script), /A watch of type "key" needs "key"/],
    [watch('type = "service"', script), /needs "service"/],
    [watch('type = "nodes"'), /"watches\.args" at .*: there is no handler: name the program in "args"/],
    [watch('type = "nodes"', 'args = []'), /there is no handler/],
    [watch('type = "nodes"', script, 'handler = "y"'), /"args" and "handler" exclude each other/],
    [watch('type = "nodes"', script, 'handler_type = "mail"'), /"mail" is none of script, http/],
    [watch('type = "nodes"', 'handlr = "x"'), /no such key, the nearest known one is "handler"/],
    [watch('type = "nodes"', script, 'http_handler_config { path = "http://x" }'), /needs "handler_type" to be "http"/],
    [http(), /"path" is no URL with http:\/\/ or https:\/\//],
    [http(`path = "ftp://x/${SECRET}"`), /"path" is no URL/],
    [http(`path = "http://me:${SECRET}@x/"`), /"path" has a name or a password/],
    [http('path = "http://x"', 'method = "A B"'), /"A B" is no HTTP method/],
    [http('path = "http://x"', 'timeout = "0s"'), /"timeout" must be above 0/],
    [http('path = "http://x"', `header { "a b" = ["${SECRET}"] }`), /"header" has one that HTTP does not allow: "a b"/],
    [http('path = "http://x"', `header { a = ["${SECRET}\\n"] }`), /does not allow: "a"/],
    [`${http('path = "http://x"').replace('}]', '\nargs = ["x"] }]')}`, /needs "handler_type" to be "script"/],
    [
      `${watch('type = "nodes"', script)}\nports { http = -1 }`,
      /"watches": they ask this agent over HTTP, and "ports.http" and "ports.https" are off/,
    ],
    [
      `watches = [${Array.from({ length: MAX_WATCHES + 1 }, () => `{ type = "nodes" ${script} }`).join(',')}]`,
      /"watches" at .*: there are 65, the limit is 64/,
    ],
  ]
  for (const [text, message] of cases) {
    const fault = faultOf(text)
    assert.match(fault.message, message)
    assert.ok(!JSON.stringify([fault.message, fault.facts]).includes(SECRET), text)
  }
})

test('ownAccess() calls an address that this machine answers at', () => {
  const identity = { caPem: '', certPem: 'cert', keyPem: 'key' }
  const cases = [
    ['127.0.0.1:8500', 'http://127.0.0.1:8500'],
    ['0.0.0.0:8500', 'http://127.0.0.1:8500'],
    ['[::]:8500', 'http://[::1]:8500'],
    ['10.0.0.1:80', 'http://10.0.0.1:80'],
  ] as const
  for (const [open, address] of cases) assert.deepEqual(ownAccess({ http: [open], https: [] }, undefined), { address })
  assert.deepEqual(ownAccess({ http: [], https: ['0.0.0.0:8501'] }, identity), {
    address: 'https://127.0.0.1:8501',
    tls: { certPem: 'cert', keyPem: 'key', verify: false },
  })
  assert.equal(ownAccess({ http: [], https: [] }, identity), undefined)
})
