/**
 * The rules of the configuration: what a value must be, and which keys need or forbid each other.
 *
 * Everything that can be said before a socket or file is opened is said here, all at once.
 *
 * Source: the public configuration reference; federation notes §1 for the rules of federation through gateways.
 */
import { isIP } from 'node:net'
import { parseHostPort, parseLogLevel } from '#base'
import { session } from '#endpoints'
import { validateStore } from './config-build-store.ts'
import { MIN_VERSIONS, validateTls } from './config-build-tls.ts'
import { type ConfigProblems, configError } from './config-errors.ts'
import type { TreeReader } from './config-read.ts'
import type { RuntimeConfig } from './config-runtime.ts'

/** Lengths of gossip keys, in bytes. */
export const GOSSIP_KEY_BYTES: readonly number[] = [16, 24, 32]
/** Limits of node metadata. */
export const MAX_META_PAIRS = 64
export const MAX_META_KEY_CHARACTERS = 128
export const MAX_META_VALUE_CHARACTERS = 512

interface Rules {
  readonly config: RuntimeConfig
  readonly reader: TreeReader
  readonly problems: ConfigProblems
  readonly warnings: string[]
}

/** Checks a built configuration against its rules; faults go to `problems`, remarks to `warnings`. */
export function validateConfig(rules: Rules): void {
  validateIdentity(rules)
  validateBootstrap(rules)
  validateGossip(rules)
  validateStore(rules.reader, rules.config.dev, rules.reader.number('bootstrap_expect', 0), (setting, reason) =>
    invalid(rules, setting, reason),
  )
  validateFederation(rules)
  validateTls(rules.config, rules.reader, {
    invalid: (key, problem) => invalid(rules, key, problem),
    conflict: (keys, problem) => conflict(rules, keys, problem),
  })
  validateAddressLists(rules)
  validateValues(rules)
  validateWatches(rules)
}

function invalid({ reader, problems }: Rules, key: string, problem: string): void {
  problems.add(configError('CONFIG_INVALID_VALUE', { key, place: reader.place(key), problem }))
}

function conflict({ problems }: Rules, keys: string, problem: string): void {
  problems.add(configError('CONFIG_CONFLICT', { keys, problem }))
}

function validateIdentity(rules: Rules): void {
  const { config, reader, problems, warnings } = rules
  for (const [key, name] of [
    ['datacenter', config.datacenter],
    ['primary_datacenter', config.primaryDatacenter],
  ] as const) {
    if (!/^[a-z0-9_-]{1,64}$/.test(name)) invalid(rules, key, `"${name}" may only have a-z, 0-9, - and _, at most 64`)
  }
  if (config.nodeName === '') invalid(rules, 'node_name', 'it is empty')
  if (config.nodeName.length > 128) invalid(rules, 'node_name', 'it is longer than 128 characters')
  if (!/^[A-Za-z0-9-]+$/.test(config.nodeName)) {
    warnings.push(
      `Node name "${config.nodeName}" will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.`,
    )
  }
  if (config.nodeId !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(config.nodeId)) {
    invalid(rules, 'node_id', `"${config.nodeId}" is not a UUID`)
  }
  validateMeta(rules)
  if (config.dataDir === '' && !config.dev) {
    conflict(rules, '"data_dir"', 'it is empty; give a directory for state with data_dir or -data-dir')
  }
  if (!config.server) problems.add(configError('CONFIG_CLIENT_UNSUPPORTED', { place: reader.place('server') }))
  for (const key of ['domain', 'alt_domain'] as const) {
    const domain = key === 'domain' ? config.domain : config.altDomain
    if (key === 'domain' && domain === '') invalid(rules, key, 'it is empty')
    if (domain !== '' && !/^[a-z0-9_]([a-z0-9_-]*)(\.[a-z0-9_][a-z0-9_-]*)*$/.test(domain)) {
      invalid(rules, key, `"${domain}" is not a DNS domain`)
    }
  }
}

function validateMeta(rules: Rules): void {
  const pairs = Object.entries(rules.config.nodeMeta)
  if (pairs.length > MAX_META_PAIRS)
    invalid(rules, 'node_meta', `${pairs.length} pairs, the limit is ${MAX_META_PAIRS}`)
  for (const [key, value] of pairs) {
    if (!/^[A-Za-z0-9_-]+$/.test(key))
      invalid(rules, 'node_meta', `key "${key}" may only have letters, digits, - and _`)
    if (key.startsWith('consul-')) invalid(rules, 'node_meta', `key "${key}": the prefix consul- is reserved`)
    if (key.length > MAX_META_KEY_CHARACTERS || value.length > MAX_META_VALUE_CHARACTERS) {
      const limits = `${MAX_META_KEY_CHARACTERS} characters, values ${MAX_META_VALUE_CHARACTERS}`
      invalid(rules, 'node_meta', `pair "${key}" is too long: keys may have ${limits}`)
    }
  }
}

function validateBootstrap(rules: Rules): void {
  const { config, reader, warnings } = rules
  const expect = reader.number('bootstrap_expect', 0)
  if (expect < 0) invalid(rules, 'bootstrap_expect', `${expect} is negative`)
  if (expect > 0 && reader.bool('bootstrap', false)) {
    conflict(rules, '"bootstrap" and "bootstrap_expect"', 'they exclude each other')
    return
  }
  if (config.dev && expect > 0) conflict(rules, '"-dev" and "bootstrap_expect"', 'they exclude each other')
  if (expect === 1) warnings.push('BootstrapExpect is set to 1; this is the same as Bootstrap mode.')
  if (config.bootstrap && !config.dev) warnings.push('bootstrap = true: do not enable unless necessary')
  if (expect === 2) {
    warnings.push('bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance.')
  } else if (expect > 2) {
    if (expect % 2 === 0) {
      warnings.push(
        'bootstrap_expect is even number: A cluster with an even number of servers does not achieve optimum fault tolerance.',
      )
    }
    warnings.push(`bootstrap_expect > 0: expecting ${expect} servers`)
  }
}

function validateGossip(rules: Rules): void {
  const { config } = rules
  if (config.encrypt !== undefined) {
    // The key itself is a secret and stays out of every message.
    const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(config.encrypt) && config.encrypt.length % 4 === 0
    const length = Buffer.from(config.encrypt, 'base64').length
    if (!isBase64) invalid(rules, 'encrypt', 'the gossip key is not base64; `hanse keygen` makes one')
    else if (!GOSSIP_KEY_BYTES.includes(length)) {
      invalid(rules, 'encrypt', `the gossip key has ${length} bytes, expected 16, 24 or 32; \`hanse keygen\` makes one`)
    }
    if (rules.reader.place('encrypt') === 'flag -encrypt') {
      rules.warnings.push(
        'The gossip key was given as an argument, which every user of the machine can read: set "encrypt" in a file',
      )
    }
  }
  for (const [key, pool] of [
    ['gossip_lan', config.gossipLan],
    ['gossip_wan', config.gossipWan],
  ] as const) {
    for (const [name, value] of Object.entries(pool)) {
      if (value <= 0) invalid(rules, `${key}.${snake(name)}`, 'it must be above 0')
    }
  }
}

function snake(name: string): string {
  return name.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function validateFederation(rules: Rules): void {
  const { config, warnings } = rules
  const isPrimary = config.datacenter === config.primaryDatacenter
  const throughGateways = config.connect.enableMeshGatewayWanFederation
  const flag = '"connect.enable_mesh_gateway_wan_federation"'
  if (isPrimary && config.primaryGateways.length > 0) {
    conflict(
      rules,
      '"primary_gateways"',
      `datacenter "${config.datacenter}" is the primary; only a secondary names gateways of the primary`,
    )
  }
  if (config.nodeName.includes('/')) invalid(rules, 'node_name', `"${config.nodeName}" may not have a "/"`)
  if (!throughGateways) {
    if (config.primaryGateways.length > 0)
      warnings.push(`"primary_gateways" has no effect without ${flag.replaceAll('"', '')}`)
    return
  }
  if (!config.server) conflict(rules, flag, 'it needs "server" to be true')
  if (!config.connect.enabled) conflict(rules, flag, 'it needs "connect.enabled" to be true')
  if (rules.reader.strings('retry_join_wan').length > 0) {
    conflict(
      rules,
      `"retry_join_wan" and ${flag}`,
      'they exclude each other; a secondary names gateways in "primary_gateways"',
    )
  }
  if (config.nodeName.includes('.')) {
    invalid(
      rules,
      'node_name',
      `"${config.nodeName}" may not have a "." when ${flag.replaceAll('"', '')} is set: gateways route by it`,
    )
  }
  if (config.ports.serfWan === -1) conflict(rules, `"ports.serf_wan" and ${flag}`, 'the WAN pool is off')
  if (!isPrimary && config.primaryGateways.length === 0) {
    warnings.push(
      `"primary_gateways" is empty: datacenter "${config.datacenter}" cannot find its primary "${config.primaryDatacenter}"`,
    )
  }
  const tls = config.tls.internalRpc
  if (tls.caFile === '' && tls.caPath === '')
    conflict(rules, flag, 'it needs TLS between servers: "tls.internal_rpc.ca_file" is empty')
  if (tls.certFile === '') conflict(rules, flag, 'it needs TLS between servers: "tls.internal_rpc.cert_file" is empty')
  if (tls.keyFile === '') conflict(rules, flag, 'it needs TLS between servers: "tls.internal_rpc.key_file" is empty')
  if (!tls.verifyOutgoing)
    conflict(rules, flag, 'it needs TLS between servers: "tls.internal_rpc.verify_outgoing" is false')
}

function validateAddressLists(rules: Rules): void {
  const { config } = rules
  const joins = { start_join: config.startJoin, retry_join: config.retryJoin }
  for (const [key, list] of Object.entries({ ...joins, primary_gateways: config.primaryGateways })) {
    for (const entry of list) {
      if (/(^|\s)provider=/.test(entry))
        invalid(rules, key, `"${entry.slice(0, 60)}": discovery by a cloud provider is not built in; give addresses`)
      else if (!parseHostPort(entry, key === 'primary_gateways' ? undefined : 0)) {
        invalid(rules, key, `"${entry}" is not host:port`)
      }
    }
  }
  for (const recursor of config.recursors) {
    if (!isIP(parseHostPort(recursor, 53)?.host ?? ''))
      invalid(rules, 'recursors', `"${recursor}" is not an IP address with or without port`)
  }
  for (const cidr of config.httpConfig.allowWriteHttpFrom) {
    if (!isCidr(cidr))
      invalid(rules, 'http_config.allow_write_http_from', `"${cidr}" is not a network such as 10.0.0.0/8`)
  }
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/')
  const family = isIP(address)
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}

function validateWatches(rules: Rules): void {
  const { ports, watches } = rules.config
  if (watches.length === 0 || ports.http >= 0 || ports.https >= 0) return
  conflict(rules, '"watches"', 'they ask this agent over HTTP, and "ports.http" and "ports.https" are off')
}

const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  'acl.default_policy': ['allow', 'deny'],
  'acl.down_policy': ['allow', 'deny', 'extend-cache', 'async-cache'],
  'dns_config.recursor_strategy': ['sequential', 'random'],
  tls_min_version: MIN_VERSIONS,
  'tls.defaults.tls_min_version': MIN_VERSIONS,
  'tls.internal_rpc.tls_min_version': MIN_VERSIONS,
  'tls.https.tls_min_version': MIN_VERSIONS,
}

const AT_LEAST: Readonly<Record<string, number>> = {
  'limits.http_max_conns_per_client': 1,
  'limits.rpc_max_conns_per_client': 1,
  'limits.kv_max_value_size': 1,
  'limits.txn_max_req_len': 1,
  'dns_config.udp_answer_limit': 1,
  'dns_config.a_record_limit': 0,
  'dns_config.soa.refresh': 0,
  'dns_config.soa.retry': 0,
  'dns_config.soa.expire': 0,
  'dns_config.soa.min_ttl': 0,
  'http_config.max_header_bytes': 0,
  check_output_max_size: 1,
  retry_max: 0,
}

/** Intervals of loops: below this they would spin. */
const MIN_INTERVAL_MS = 10
const INTERVALS = ['retry_interval'] as const

function validateValues(rules: Rules): void {
  const { config, reader } = rules
  const level = reader.string('log_level')
  if (level !== undefined && !parseLogLevel(level)) {
    invalid(rules, 'log_level', `"${level}" is none of trace, debug, info, warn, error`)
  }
  for (const [key, choices] of Object.entries(ONE_OF)) {
    const value = reader.string(key)
    if (value !== undefined && !choices.includes(value)) {
      invalid(rules, key, `"${value}" is none of ${choices.filter((choice) => choice !== '').join(', ')}`)
    }
  }
  for (const [key, least] of Object.entries(AT_LEAST)) {
    const value = reader.number(key, least)
    if (value < least) invalid(rules, key, `${value} is below ${least}`)
  }
  for (const key of INTERVALS) {
    if (reader.durationMs(key, MIN_INTERVAL_MS) < MIN_INTERVAL_MS)
      invalid(rules, key, `it is below ${MIN_INTERVAL_MS}ms`)
  }
  if (config.limits.rpcClientTimeoutMs <= 0) invalid(rules, 'limits.rpc_client_timeout', 'it must be above 0')
  if (config.maxQueryTimeMs <= 0) invalid(rules, 'max_query_time', 'it must be above 0')
  if (config.defaultQueryTimeMs <= 0 || config.defaultQueryTimeMs > config.maxQueryTimeMs) {
    invalid(rules, 'default_query_time', 'it must be above 0 and not above max_query_time')
  }
  if (config.sessionTtlMinMs <= 0 || config.sessionTtlMinMs > session.MAX_TTL_MS) {
    invalid(rules, 'session_ttl_min', 'it must be above 0 and not above 24h, the longest TTL')
  }
}
