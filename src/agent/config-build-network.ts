/**
 * Addresses, ports, gossip, DNS and limits from the merged tree.
 */
import { overlap, privateAddress, resolveAddress } from './config-addresses.ts'
import { type ConfigProblems, configError } from './config-errors.ts'
import type { Machine } from './config-files.ts'
import { durationMs, type TreeReader } from './config-read.ts'
import type { DnsConfig, GossipConfig, LimitsConfig, ListenAddresses, PortName, PortsConfig } from './config-runtime.ts'

const PORT_KEYS: Readonly<Record<PortName, { key: string; otherwise: number }>> = {
  http: { key: 'http', otherwise: 8500 },
  https: { key: 'https', otherwise: -1 },
  dns: { key: 'dns', otherwise: 8600 },
  server: { key: 'server', otherwise: 8300 },
  serfLan: { key: 'serf_lan', otherwise: 8301 },
  serfWan: { key: 'serf_wan', otherwise: 8302 },
}

const PORT_NAMES: readonly PortName[] = ['http', 'https', 'dns', 'server', 'serfLan', 'serfWan']

/** Where a source stands that users did not write: -dev sets ports, and they are still defaults. */
export const DEV_SOURCE = 'flag -dev'

export function buildPorts(reader: TreeReader, problems: ConfigProblems): PortsConfig {
  const configured: PortName[] = []
  const port = (name: PortName) => {
    const path = `ports.${PORT_KEYS[name].key}`
    const value = reader.number(path, PORT_KEYS[name].otherwise)
    if (reader.has(path) && reader.place(path) !== DEV_SOURCE) configured.push(name)
    if (value < -1 || value > 65535) {
      const problem = `${value} is no port; -1 is off, 0 any free one, else 1 to 65535`
      problems.add(configError('CONFIG_INVALID_VALUE', { key: path, place: reader.place(path), problem }))
    }
    return value
  }
  return {
    http: port('http'),
    https: port('https'),
    dns: port('dns'),
    server: port('server'),
    serfLan: port('serfLan'),
    serfWan: port('serfWan'),
    configured,
  }
}

/** Two listeners on one port of overlapping addresses are an error that names both keys. */
export function checkPortsDiffer(
  ports: PortsConfig,
  listen: ListenAddresses,
  reader: TreeReader,
  problems: ConfigProblems,
): void {
  for (const [index, right] of PORT_NAMES.entries()) {
    for (const left of PORT_NAMES.slice(0, index)) {
      if (ports[left] <= 0 || ports[left] !== ports[right]) continue
      const meet = [listen[left]].flat().some((one) => [listen[right]].flat().some((other) => overlap(one, other)))
      if (!meet) continue
      const path = `ports.${PORT_KEYS[right].key}`
      const problem = `port ${ports[right]} is already that of "ports.${PORT_KEYS[left].key}"`
      problems.add(configError('CONFIG_INVALID_VALUE', { key: path, place: reader.place(path), problem }))
    }
  }
}

export interface Addresses {
  readonly bindAddress: string
  readonly advertiseAddress: string
  readonly advertiseAddressWan: string
  readonly listen: ListenAddresses
}

export function buildAddresses(reader: TreeReader, machine: Machine, problems: ConfigProblems): Addresses {
  const one = (path: string, otherwise: string): string => {
    const text = reader.string(path)
    if (text === undefined || text === '') return otherwise
    const resolved = resolveAddress(text, machine)
    if ('address' in resolved) return resolved.address
    problems.add(
      configError('CONFIG_INVALID_VALUE', { key: path, place: reader.place(path), problem: resolved.problem }),
    )
    return otherwise
  }
  const many = (path: string, otherwise: readonly string[]): readonly string[] => {
    const text = reader.string(path)
    if (text === undefined || text.trim() === '') return otherwise
    return splitAddresses(text).flatMap((part) => {
      const resolved = resolveAddress(part, machine)
      if ('address' in resolved) return [resolved.address]
      problems.add(
        configError('CONFIG_INVALID_VALUE', { key: path, place: reader.place(path), problem: resolved.problem }),
      )
      return []
    })
  }
  const bindAddress = one('bind_addr', '0.0.0.0')
  const isAny = bindAddress === '0.0.0.0' || bindAddress === '::'
  const clientAddresses = many('client_addr', ['127.0.0.1'])
  const advertiseAddress = one('advertise_addr', isAny ? (privateAddress(machine) ?? '127.0.0.1') : bindAddress)
  return {
    bindAddress,
    advertiseAddress,
    advertiseAddressWan: one('advertise_addr_wan', advertiseAddress),
    listen: {
      http: many('addresses.http', clientAddresses),
      https: many('addresses.https', clientAddresses),
      dns: many('addresses.dns', clientAddresses),
      server: bindAddress,
      serfLan: one('serf_lan', bindAddress),
      serfWan: one('serf_wan', bindAddress),
    },
  }
}

/** Blanks separate addresses, but not inside `{{ … }}`. */
function splitAddresses(text: string): string[] {
  return text.match(/\{\{.*?\}\}|\S+/g) ?? []
}

const GOSSIP_DEFAULTS = {
  gossip_lan: { gossip: 200, probe: 1000, timeout: 500, suspicion: 4 },
  gossip_wan: { gossip: 500, probe: 5000, timeout: 3000, suspicion: 6 },
}

export function buildGossip(reader: TreeReader, pool: 'gossip_lan' | 'gossip_wan'): GossipConfig {
  const defaults = GOSSIP_DEFAULTS[pool]
  return {
    gossipIntervalMs: reader.durationMs(`${pool}.gossip_interval`, defaults.gossip),
    gossipNodes: reader.number(`${pool}.gossip_nodes`, 3),
    probeIntervalMs: reader.durationMs(`${pool}.probe_interval`, defaults.probe),
    probeTimeoutMs: reader.durationMs(`${pool}.probe_timeout`, defaults.timeout),
    retransmitMult: reader.number(`${pool}.retransmit_mult`, 4),
    suspicionMult: reader.number(`${pool}.suspicion_mult`, defaults.suspicion),
  }
}

export function buildDns(reader: TreeReader): DnsConfig {
  const ttls = Object.entries(reader.stringMap('dns_config.service_ttl'))
  return {
    nodeTtlMs: reader.durationMs('dns_config.node_ttl', 0),
    serviceTtlMs: Object.fromEntries(ttls.map(([service, ttl]) => [service, durationMs(ttl)])),
    onlyPassing: reader.bool('dns_config.only_passing', false),
    udpAnswerLimit: reader.number('dns_config.udp_answer_limit', 3),
    aRecordLimit: reader.number('dns_config.a_record_limit', 0),
    enableTruncate: reader.bool('dns_config.enable_truncate', false),
    disableCompression: reader.bool('dns_config.disable_compression', false),
    recursorTimeoutMs: reader.durationMs('dns_config.recursor_timeout', 2000),
    recursorStrategy: reader.string('dns_config.recursor_strategy') === 'random' ? 'random' : 'sequential',
    nodeMetaTxt: reader.bool('dns_config.enable_additional_node_meta_txt', true),
    soa: {
      refreshSeconds: reader.number('dns_config.soa.refresh', 3600),
      retrySeconds: reader.number('dns_config.soa.retry', 600),
      expireSeconds: reader.number('dns_config.soa.expire', 86_400),
      minTtlSeconds: reader.number('dns_config.soa.min_ttl', 0),
    },
  }
}

export function buildLimits(reader: TreeReader): LimitsConfig {
  return {
    httpMaxConnsPerClient: reader.number('limits.http_max_conns_per_client', 200),
    httpsHandshakeTimeoutMs: reader.durationMs('limits.https_handshake_timeout', 5000),
    rpcHandshakeTimeoutMs: reader.durationMs('limits.rpc_handshake_timeout', 5000),
    rpcClientTimeoutMs: reader.durationMs('limits.rpc_client_timeout', 60_000),
    rpcMaxConnsPerClient: reader.number('limits.rpc_max_conns_per_client', 100),
    kvMaxValueBytes: reader.number('limits.kv_max_value_size', 524_288),
    txnMaxRequestBytes: reader.number('limits.txn_max_req_len', 524_288),
  }
}
