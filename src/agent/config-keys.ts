/**
 * Every configuration key: Consul's names, what Hanse does with each. See config-spec.ts for the form of a row.
 *
 * Source: the public configuration reference of Consul 1.21.
 */
import { CHECK_KEYS, SERVICE_KEYS } from './config-keys-definitions.ts'
import { KNOWN_KEYS } from './config-keys-known.ts'
import { NETWORK_KEYS } from './config-keys-network.ts'
import { STORE_KEYS } from './config-keys-store.ts'
import { WATCH_KEYS } from './config-keys-watches.ts'
import { type KeyTable, known, section, used } from './config-spec.ts'

const IDENTITY_KEYS: KeyTable = {
  datacenter: used('string', 'Name of the datacenter: a-z, 0-9, `-`, `_`', { default: '"dc1"' }),
  primary_datacenter: used('string', 'Datacenter that is the authority', { default: 'datacenter' }),
  node_name: used('string', 'Name of the node, unique in the datacenter', { default: 'host name' }),
  node_id: used('string', 'UUID of the node', { default: 'made once, kept in the data directory' }),
  node_meta: used('string map', 'Metadata of the node'),
  data_dir: used('string', 'Directory for state; required unless -dev'),
  server: used('bool', 'Run a server; false is refused', { default: 'false (-dev: true)' }),
  bootstrap: used('bool', 'The only server of its datacenter', { default: 'false' }),
  bootstrap_expect: used('int', 'Servers to wait for', { default: '0' }),
  leave_on_terminate: used('bool', 'Leave on SIGTERM', { default: 'false' }),
  rejoin_after_leave: used('bool', 'Join the known members again after a leave', { default: 'false' }),
  pid_file: used('string', 'File for the process id'),
}

const AUTOPILOT_KEYS: KeyTable = {
  autopilot: section('What is done by itself about servers that die; in force until `operator autopilot set-config`', {
    cleanup_dead_servers: used('bool', 'Take dead servers out once others stand in for them', { default: 'true' }),
    last_contact_threshold: used('duration', 'A server whose data is older is unhealthy', { default: '"200ms"' }),
    max_trailing_logs: used('int', 'A server that is farther behind is unhealthy', { default: '250' }),
    min_quorum: used('int', 'Servers that must be left when dead ones are taken out', { default: '0' }),
    server_stabilization_time: used('duration', 'How long a server must be as it is to count', { default: '"10s"' }),
    ...known('redundancy_zone_tag:s disable_upgrade_migration:b upgrade_version_tag:s'),
  }),
}

const JOIN_KEYS: KeyTable = {
  start_join: used('strings', 'Addresses to join at start, once; failing ends the start'),
  retry_join: used('strings', 'Addresses to join, tried until one answers'),
  retry_interval: used('duration', 'Time between two tries', { default: '"30s"' }),
  retry_max: used('int', 'Most tries, 0 for no end', { default: '0' }),
  primary_gateways: used('strings', 'In a secondary: `host:port` of mesh gateways of the primary'),
  connect: section('Service mesh', {
    enabled: used('bool', 'Run the mesh', { default: 'true' }),
    enable_mesh_gateway_wan_federation: used('bool', 'Datacenters reach each other through mesh gateways only', {
      default: 'false',
    }),
    ...known('ca_provider:s ca_config:any enable_serverless_plugin:b'),
  }),
}

const LOG_KEYS: KeyTable = {
  log_level: used('string', '`trace`, `debug`, `info`, `warn`, `error`', { default: '"info"', reload: true }),
  log_json: used('bool', 'Log lines as JSON', { default: 'false' }),
  log_file: used('string', 'Log also to this file'),
  telemetry: section('Metrics', {
    prometheus_retention_time: used('duration', 'Keep metrics for Prometheus so long; 0s is off', { default: '"0s"' }),
    ...known(
      'disable_hostname:b metrics_prefix:s statsite_address:s statsd_address:s dogstatsd_addr:s dogstatsd_tags:l ' +
        'prefix_filter:l filter_default:b enable_host_metrics:b disable_per_tenancy_usage_metrics:b ' +
        'retry_failed_connection:b circonus_api_app:s circonus_api_token:s circonus_api_url:s circonus_broker_id:s ' +
        'circonus_broker_select_tag:s circonus_check_display_name:s circonus_check_force_metric_activation:s ' +
        'circonus_check_id:s circonus_check_instance_id:s circonus_check_search_tag:s circonus_check_tags:s ' +
        'circonus_submission_interval:s circonus_submission_url:s disable_compat_1.9:b',
    ),
  }),
}

const LIMIT_KEYS: KeyTable = {
  limits: section('Limits', {
    http_max_conns_per_client: used('int', 'HTTP connections per address', { default: '200' }),
    https_handshake_timeout: used('duration', 'Time for a TLS handshake of HTTPS', { default: '"5s"' }),
    rpc_handshake_timeout: used('duration', 'Time for a TLS handshake on the server port', { default: '"5s"' }),
    rpc_client_timeout: used('duration', 'Time for a call to another datacenter that does not wait for a change', {
      default: '"60s"',
    }),
    rpc_max_conns_per_client: used('int', 'Connections per address on the server port', { default: '100' }),
    kv_max_value_size: used('int', 'Largest KV value, in bytes', { default: '524288' }),
    txn_max_req_len: used('int', 'Largest transaction, in bytes', { default: '524288' }),
    ...known('rpc_rate:f rpc_max_burst:i'),
    request_limits: { kind: 'object', status: 'known', keys: known('mode:s read_rate:f write_rate:f') },
  }),
  performance: section('Timing', {
    leave_drain_time: used('duration', 'Time for open requests during a leave', { default: '"5s"' }),
    ...known('rpc_hold_timeout:d raft_multiplier:i grpc_keepalive_interval:d grpc_keepalive_timeout:d'),
  }),
  check_update_interval: used('duration', 'Unchanged check output is written no more often', { default: '"5m"' }),
  check_output_max_size: used('int', 'Longest output of any check that is kept, in bytes; 32768 at most', {
    default: '4096',
  }),
  discard_check_output: used('bool', 'Keep no check output', { default: 'false', reload: true }),
  default_query_time: used('duration', 'Longest wait of a blocking query that asks for none', { default: '"300s"' }),
  max_query_time: used('duration', 'Longest wait of any blocking query', { default: '"600s"' }),
  session_ttl_min: used('duration', 'Shortest TTL that a session may have', { default: '"10s"' }),
  disable_coordinates: used(
    'bool',
    'Keep no network coordinate of this node in the catalog: `near` does not sort it, `rtt` does not know it',
    { default: 'false' },
  ),
  disable_keyring_file: used('bool', 'Keep no gossip keys on disk: each start begins with `encrypt`', {
    default: 'false',
  }),
}

const ACL_KEYS: KeyTable = {
  acl: section('Access control', {
    enabled: used('bool', 'Enforce ACLs', { default: 'false' }),
    default_policy: used('string', '`allow` or `deny`', { default: '"allow"' }),
    down_policy: used('string', '`allow`, `deny`, `extend-cache` or `async-cache`', { default: '"extend-cache"' }),
    token_ttl: used('duration', 'How long a token of another datacenter is used, with its policies and roles', {
      default: '"30s"',
    }),
    enable_token_replication: used('bool', 'Copy tokens from the primary', { default: 'false' }),
    enable_token_persistence: used('bool', 'Keep tokens set by the API', { default: 'false' }),
    enable_key_list_policy: used('bool', 'Listing keys needs its own right', { default: 'false' }),
    tokens: section('Tokens of the agent', {
      initial_management: used('string', 'First management token', { secret: true }),
      replication: used('string', 'For replication in a secondary', { secret: true }),
      default: used('string', 'For requests without a token', { secret: true }),
      dns: used('string', 'For DNS', { secret: true }),
      master: used('string', 'Old: `initial_management`', { secret: true }),
      ...known(
        'agent:s agent_master:s agent_recovery:s config_file_service_registration:s managed_service_provider:any',
      ),
    }),
    ...known('msp_disable_bootstrap:b policy_ttl:d role_ttl:d'),
  }),
}

/** All keys, sorted by theme; `CONFIG_KEYS.ports.keys.http` is a row. */
export const CONFIG_KEYS: KeyTable = {
  ...IDENTITY_KEYS,
  ...AUTOPILOT_KEYS,
  ...JOIN_KEYS,
  ...NETWORK_KEYS,
  ...STORE_KEYS,
  ...LOG_KEYS,
  ...LIMIT_KEYS,
  ...ACL_KEYS,
  watches: section('Programs or URLs that are called at each change of something', WATCH_KEYS, 'objects', {
    reload: true,
  }),
  service: section('A service', SERVICE_KEYS, 'objects', { reload: true }),
  services: section('Services', SERVICE_KEYS, 'objects', { reload: true }),
  check: section('A check', CHECK_KEYS, 'objects', { reload: true }),
  checks: section('Checks', CHECK_KEYS, 'objects', { reload: true }),
  ...KNOWN_KEYS,
}
