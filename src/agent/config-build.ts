/**
 * The merged tree → RuntimeConfig: defaults, units, derived values. Rules between keys are config-validate.ts.
 */
import { parseLogLevel } from '#base'
import { session } from '#endpoints'
import {
  buildAddresses,
  buildDns,
  buildGossip,
  buildLimits,
  buildPorts,
  checkPortsDiffer,
} from './config-build-network.ts'
import { buildStore } from './config-build-store.ts'
import { buildTls } from './config-build-tls.ts'
import type { Tree } from './config-decode.ts'
import { checkBodies, serviceBodies } from './config-definitions.ts'
import type { ConfigProblems } from './config-errors.ts'
import type { Machine } from './config-files.ts'
import type { TreeReader } from './config-read.ts'
import type { AclConfig, RuntimeConfig } from './config-runtime.ts'
import { buildWatches } from './config-watches.ts'

export interface BuildInput {
  readonly tree: Tree
  readonly reader: TreeReader
  readonly machine: Machine
  readonly dev: boolean
  readonly problems: ConfigProblems
}

/** Builds the configuration; values that are wrong go to `problems`, so the result counts only when there are none. */
export function buildConfig({ tree, reader, machine, dev, problems }: BuildInput): RuntimeConfig {
  const datacenter = reader.string('datacenter', 'dc1').toLowerCase()
  const primaryDatacenter = reader.string('primary_datacenter', '').toLowerCase()
  const expect = reader.number('bootstrap_expect', 0)
  const nodeName = reader.string('node_name') ?? machine.hostname()
  const ports = buildPorts(reader, problems)
  const addresses = buildAddresses(reader, machine, problems)
  checkPortsDiffer(ports, addresses.listen, reader, problems)
  return {
    datacenter,
    primaryDatacenter: primaryDatacenter === '' ? datacenter : primaryDatacenter,
    nodeName,
    nodeId: reader.string('node_id')?.toLowerCase(),
    nodeMeta: reader.stringMap('node_meta'),
    dataDir: reader.string('data_dir', ''),
    dev,
    store: buildStore(reader, datacenter),
    server: reader.bool('server', false),
    // One expected server is bootstrap mode; Consul says so and goes on.
    bootstrap: reader.bool('bootstrap', false) || expect === 1,
    bootstrapExpect: expect === 1 ? 0 : expect,
    autopilot: {
      cleanupDeadServers: reader.bool('autopilot.cleanup_dead_servers', true),
      lastContactThresholdMs: reader.durationMs('autopilot.last_contact_threshold', 200),
      maxTrailingLogs: reader.number('autopilot.max_trailing_logs', 250),
      minQuorum: reader.number('autopilot.min_quorum', 0),
      serverStabilizationTimeMs: reader.durationMs('autopilot.server_stabilization_time', 10_000),
    },

    ...addresses,
    ports,

    domain: withoutDot(reader.string('domain', 'consul')),
    altDomain: withoutDot(reader.string('alt_domain', '')),
    recursors: [...new Set(reader.strings('recursors'))],
    dnsConfig: buildDns(reader),
    httpConfig: {
      blockEndpoints: reader.strings('http_config.block_endpoints'),
      responseHeaders: reader.stringMap('http_config.response_headers'),
      allowWriteHttpFrom: reader.strings('http_config.allow_write_http_from'),
      maxHeaderBytes: reader.number('http_config.max_header_bytes', 0),
    },

    encrypt: reader.string('encrypt') || undefined,
    disableKeyringFile: reader.bool('disable_keyring_file', false),
    gossipLan: buildGossip(reader, 'gossip_lan'),
    gossipWan: buildGossip(reader, 'gossip_wan'),
    reconnectTimeoutLanMs: reader.durationMs('reconnect_timeout', RECONNECT_MS),
    reconnectTimeoutWanMs: reader.durationMs('reconnect_timeout_wan', RECONNECT_MS),
    disableCoordinates: reader.bool('disable_coordinates', false),

    startJoin: reader.strings('start_join'),
    retryJoin: reader.strings('retry_join'),
    retryJoinIntervalMs: reader.durationMs('retry_interval', 30_000),
    retryJoinMaxAttempts: reader.number('retry_max', 0),
    primaryGateways: reader.strings('primary_gateways'),
    connect: {
      enabled: reader.bool('connect.enabled', true),
      enableMeshGatewayWanFederation: reader.bool('connect.enable_mesh_gateway_wan_federation', false),
    },

    rejoinAfterLeave: reader.bool('rejoin_after_leave', false),
    leaveOnTerminate: reader.bool('leave_on_terminate', false),
    performance: {
      leaveDrainTimeMs: reader.durationMs('performance.leave_drain_time', 5000),
    },

    tls: buildTls(reader),

    logLevel: parseLogLevel(reader.string('log_level', 'info')) ?? 'info',
    logJson: reader.bool('log_json', false),
    logFile: reader.string('log_file', ''),
    pidFile: reader.string('pid_file', ''),
    telemetry: { prometheusRetentionMs: reader.durationMs('telemetry.prometheus_retention_time', 0) },

    limits: buildLimits(reader),
    defaultQueryTimeMs: reader.durationMs('default_query_time', 300_000),
    maxQueryTimeMs: reader.durationMs('max_query_time', 600_000),
    sessionTtlMinMs: reader.durationMs('session_ttl_min', session.DEFAULT_MIN_TTL_MS),
    checkUpdateIntervalMs: reader.durationMs('check_update_interval', 300_000),
    checkOutputMaxBytes: reader.number('check_output_max_size', 4096),
    discardCheckOutput: reader.bool('discard_check_output', false),
    acl: buildAcl(reader),

    services: serviceBodies(tree, problems),
    checks: checkBodies(tree, problems),
    watches: buildWatches(tree, problems),
  }
}

const RECONNECT_MS = 72 * 3_600_000

function buildAcl(reader: TreeReader): AclConfig {
  return {
    enabled: reader.bool('acl.enabled', false),
    defaultPolicy: reader.string('acl.default_policy', 'allow'),
    downPolicy: reader.string('acl.down_policy', 'extend-cache'),
    tokenTtlMs: reader.durationMs('acl.token_ttl', 30_000),
    enableTokenReplication: reader.bool('acl.enable_token_replication', false),
    enableTokenPersistence: reader.bool('acl.enable_token_persistence', false),
    enableKeyListPolicy: reader.bool('acl.enable_key_list_policy', false),
    tokens: reader.stringMap('acl.tokens'),
  }
}

function withoutDot(domain: string): string {
  return domain.replace(/\.+$/, '').toLowerCase()
}
