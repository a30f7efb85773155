/**
 * Keys about addresses, ports, TLS, gossip and DNS.
 *
 * Source: the public configuration reference.
 */
import { type KeyTable, known, knownSection, section, used } from './config-spec.ts'

const PORTS: KeyTable = {
  http: used('int', 'HTTP API and UI', { default: '8500' }),
  https: used('int', 'HTTP API and UI over TLS', { default: '-1' }),
  dns: used('int', 'DNS, UDP and TCP', { default: '8600' }),
  server: used('int', 'Servers: RPC, and WAN gossip through gateways', { default: '8300' }),
  serf_lan: used('int', 'LAN gossip, UDP and TCP', { default: '8301' }),
  serf_wan: used('int', 'WAN gossip; with federation through gateways only its number is told', { default: '8302' }),
  ...known('grpc:i grpc_tls:i sidecar_min_port:i sidecar_max_port:i expose_min_port:i expose_max_port:i'),
}

const LISTENER_ADDRESSES: KeyTable = {
  http: used('string', 'HTTP', { default: 'client_addr' }),
  https: used('string', 'HTTPS', { default: 'client_addr' }),
  dns: used('string', 'DNS', { default: 'client_addr' }),
  ...known('grpc:s grpc_tls:s'),
}

const TLS_LISTENER: KeyTable = {
  ca_file: used('string', 'File with CA certificates, PEM', { reload: true }),
  ca_path: used('string', 'Directory with CA certificates, PEM', { reload: true }),
  cert_file: used('string', 'File with the certificate, PEM', { reload: true }),
  key_file: used('string', 'File with the key, PEM', { reload: true }),
  verify_incoming: used('bool', 'Callers need a certificate of the CA', { default: 'false', reload: true }),
  verify_outgoing: used('bool', 'Called servers need a certificate of the CA', { default: 'false', reload: true }),
  tls_min_version: used('string', '`TLSv1_2` or `TLSv1_3`', { default: '"TLSv1_2"', reload: true }),
  tls_cipher_suites: used('string', "Cipher suites of TLS 1.2 by IANA's names, comma separated; TLS 1.3 has its own", {
    reload: true,
  }),
}
const VERIFY_SERVER_HOSTNAME = {
  verify_server_hostname: used('bool', 'Called servers need the name `server.<datacenter>.<domain>`', {
    default: 'false',
    reload: true,
  }),
}

function gossipKeys(defaults: { gossip: string; probe: string; timeout: string; suspicion: string }): KeyTable {
  return {
    gossip_interval: used('duration', 'Time between two gossip rounds', { default: defaults.gossip }),
    gossip_nodes: used('int', 'Nodes told per round', { default: '3' }),
    probe_interval: used('duration', 'Time between two probes', { default: defaults.probe }),
    probe_timeout: used('duration', 'Time until a probe is relayed', { default: defaults.timeout }),
    retransmit_mult: used('int', 'How often news is repeated', { default: '4' }),
    suspicion_mult: used('int', 'How long a node stays suspect', { default: defaults.suspicion }),
  }
}
const GOSSIP_LAN = gossipKeys({ gossip: '"200ms"', probe: '"1s"', timeout: '"500ms"', suspicion: '4' })
const GOSSIP_WAN = gossipKeys({ gossip: '"500ms"', probe: '"5s"', timeout: '"3s"', suspicion: '6' })

const DNS: KeyTable = {
  node_ttl: used('duration', 'TTL of node answers', { default: '"0s"', reload: true }),
  service_ttl: used('durations by name', 'TTL of service answers by name; `*` for all', { reload: true }),
  only_passing: used('bool', 'Leave out instances in warning', { default: 'false', reload: true }),
  udp_answer_limit: used('int', 'Most answers in a UDP message', { default: '3', reload: true }),
  a_record_limit: used('int', 'Most A or AAAA answers, 0 for all', { default: '0', reload: true }),
  enable_truncate: used('bool', 'Set TC on a shortened UDP answer', { default: 'false', reload: true }),
  disable_compression: used('bool', 'Write names in full', { default: 'false', reload: true }),
  recursor_timeout: used('duration', 'Time a recursor has', { default: '"2s"', reload: true }),
  recursor_strategy: used('string', 'Order in which recursors are asked: `sequential` or `random`', {
    default: '"sequential"',
    reload: true,
  }),
  enable_additional_node_meta_txt: used('bool', 'TXT records of node metadata in the additional section', {
    default: 'true',
    reload: true,
  }),
  soa: section('Values of the SOA record, in seconds', {
    refresh: used('int', 'Refresh', { default: '3600', reload: true }),
    retry: used('int', 'Retry', { default: '600', reload: true }),
    expire: used('int', 'Expire', { default: '86400', reload: true }),
    min_ttl: used('int', 'TTL of negative answers', { default: '0', reload: true }),
  }),
  ...known('allow_stale:b cache_max_age:d max_stale:d prefer_namespace:b use_cache:b'),
}

export const NETWORK_KEYS: KeyTable = {
  bind_addr: used('string', 'Address for RPC and gossip; an IP or a `{{ GetPrivateIP }}` form', {
    default: '"0.0.0.0"',
  }),
  advertise_addr: used('string', 'Address told to the datacenter', { default: 'bind_addr, or the first private IPv4' }),
  advertise_addr_wan: used('string', 'Address told to other datacenters', { default: 'advertise_addr' }),
  client_addr: used('string', 'Addresses for HTTP and DNS, separated by blanks', { default: '"127.0.0.1"' }),
  addresses: section('Addresses of single listeners', LISTENER_ADDRESSES),
  ports: section('Ports; -1 is off, 0 any free one', PORTS),
  serf_lan: used('string', 'Address for LAN gossip', { default: 'bind_addr' }),
  serf_wan: used('string', 'Address for WAN gossip', { default: 'bind_addr' }),

  encrypt: used(
    'string',
    'Gossip key: 16, 24 or 32 bytes in base64, the same in all datacenters; with one all gossip is encrypted',
    { secret: true },
  ),
  gossip_lan: section('Timings of LAN gossip', GOSSIP_LAN),
  gossip_wan: section('Timings of WAN gossip', GOSSIP_WAN),
  reconnect_timeout: used('duration', 'A failed member is forgotten after', { default: '"72h"' }),
  reconnect_timeout_wan: used('duration', 'A failed WAN member is forgotten after', { default: '"72h"' }),

  tls: section('TLS by interface; `defaults` stands for all', {
    defaults: section('For all interfaces', { ...TLS_LISTENER, ...VERIFY_SERVER_HOSTNAME }),
    internal_rpc: section('Between servers', { ...TLS_LISTENER, ...VERIFY_SERVER_HOSTNAME }),
    https: section('HTTPS', TLS_LISTENER),
    grpc: knownSection(
      known(
        'ca_file:s ca_path:s cert_file:s key_file:s verify_incoming:b verify_outgoing:b tls_min_version:s ' +
          'tls_cipher_suites:s use_auto_cert:b',
      ),
    ),
  }),
  ca_file: used('string', 'Old: `tls.defaults.ca_file`', { reload: true }),
  ca_path: used('string', 'Old: `tls.defaults.ca_path`', { reload: true }),
  cert_file: used('string', 'Old: `tls.defaults.cert_file`', { reload: true }),
  key_file: used('string', 'Old: `tls.defaults.key_file`', { reload: true }),
  verify_incoming: used('bool', 'Old: `tls.defaults.verify_incoming`', { reload: true }),
  verify_incoming_https: used('bool', 'Old: `tls.https.verify_incoming`', { reload: true }),
  verify_incoming_rpc: used('bool', 'Old: `tls.internal_rpc.verify_incoming`', { reload: true }),
  verify_outgoing: used('bool', 'Old: `tls.defaults.verify_outgoing`', { reload: true }),
  verify_server_hostname: used('bool', 'Old: `tls.internal_rpc.verify_server_hostname`', { reload: true }),
  tls_min_version: used('string', 'Old: `tls.defaults.tls_min_version`, also `tls12`', { reload: true }),
  tls_cipher_suites: used('string', 'Old: `tls.defaults.tls_cipher_suites`', { reload: true }),

  domain: used('string', 'DNS domain; the same in all datacenters', { default: '"consul"' }),
  alt_domain: used('string', 'Second DNS domain'),
  recursors: used('strings', 'DNS servers for all other names', { reload: true }),
  dns_config: section('DNS', DNS),
  http_config: section('HTTP API', {
    block_endpoints: used('strings', 'Paths that are refused, by prefix'),
    response_headers: used('string map', 'Headers of every answer'),
    allow_write_http_from: used('strings', 'CIDRs from which writes are taken; empty for all'),
    max_header_bytes: used('int', 'Most bytes of request headers; beyond it the answer is 431', {
      default: '0, for 16384',
    }),
    ...known('use_cache:b'),
  }),
}
