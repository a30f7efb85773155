/**
 * The parts of the configuration: key table, flags, names, reload; random configurations.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { loadConfig } from './config.ts'
import { bodyKey } from './config-definitions.ts'
import { AGENT_FLAGS, parseAgentFlags } from './config-flags.ts'
import { CONFIG_KEYS } from './config-keys.ts'
import { CHECK_KEYS, SERVICE_KEYS } from './config-keys-definitions.ts'
import { reloadable } from './config-reload.ts'
import { type KeyTable, nearestKey } from './config-spec.ts'

const machine = { hostname: () => 'n', addresses: () => [] }
const dev = (...args: string[]) => loadConfig({ args: ['-dev', ...args], machine }).config

test('CONFIG_KEYS has the keys of Consul and a meaning for each that is used', () => {
  assert.ok(Object.keys(CONFIG_KEYS).length >= 137, String(Object.keys(CONFIG_KEYS).length))
  const visit = (table: KeyTable, path: string): void => {
    for (const [key, spec] of Object.entries(table)) {
      if (spec.status === 'used') assert.ok(spec.about, `${path}${key}`)
      if (spec.kind.startsWith('object')) assert.ok(spec.keys, `${path}${key} has keys`)
      visit(spec.keys ?? {}, `${path}${key}.`)
    }
  }
  visit(CONFIG_KEYS, '')
})

test('AGENT_FLAGS all set keys of the table', () => {
  for (const [flag, { key }] of Object.entries(AGENT_FLAGS)) {
    let table: KeyTable | undefined = CONFIG_KEYS
    for (const part of key) {
      const spec: KeyTable[string] | undefined = table?.[part]
      assert.ok(spec, `-${flag} sets ${key.join('.')}`)
      table = spec.keys
    }
  }
})

test('nearestKey() finds misspellings and nothing far away', () => {
  assert.equal(nearestKey(CONFIG_KEYS, 'data_dri'), 'data_dir')
  assert.equal(nearestKey(CONFIG_KEYS, 'retryjoin'), 'retry_join')
  assert.equal(nearestKey(CONFIG_KEYS, 'Bind_Adr'), 'bind_addr')
  assert.equal(nearestKey(CONFIG_KEYS, 'qqqqqqqqqq'), undefined)
  assert.equal(nearestKey(CONFIG_KEYS, 'x'.repeat(100_000)), undefined)
})

test('bodyKey() writes names as in bodies of the agent API', () => {
  assert.deepEqual(
    [
      'id',
      'enable_tag_override',
      'tls_server_name',
      'tcp_use_tls',
      'grpc_use_tls',
      'h2ping',
      'os_service',
      'ttl',
      'check_id',
      'namespace',
    ].map(bodyKey),
    [
      'ID',
      'EnableTagOverride',
      'TLSServerName',
      'TCPUseTLS',
      'GRPCUseTLS',
      'H2PING',
      'OSService',
      'TTL',
      'CheckID',
      undefined,
    ],
  )
  for (const key of [...Object.keys(SERVICE_KEYS), ...Object.keys(CHECK_KEYS)]) {
    assert.ok(bodyKey(key) === undefined || /^[A-Z]/.test(bodyKey(key) ?? ''), key)
  }
})

test('parseAgentFlags() reads flags as Go does', () => {
  const flags = parseAgentFlags([
    '-server',
    '-ui=false',
    '--node',
    'n',
    '-config-dir=a',
    '-config-file',
    'b',
    '-hcl',
    'x = 1',
    '-bootstrap-expect=3',
    '-dev',
  ])
  assert.deepEqual(flags.sources, [
    { type: 'directory', path: 'a' },
    { type: 'file', path: 'b' },
  ])
  assert.deepEqual(
    flags.settings.map(({ value }) => value),
    [{ server: true }, { ui_config: { enabled: false } }, { node_name: 'n' }, { bootstrap_expect: 3 }],
  )
  assert.equal(flags.dev, true)
  assert.equal(flags.fragments.length, 1)
})

test('parseAgentFlags() names the flag that it cannot use', () => {
  const cases: [args: string[], message: RegExp][] = [
    [['-nope'], /Cannot use flag "-nope": no such flag/],
    [['-node'], /"-node": its value is missing/],
    [['-server=maybe'], /"-server": expected true or false, got "maybe"/],
    [['-http-port=x'], /"-http-port": expected a whole number, got "x"/],
    [['agent.hcl'], /expected a flag/],
    [['-config-format=yaml'], /expected json or hcl/],
    [['-constructor=1'], /no such flag/],
  ]
  for (const [args, message] of cases) {
    assert.throws(
      () => parseAgentFlags(args),
      (thrown) => thrown instanceof HanseError && thrown.code === 'CONFIG_FLAG' && message.test(thrown.message),
      args.join(' '),
    )
  }
})

test('a wrong value of a flag names the flag as its place', () => {
  assert.throws(
    () => dev('-retry-interval=5'),
    /Cannot use key "retry_interval" at flag -retry-interval: expected a duration/,
  )
  assert.throws(() => dev('-http-port=70000'), /"ports.http" at flag -http-port: 70000 is no port/)
})

test('reloadable() tells what takes effect now from what waits for a restart', () => {
  assert.deepEqual(reloadable(dev(), dev()), { apply: [], restart: [] })
  const changed = dev(
    '-log-level=error',
    '-datacenter=dc5',
    '-hcl',
    'service { name = "a" }',
    '-hcl',
    'limits { http_max_conns_per_client = 5 kv_max_value_size = 6 } node_meta { a = "b" } discard_check_output = true',
  )
  const plan = reloadable(dev(), changed)
  assert.deepEqual([...plan.apply].sort(), ['discardCheckOutput', 'logLevel', 'services'])
  assert.deepEqual([...plan.restart].sort(), [
    'datacenter',
    'limits.httpMaxConnsPerClient',
    'limits.kvMaxValueBytes',
    'nodeMeta',
    'primaryDatacenter',
  ])
})

test('reloadable() names a certificate that would open or close the HTTPS port, which a start does', () => {
  const pair = (name: string) => `tls { https { cert_file = "/${name}" key_file = "/${name}-key" } }`
  const https = (...more: string[]) => dev('-https-port=8501', ...more.flatMap((text) => ['-hcl', text]))
  const changed = { apply: ['tls'], restart: ['tls.https.certFile'] }
  assert.deepEqual(reloadable(https(), https(pair('a'))), changed)
  assert.deepEqual(reloadable(https(pair('a')), https()), changed)
  assert.deepEqual(reloadable(https(pair('a')), https(pair('b'))), { apply: ['tls'], restart: [] })
  assert.deepEqual(reloadable(dev(), dev('-hcl', pair('a'))), { apply: ['tls'], restart: [] }, 'there is no such port')
})

test('every field that reloads has a key that says so', () => {
  const says = (key: string) =>
    CONFIG_KEYS[key]?.reload ?? Object.values(CONFIG_KEYS[key]?.keys ?? {}).some((spec) => spec.reload)
  for (const key of ['recursors', 'dns_config', 'log_level', 'services', 'checks', 'watches', 'ca_file']) {
    assert.ok(says(key), key)
  }
})

test('loadConfig() fuzz: random keys and values of random kinds only ever give coded errors', () => {
  const random = seededRandom(5)
  const keys = [...Object.keys(CONFIG_KEYS), 'x', '__proto__', 'constructor', 'http', 'enabled', 'name', 'defaults']
  const pick = (list: readonly string[]) => list[random.int(list.length)] ?? ''
  const value = (depth: number): string => {
    switch (random.int(depth > 3 ? 5 : 7)) {
      case 0:
        return String(random.int(100_000) - 50)
      case 1:
        return pick(['true', 'false'])
      case 2:
        return JSON.stringify(pick(['', 'a', '5s', '10.0.0.1', 'x/y', '{{ GetPrivateIP }}', 'provider=x', '\u0000é']))
      case 3:
        return '[]'
      case 4:
        return '1.5'
      case 5:
        return `[${value(depth + 1)}, ${value(depth + 1)}]`
      default:
        return `{ ${pick(keys)} = ${value(depth + 1)}, ${pick(keys)} = ${value(depth + 1)} }`
    }
  }
  for (let round = 0; round < 1500; round++) {
    const text = Array.from({ length: 1 + random.int(6) }, () => `${pick(keys)} = ${value(0)}`).join('\n')
    try {
      loadConfig({ args: ['-dev', '-hcl', text], machine })
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && /^(CONFIG_|HCL_)/.test(thrown.code), `${text}: ${thrown}`)
    }
  }
})
