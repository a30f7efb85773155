/**
 * Keys that Consul has and Hanse does not use: accepted with a warning, so that one file serves both programs while a
 * datacenter moves.
 *
 * Source: the public configuration reference of Consul 1.21 and its pages on older versions.
 */
import { type KeyTable, known, knownSection } from './config-spec.ts'

export const KNOWN_KEYS: KeyTable = {
  ...known(
    'acl_agent_master_token:s acl_agent_token:s acl_datacenter:s acl_default_policy:s acl_down_policy:s ' +
      'acl_enable_key_list_policy:b acl_enforce_version_8:b acl_master_token:s acl_replication_token:s acl_token:s ' +
      'acl_ttl:d advertise_addr_ipv4:s advertise_addr_ipv6:s advertise_addr_wan_ipv4:s advertise_addr_wan_ipv6:s ' +
      'advertise_reconnect_timeout:d auto_reload_config:b auto_reload_config_coalesce_interval:d ' +
      'default_intention_policy:s disable_anonymous_signature:b disable_host_node_id:b ' +
      'disable_http_unprintable_char_filter:b disable_remote_exec:b disable_update_check:b discovery_max_stale:d enable_acl_replication:b ' +
      'enable_agent_tls_for_checks:b enable_central_service_config:b enable_debug:b enable_local_script_checks:b ' +
      'enable_script_checks:b enable_syslog:b encrypt_verify_incoming:b encrypt_verify_outgoing:b experiments:l license_path:s log_rotate_bytes:i log_rotate_duration:d ' +
      'log_rotate_max_files:i non_voting_server:b partition:s primary_gateways_interval:d protocol:i raft_prevote_disabled:b raft_protocol:i raft_snapshot_interval:d ' +
      'raft_snapshot_threshold:i raft_trailing_logs:i read_replica:b retry_interval_wan:d retry_join_wan:l retry_max_wan:i segment:s server_name:s ' +
      'serf_lan_allowed_cidrs:l serf_wan_allowed_cidrs:l server_rejoin_age_max:d skip_leave_on_interrupt:b start_join_wan:l ' +
      'syslog_facility:s tls_prefer_server_cipher_suites:b translate_wan_addrs:b ui:b ui_content_path:s ui_dir:s use_streaming_backend:b ' +
      'snapshot_agent:any audit:any',
  ),
  auto_config: knownSection({
    ...known('enabled:b intro_token:s intro_token_file:s server_addresses:l dns_sans:l ip_sans:l'),
    authorization: knownSection({
      ...known('enabled:b'),
      static: knownSection(
        known(
          'allow_reuse:b claim_assertions:l claim_mappings:m list_claim_mappings:m jwt_supported_algs:l ' +
            'bound_audiences:l bound_issuer:s expiration_leeway:d not_before_leeway:d clock_skew_leeway:d jwks_url:s ' +
            'jwks_ca_cert:s oidc_discovery_url:s oidc_discovery_ca_cert:s jwt_validation_pub_keys:l',
        ),
      ),
    }),
  }),
  auto_encrypt: knownSection(known('allow_tls:b tls:b dns_san:l ip_san:l')),
  cache: knownSection(known('entry_fetch_max_burst:i entry_fetch_rate:f')),
  cloud: knownSection(
    known('resource_id:s client_id:s client_secret:s hostname:s auth_url:s scada_address:s management_token:s'),
  ),
  config_entries: knownSection({ bootstrap: { kind: 'any', status: 'known' } }),
  locality: knownSection(known('region:s zone:s')),
  peering: knownSection(known('enabled:b')),
  raft_boltdb: knownSection(known('no_freelist_sync:b NoFreelistSync:b')),
  raft_logstore: knownSection({
    ...known('backend:s disable_log_cache:b'),
    verification: knownSection(known('enabled:b interval:d')),
    boltdb: knownSection(known('no_freelist_sync:b')),
    wal: knownSection(known('segment_size_mb:i')),
  }),
  reporting: knownSection({ license: knownSection(known('enabled:b')) }),
  rpc: knownSection(known('enable_streaming:b')),
  segments: knownSection(known('name:s bind:s port:i advertise:s rpc_listener:b'), 'objects'),
  ui_config: knownSection({
    ...known(
      'enabled:b dir:s content_path:s metrics_provider:s metrics_provider_files:l metrics_provider_options_json:s ' +
        'dashboard_url_templates:m',
    ),
    metrics_proxy: knownSection({
      ...known('base_url:s path_allowlist:l'),
      add_headers: knownSection(known('name:s value:s'), 'objects'),
    }),
  }),
  unix_sockets: knownSection(known('user:s group:s mode:s')),
  xds: knownSection(known('update_max_per_second:f')),
}
