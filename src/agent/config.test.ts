/**
 * Configuration from real files: order, defaults, every rule and its message, the reference page.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HanseError } from '#base'
import { AgentCheckDefinition, AgentServiceDefinition } from '#codec'
import { loadConfig } from './config.ts'
import type { Machine } from './config-files.ts'
import { readServiceFiles } from './config-service-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-config-'))
after(() => rmSync(folder, { recursive: true }))

const machine: Machine = {
  hostname: () => 'host-1',
  addresses: () => [
    { name: 'lo', address: '127.0.0.1', family: 'IPv4', internal: true },
    { name: 'eth0', address: '203.0.113.5', family: 'IPv4', internal: false },
    { name: 'eth1', address: '10.1.2.3', family: 'IPv4', internal: false },
  ],
}

let files = 0
function file(text: string, name = `${++files}.hcl`): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const MINIMAL = 'server = true\nbootstrap = true\ndata_dir = "/d"\n'
const load = (text: string, ...args: string[]) =>
  loadConfig({ args: ['-config-file', file(MINIMAL + text), ...args], machine })

function fault(run: () => unknown): HanseError {
  try {
    run()
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError, String(thrown))
    return thrown
  }
  return assert.fail('no error')
}
const faultOf = (text: string, ...args: string[]) => fault(() => load(text, ...args))

const TLS = 'tls { internal_rpc { ca_file = "/ca" cert_file = "/c" key_file = "/k" verify_outgoing = true } }\n'
const GATEWAYS = 'connect { enabled = true enable_mesh_gateway_wan_federation = true }\n'

test('loadConfig() fills in the defaults of Consul', () => {
  const { config, warnings } = load('')
  assert.deepEqual(warnings, ['bootstrap = true: do not enable unless necessary'])
  assert.equal(config.datacenter, 'dc1')
  assert.equal(config.primaryDatacenter, 'dc1')
  assert.equal(config.nodeName, 'host-1')
  assert.equal(config.bindAddress, '0.0.0.0')
  assert.equal(config.advertiseAddress, '10.1.2.3')
  assert.equal(config.advertiseAddressWan, '10.1.2.3')
  assert.deepEqual(config.listen.http, ['127.0.0.1'])
  assert.deepEqual(config.ports, {
    http: 8500,
    https: -1,
    dns: 8600,
    server: 8300,
    serfLan: 8301,
    serfWan: 8302,
    configured: [],
  })
  assert.equal(config.domain, 'consul')
  assert.equal(config.logLevel, 'info')
  assert.equal(config.gossipLan.probeTimeoutMs, 500)
  assert.equal(config.gossipWan.probeIntervalMs, 5000)
  assert.equal(config.limits.kvMaxValueBytes, 524_288)
  assert.equal(config.limits.httpMaxConnsPerClient, 200)
  assert.equal(config.dnsConfig.udpAnswerLimit, 3)
  assert.equal(config.leaveOnTerminate, false)
  assert.equal(config.connect.enabled, true)
  assert.equal(config.encrypt, undefined)
  assert.equal(config.sessionTtlMinMs, 10_000)
  assert.equal(config.reconnectTimeoutLanMs, 72 * 3_600_000)
})

test('loadConfig() freezes the configuration all the way down', () => {
  const { config } = load('service { name = "a" tags = ["x"] }')
  assert.throws(() => Object.assign(config.ports, { http: 1 }), TypeError)
  assert.ok(Object.isFrozen(config.services[0]))
})

test('loadConfig() merges in the order: files, -hcl, flags', () => {
  const first = file(
    'server = true\ndata_dir = "/a"\nretry_join = ["a"]\nports { http = 1 dns = 2 }\nnode_meta { a = "1" b = "1" }',
  )
  const second = file(
    '{"data_dir": "/b", "retry_join": ["b"], "ports": {"http": 3}, "node_meta": {"b": "2"}}',
    'second.json',
  )
  const args = [
    '-config-file',
    first,
    `-config-file=${second}`,
    '-hcl',
    'node_name = "h"',
    '-retry-join',
    'c',
    '--dns-port=4',
    '-node-meta',
    'c:3:4',
  ]
  const { config } = loadConfig({ args, machine })
  assert.equal(config.dataDir, '/b')
  assert.deepEqual(config.retryJoin, ['a', 'b', 'c'])
  assert.deepEqual([config.ports.http, config.ports.dns], [3, 4])
  assert.deepEqual(config.ports.configured, ['http', 'dns'])
  assert.deepEqual(config.nodeMeta, { a: '1', b: '2', c: '3:4' })
  assert.equal(config.nodeName, 'h')
})

test('loadConfig() reads a directory in lexical order and skips other files', () => {
  const directory = join(folder, 'conf.d')
  mkdirSync(join(directory, 'sub.hcl'), { recursive: true })
  writeFileSync(join(directory, 'b.json'), '{"node_name": "b"}')
  writeFileSync(join(directory, 'a.hcl'), `${MINIMAL}node_name = "a"`)
  writeFileSync(join(directory, 'notes.txt'), 'not = [configuration')
  writeFileSync(join(directory, 'empty.json'), '')
  assert.equal(loadConfig({ args: ['-config-dir', directory], machine }).config.nodeName, 'b')
})

test('loadConfig() skips a file without a known extension with a warning, or reads it with -config-format', () => {
  const odd = file('node_name = "odd"', 'odd.conf')
  const skipped = load('', '-config-file', odd)
  assert.ok(skipped.warnings.some((line) => line.startsWith(`skipping file ${odd}, extension must be .hcl or .json`)))
  assert.equal(load('', '-config-file', odd, '-config-format=hcl').config.nodeName, 'odd')
})

test('loadConfig() names file, line and the nearest key for a key that nobody knows', () => {
  const path = file(`${MINIMAL}\nretry_jion = ["a"]`)
  const thrown = fault(() => loadConfig({ args: ['-config-file', path], machine }))
  assert.equal(thrown.code, 'CONFIG_UNKNOWN_KEY')
  assert.equal(
    thrown.message,
    `Cannot use key "retry_jion" at ${path}:5: no such key, the nearest known one is "retry_join"`,
  )
  const nested = faultOf('ports {\n  htp = 1\n}')
  assert.match(nested.message, /^Cannot use key "ports\.htp" at .*:5: no such key, the nearest known one is "http"$/)
  assert.match(faultOf('zzzzzzzzzzzzqqq = 1').message, /no such key$/)
  const json = file('{\n  "server": true,\n  "data_dirr": "/d"\n}', 'bad.json')
  assert.match(fault(() => loadConfig({ args: ['-config-file', json], machine })).message, /bad\.json:3: no such key/)
})

test('loadConfig() warns with file and line about a key that Consul knows and Hanse does not use', () => {
  const path = file(`${MINIMAL}raft_boltdb {\n  no_freelist_sync = true\n}\nraft_protocol = 3`)
  const { warnings } = loadConfig({ args: ['-config-file', path], machine })
  assert.deepEqual(warnings.slice(0, 2), [
    `Key "raft_boltdb" at ${path}:4 has no effect: Consul knows it, Hanse does not use it`,
    `Key "raft_protocol" at ${path}:7 has no effect: Consul knows it, Hanse does not use it`,
  ])
})

test('loadConfig() names key, place, expected and found kind for a wrong type', () => {
  const cases: [text: string, key: string, expected: string, got: string][] = [
    ['log_json = "yes"', 'log_json', 'true or false', 'a string'],
    ['datacenter = 1', 'datacenter', 'a string', 'the number 1'],
    ['ports { http = "8500" }', 'ports.http', 'a whole number', 'a string'],
    ['ports { http = 1.5 }', 'ports.http', 'a whole number', 'the number 1.5'],
    ['retry_interval = 30', 'retry_interval', 'a duration such as "30s"', 'the number 30'],
    ['retry_interval = "30"', 'retry_interval', 'a duration such as "30s"', 'a string'],
    ['retry_join = [1]', 'retry_join', 'a list of strings', 'a list'],
    ['ports = [1]', 'ports', 'an object', 'a list'],
    ['node_meta { a = true }', 'node_meta', 'an object of strings', 'an object'],
    ['services = ["a"]', 'services', 'a list of objects', 'a list'],
    ['autopilot = 5', 'autopilot', 'an object', 'the number 5'],
  ]
  for (const [text, key, expected, got] of cases) {
    const thrown = faultOf(text)
    assert.equal(thrown.code, 'CONFIG_WRONG_TYPE', text)
    assert.match(thrown.message, /\.hcl:4: /)
    assert.deepEqual([thrown.facts['key'], thrown.facts['expected'], thrown.facts['got']], [key, expected, got])
  }
})

test('loadConfig() tells all problems at once', () => {
  const thrown = faultOf('a_b_c_d_e = 1\nlog_level = "loud"\nports { http = 99999 }')
  assert.equal(thrown.code, 'CONFIG_SEVERAL')
  assert.equal(thrown.facts['count'], 3)
  assert.match(thrown.message, /a_b_c_d_e/)
  assert.match(thrown.message, /"loud" is none of trace/)
  assert.match(thrown.message, /99999 is no port/)
})

test('loadConfig() takes one string for a list, a block for a list of objects, and keys in any case', () => {
  const { config } = load('retry_join = "a"\nService { Name = "w" EnableTagOverride = true }\nDatacenter = "DC9"')
  assert.deepEqual(config.retryJoin, ['a'])
  assert.deepEqual(config.services, [{ Name: 'w', EnableTagOverride: true }])
  assert.equal(config.datacenter, 'dc9')
})

test('loadConfig() gives services and checks as bodies of the agent API', () => {
  const { config } = load(`
service {
  id = "w1" name = "web" port = 80 tags = ["v1"]
  meta { some_key = "v" }
  tagged_addresses { wan { address = "1.2.3.4" port = 443 } }
  weights { passing = 10 }
  check { id = "c" http = "http://x/health" interval = "10s" tls_skip_verify = true header { x_y = ["a"] } }
  connect { sidecar_service { proxy { upstreams = [{ destination_name = "db" local_bind_port = 5000 }] config { some_opt = 1 } } } }
}
services = [{ name = "gw", kind = "mesh-gateway", checks = [{ name = "t", ttl = "30s" }] }]
check { name = "node" tcp = "h:1" interval = "5s" deregister_critical_service_after = "90m" }`)
  assert.deepEqual(config.services, [
    {
      ID: 'w1',
      Name: 'web',
      Port: 80,
      Tags: ['v1'],
      Meta: { some_key: 'v' },
      TaggedAddresses: { wan: { Address: '1.2.3.4', Port: 443 } },
      Weights: { Passing: 10 },
      Check: { CheckID: 'c', HTTP: 'http://x/health', Interval: '10s', TLSSkipVerify: true, Header: { x_y: ['a'] } },
      Connect: {
        SidecarService: {
          Proxy: { Upstreams: [{ DestinationName: 'db', LocalBindPort: 5000 }], Config: { some_opt: 1 } },
        },
      },
    },
    { Name: 'gw', Kind: 'mesh-gateway', Checks: [{ Name: 't', TTL: '30s' }] },
  ])
  assert.deepEqual(config.checks, [{ Name: 'node', TCP: 'h:1', Interval: '5s', DeregisterCriticalServiceAfter: '90m' }])
})

test('the bodies of services and checks fit the shapes of the agent API', () => {
  const { config } = load(`
service {
  id = "w1" name = "web" port = 80 tags = ["v1"] kind = "connect-proxy" enable_tag_override = true socket_path = "/s"
  meta { some_key = "v" }
  tagged_addresses { wan { address = "1.2.3.4" port = 443 } }
  weights { passing = 10 warning = 1 }
  locality { region = "r" zone = "z" }
  checks = [{ check_id = "c", http = "http://x/", method = "GET", body = "b", interval = "10s", timeout = "1s", output_max_size = 5,
    tls_server_name = "n", disable_redirects = true, success_before_passing = 1, failures_before_warning = 1,
    failures_before_critical = 2, status = "passing", notes = "n", alias_node = "a", alias_service = "b", h2ping = "x",
    h2ping_use_tls = true, args = ["a"], grpc = "g", grpc_use_tls = true, os_service = "o", tcp_use_tls = true }]
  proxy {
    destination_service_name = "db" destination_service_id = "db1" local_service_address = "127.0.0.1" local_service_port = 1
    mode = "transparent" mutual_tls_mode = "strict" mesh_gateway { mode = "local" }
    transparent_proxy { outbound_listener_port = 15001 dialed_directly = true }
    expose { checks = true paths = [{ path = "/m" listener_port = 1 local_path_port = 2 protocol = "http" }] }
    access_logs { enabled = true json_format = "j" type = "file" path = "/l" disable_listener_logs = true text_format = "t" }
    upstreams = [{ destination_name = "x" destination_type = "service" datacenter = "dc2" local_bind_address = "127.0.0.1" local_bind_port = 2 mesh_gateway { mode = "remote" } config { a = 1 } }]
  }
  connect { native = true sidecar_service { port = 20000 } }
}
check { id = "n" name = "node" ttl = "30s" service_id = "w1" token = "t" }`)
  const [service] = config.services
  const [check] = config.checks
  assert.equal(
    AgentServiceDefinition.fromJson(service, '', { unknownKeys: 'refuse' }).Proxy?.Upstreams?.[0]?.LocalBindPort,
    2,
  )
  assert.equal(AgentServiceDefinition.fromJson(service, '', { unknownKeys: 'refuse' }).Checks?.[0]?.CheckID, 'c')
  assert.equal(AgentCheckDefinition.fromJson(check, '', { unknownKeys: 'refuse' }).CheckID, 'n')
})

test('loadConfig() refuses services without name, with a bad port or the same id twice', () => {
  assert.match(faultOf('service { port = 1 }').message, /"service" at .*:4: it has no name/)
  assert.match(faultOf('service { name = "a" port = 70000 }').message, /port 70000 of service "a" is not 0 to 65535/)
  assert.match(faultOf('service { name = "a" }\nservice { name = "a" }').message, /service "a" was defined at .*:4/)
  assert.match(faultOf('check { ttl = "1s" }').message, /neither name nor id/)
})

test('loadConfig() applies -dev and lets files and flags override it', () => {
  const { config, warnings } = loadConfig({ args: ['-dev', '-log-level=warn', '-http-port=0'], machine })
  assert.equal(config.dev, true)
  assert.equal(config.server, true)
  assert.equal(config.bootstrap, true)
  assert.equal(config.dataDir, '')
  assert.equal(config.advertiseAddress, '127.0.0.1')
  assert.equal(config.logLevel, 'warn')
  assert.equal(config.ports.http, 0)
  assert.deepEqual(config.ports.configured, ['http'])
  assert.deepEqual(warnings, [])
})

test('loadConfig() says what validate prints for one expected server', () => {
  const path = file('{"server": true, "data_dir": "/d", "bootstrap_expect": 1}', 'd1.json')
  const { config, warnings } = loadConfig({ paths: [path], machine })
  assert.deepEqual(warnings, [
    'BootstrapExpect is set to 1; this is the same as Bootstrap mode.',
    'bootstrap = true: do not enable unless necessary',
  ])
  assert.equal(config.bootstrap, true)
  assert.equal(config.bootstrapExpect, 0)
})

test('loadConfig() resolves address forms and refuses others', () => {
  assert.equal(load('bind_addr = "{{ GetInterfaceIP \\"eth1\\" }}"').config.bindAddress, '10.1.2.3')
  assert.equal(load('advertise_addr = "{{ GetPublicIP }}"').config.advertiseAddress, '203.0.113.5')
  assert.deepEqual(load('client_addr = "127.0.0.1 {{ GetPrivateIP }}"').config.listen.dns, ['127.0.0.1', '10.1.2.3'])
  assert.match(faultOf('bind_addr = "{{ GetAllInterfaces | sort }}"').message, /expected an IP address/)
  assert.match(faultOf('bind_addr = "{{ GetNothing }}"').message, /is not understood/)
  assert.match(faultOf('bind_addr = "{{ GetInterfaceIP \\"eth9\\" }}"').message, /no address of this machine fits/)
  assert.match(
    faultOf('addresses { http = "unix:///x" }').message,
    /"addresses\.http" at .*:4: expected an IP address, got "unix:\/\/\/x"/,
  )
})

test('loadConfig() refuses ports that meet and takes them on different addresses', () => {
  assert.match(
    faultOf('ports { http = 8300 }\nclient_addr = "0.0.0.0"').message,
    /port 8300 is already that of "ports.http"/,
  )
  assert.match(
    faultOf('ports { dns = 8500 }').message,
    /"ports\.dns" at .*:4: port 8500 is already that of "ports\.http"/,
  )
  assert.equal(load('ports { dns = 53 server = 53 }\nbind_addr = "10.1.2.3"').config.ports.server, 53)
  assert.match(faultOf('ports { http = -2 }').message, /-2 is no port/)
})

const SUITES = ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA']

test('loadConfig() merges TLS of interface, defaults and old keys', () => {
  const { tls } = load(`
ca_file = "/old-ca"
verify_incoming_rpc = true
tls_min_version = "tls13"
tls {
  defaults { cert_file = "/d-cert" verify_outgoing = false }
  internal_rpc { key_file = "/rpc-key" verify_server_hostname = true tls_cipher_suites = "${SUITES.join(', ')}" }
  https { ca_file = "/https-ca" tls_min_version = "TLSv1_2" }
}`).config
  assert.deepEqual(tls.internalRpc, {
    caFile: '/old-ca',
    caPath: '',
    certFile: '/d-cert',
    keyFile: '/rpc-key',
    verifyIncoming: true,
    verifyOutgoing: true,
    verifyServerHostname: true,
    minVersion: 'TLSv1.3',
    cipherSuites: SUITES,
  })
  assert.equal(tls.https.caFile, '/https-ca')
  assert.equal(tls.https.verifyIncoming, false)
  assert.equal(tls.https.minVersion, 'TLSv1.2')
  assert.equal(load('tls { https { verify_incoming = true } }').config.tls.https.verifyIncoming, true, 'no HTTPS port')
})

test('loadConfig() holds the rules of federation through gateways', () => {
  const secondary = `datacenter = "dc2"\nprimary_datacenter = "dc1"\nprimary_gateways = ["1.2.3.4:8443"]\n${GATEWAYS}`
  assert.deepEqual(load(secondary + TLS).config.primaryGateways, ['1.2.3.4:8443'])
  const cases: [text: string, message: RegExp][] = [
    [`${GATEWAYS}${TLS}primary_gateways = ["1.2.3.4:8443"]`, /datacenter "dc1" is the primary/],
    [
      `${secondary}${TLS}retry_join_wan = ["x"]`,
      /"retry_join_wan" and "connect.enable_mesh_gateway_wan_federation": they exclude each other/,
    ],
    [`${secondary}${TLS}node_name = "a.b"`, /"a\.b" may not have a "\."/],
    [`${secondary}${TLS}ports { serf_wan = -1 }`, /the WAN pool is off/],
    [`${secondary}${TLS.replace('ca_file', 'cert_file')}`, /"tls\.internal_rpc\.ca_file" is empty/],
    [`${secondary}${TLS.replace('verify_outgoing = true', '')}`, /verify_outgoing" is false/],
    [`${secondary.replace('enabled = true', 'enabled = false')}${TLS}`, /needs "connect\.enabled"/],
    [`${secondary}${TLS}primary_gateways = ["host-without-port"]`, /"host-without-port" is not host:port/],
    [`${secondary}${TLS}primary_gateways = ["provider=aws tag_key=x"]`, /discovery by a cloud provider/],
    ['node_name = "a/b"', /"a\/b" may not have a "\/"/],
  ]
  for (const [text, message] of cases) assert.match(faultOf(text).message, message)
  const lonely = load(`datacenter = "dc2"\nprimary_datacenter = "dc1"\n${GATEWAYS}${TLS}`)
  assert.ok(lonely.warnings.some((line) => line.includes('cannot find its primary "dc1"')))
})

test('loadConfig() refuses a wrong gossip key and never shows it', () => {
  const secret = 'c2VjcmV0LWtleQ=='
  const cases: [key: string, message: RegExp][] = [
    [secret, /the gossip key has 10 bytes, expected 16, 24 or 32/],
    ['not base64!', /is not base64/],
    ['c2VjcmV0LWtleQ', /is not base64/],
  ]
  for (const [key, message] of cases) {
    const thrown = faultOf(`encrypt = "${key}"`)
    assert.match(thrown.message, message)
    assert.ok(!JSON.stringify([thrown.message, thrown.facts]).includes(key))
  }
  const good = Buffer.alloc(32, 7).toString('base64')
  const { config, warnings } = load('', '-encrypt', good)
  assert.equal(config.encrypt, good)
  assert.ok(warnings.some((line) => line.includes('every user of the machine can read')))
})

test('loadConfig() refuses what cannot be run', () => {
  const client = fault(() => loadConfig({ args: ['-data-dir=/d'], machine }))
  assert.equal(client.code, 'CONFIG_CLIENT_UNSUPPORTED')
  assert.equal(load('acl { enabled = true }').config.acl.enabled, true)
  const tokens = load('acl { enabled = true tokens { master = "x" agent = "secret" } }')
  assert.equal(tokens.config.acl.tokens['master'], 'x')
  const said = tokens.warnings.filter((line) => line.includes('acl.tokens'))
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /^Key "acl\.tokens\.agent" at \S+ has no effect: Consul knows it, Hanse does not use it$/)
  assert.match(fault(() => loadConfig({ args: ['-server'], machine })).message, /"data_dir": it is empty/)
  const cases: [text: string, message: RegExp][] = [
    ['datacenter = "a b"', /"a b" may only have a-z, 0-9, - and _/],
    ['bootstrap_expect = 3', /"bootstrap" and "bootstrap_expect": they exclude each other/],
    ['node_id = "x"', /"x" is not a UUID/],
    ['node_meta { consul-x = "1" }', /prefix consul- is reserved/],
    ['recursors = ["dns.example"]', /is not an IP address/],
    ['http_config { allow_write_http_from = ["10.0.0.0/33"] }', /is not a network/],
    ['domain = "a..b"', /is not a DNS domain/],
    ['gossip_lan { probe_interval = "0s" }', /"gossip_lan\.probe_interval" at .*: it must be above 0/],
    ['retry_interval = "1ms"', /below 10ms/],
    ['default_query_time = "700s"', /not above max_query_time/],
    ['session_ttl_min = "0s"', /"session_ttl_min" at .*: it must be above 0 and not above 24h/],
    ['session_ttl_min = "25h"', /not above 24h, the longest TTL/],
    ['limits { kv_max_value_size = 0 }', /0 is below 1/],
    [
      'tls_cipher_suites = "RC4"',
      /"tls_cipher_suites" at .*: "RC4" is no cipher suite of TLS 1.2 that is known: TLS_ECDHE_/,
    ],
    [
      'tls { https { tls_cipher_suites = "toString" } }',
      /"tls.https.tls_cipher_suites" at .*: "toString" is no cipher/,
    ],
    [
      'tls { internal_rpc { verify_incoming = true } }',
      /"tls.internal_rpc.verify_incoming": there is no CA to verify by: set "tls.internal_rpc.ca_file"/,
    ],
    ['tls { https { verify_incoming = true } }\nports { https = 8501 }', /"tls.https.verify_incoming": there is no CA/],
    ['tls { defaults { tls_min_version = "SSLv3" } }', /"SSLv3" is none of TLSv1_2/],
  ]
  for (const [text, message] of cases) assert.match(faultOf(text).message, message)
})

test('loadConfig() names a file that cannot be read and a text that cannot be parsed', () => {
  const missing = fault(() => loadConfig({ args: ['-config-file', '/nope.hcl'], machine }))
  assert.equal(missing.message, 'Cannot read configuration "/nope.hcl": no such file or directory')
  assert.equal(faultOf('a = = 1').code, 'HCL_SYNTAX')
  const list = file('[]', 'list.json')
  assert.match(fault(() => loadConfig({ args: ['-config-file', list], machine })).message, /expected a JSON object/)
})

test('loadConfig() takes the files that the Kubernetes chart writes', () => {
  const server = file(
    JSON.stringify({
      bind_addr: '0.0.0.0',
      bootstrap_expect: 1,
      client_addr: '0.0.0.0',
      connect: { enabled: true },
      datacenter: 'dc1',
      data_dir: '/consul/data',
      domain: 'consul',
      limits: { request_limits: { mode: 'disabled', read_rate: -1, write_rate: -1 } },
      ports: { grpc: -1, grpc_tls: 8502, serf_lan: 8301 },
      recursors: [],
      retry_join: ['consul-server.default.svc:8301'],
      server: true,
      leave_on_terminate: true,
      autopilot: { min_quorum: 1, disable_upgrade_migration: true },
      ui_config: { enabled: true, metrics_provider: 'prometheus', metrics_proxy: { base_url: 'http://x' } },
      enable_central_service_config: true,
      tls: {
        defaults: { verify_outgoing: true, ca_file: '/ca', cert_file: '/c', key_file: '/k' },
        internal_rpc: { verify_incoming: true, verify_server_hostname: true },
      },
      auto_reload_config: true,
      peering: { enabled: false },
    }),
    'server.json',
  )
  const { config } = loadConfig({ args: ['-config-file', server], machine })
  assert.equal(config.tls.internalRpc.verifyServerHostname, true)
})

test('readServiceFiles() reads services of HCL and JSON and nothing else', () => {
  const hcl = file('service { name = "a" port = 1 }')
  const json = file('{"services": [{"Name": "b", "Port": 2}]}', 'services.json')
  assert.deepEqual(readServiceFiles([hcl, json]).services, [
    { Name: 'a', Port: 1 },
    { Name: 'b', Port: 2 },
  ])
  const agent = file('datacenter = "x"')
  assert.equal(fault(() => readServiceFiles([agent])).code, 'CONFIG_UNKNOWN_KEY')
  assert.equal(fault(() => readServiceFiles([join(folder, 'nope.hcl')])).code, 'CONFIG_FILE_UNREADABLE')
})

test('docs/configuration.md is what the key table says', async () => {
  const { renderConfigurationReference } = await import('./config-reference.ts')
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  assert.equal(written, renderConfigurationReference())
})

test('the examples of docs/configuration.md load without a problem', async () => {
  const { renderConfigurationReference } = await import('./config-reference.ts')
  const blocks = [...renderConfigurationReference().matchAll(/```hcl\n(.*?)```/gs)].map((match) => match[1] ?? '')
  assert.equal(blocks.length, 2)
  for (const block of blocks) {
    const key = Buffer.alloc(32, 1).toString('base64')
    const path = file(block.replace('<output of hanse keygen>', key))
    const { config } = loadConfig({ args: ['-config-file', path], machine })
    assert.equal(config.connect.enableMeshGatewayWanFederation, true)
  }
})
