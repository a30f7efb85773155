/**
 * Keys of service and check definitions, as they stand in configuration files.
 *
 * They become the bodies of `/v1/agent/service/register` (config-definitions.ts), so that a service from a file and one
 * from the API take the same path. Also written in CamelCase by users who copy an API body.
 *
 * Source: the public reference of service and check definitions.
 */
import { type KeyTable, known, section, used } from './config-spec.ts'

export const CHECK_KEYS: KeyTable = {
  id: used('string', 'Unique on the node; made of the service and the kind when missing'),
  check_id: used('string', 'Old name of `id`'),
  name: used('string', 'Name for people'),
  notes: used('string', 'Free text'),
  service_id: used('string', 'The service that the check belongs to; the node when missing'),
  status: used('string', 'State before the first result', { default: '"critical"' }),
  http: used('string', 'URL to ask; 2xx passing, 429 warning, else critical'),
  method: used('string', 'HTTP method', { default: '"GET"' }),
  header: used('lists by name', 'HTTP headers to send'),
  body: used('string', 'HTTP body to send'),
  disable_redirects: used('bool', 'Take a redirect as the answer', { default: 'false' }),
  tcp: used('string', '`host:port` to connect to'),
  ttl: used('duration', 'The service reports by itself at least this often'),
  alias_service: used('string', 'Follow the health of this service'),
  alias_node: used('string', 'Follow the health of this node'),
  interval: used('duration', 'Time between two runs'),
  timeout: used('duration', 'Longest time that a run may take', { default: '"10s"' }),
  tls_server_name: used('string', 'SNI of an HTTPS check'),
  tls_skip_verify: used('bool', 'Do not verify the certificate of an HTTPS check', { default: 'false' }),
  output_max_size: used('int', 'Longest output that is kept, in bytes; not above that of the agent', {
    default: 'check_output_max_size',
  }),
  success_before_passing: used('int', 'Good runs in a row until passing', { default: '0' }),
  failures_before_warning: used('int', 'Bad runs in a row until warning', { default: '0' }),
  failures_before_critical: used('int', 'Bad runs in a row until critical', { default: '0' }),
  deregister_critical_service_after: used('duration', 'Remove a service that is critical for so long; at least 1m'),
  token: used('string', 'Token for the registration', { secret: true }),
  ...known(
    'args:l script_args:l script:s shell:s docker_container_id:s udp:s grpc:s grpc_use_tls:b os_service:s h2ping:s ' +
      'h2ping_use_tls:b tcp_use_tls:b namespace:s partition:s',
  ),
}

/** A check inside a service belongs to that service and is registered with its token. */
const { service_id: _serviceId, token: _token, ...SERVICE_CHECK } = CHECK_KEYS
export const SERVICE_CHECK_KEYS: KeyTable = SERVICE_CHECK

const MESH_GATEWAY: KeyTable = { mode: used('string', '`local`, `remote` or `none`') }

const UPSTREAM_KEYS: KeyTable = {
  destination_name: used('string', 'Service to reach'),
  destination_type: used('string', '`service` or `prepared_query`', { default: '"service"' }),
  destination_namespace: used('string', 'Namespace of the destination'),
  destination_partition: used('string', 'Partition of the destination'),
  destination_peer: used('string', 'Peer that exports the destination'),
  datacenter: used('string', 'Datacenter of the destination; the own one when missing'),
  local_bind_address: used('string', 'Address to listen on', { default: '"127.0.0.1"' }),
  local_bind_port: used('int', 'Port to listen on'),
  local_bind_socket_path: used('string', 'Unix socket to listen on'),
  local_bind_socket_mode: used('string', 'Mode of that socket, octal'),
  config: used('any', 'Options of the proxy'),
  mesh_gateway: section('How traffic to another datacenter leaves', MESH_GATEWAY),
}

const PROXY_KEYS: KeyTable = {
  destination_service_name: used('string', 'Service that the proxy stands for'),
  destination_service_id: used('string', 'Instance that the proxy stands for'),
  local_service_address: used('string', 'Where the instance listens', { default: '"127.0.0.1"' }),
  local_service_port: used('int', 'Where the instance listens'),
  local_service_socket_path: used('string', 'Unix socket on which the instance listens'),
  mode: used('string', '`direct` or `transparent`'),
  mutual_tls_mode: used('string', '`strict` or `permissive`'),
  config: used('any', 'Options of the proxy'),
  upstreams: section('Services that the instance calls', UPSTREAM_KEYS, 'objects'),
  mesh_gateway: section('How traffic to another datacenter leaves', MESH_GATEWAY),
  transparent_proxy: section('Transparent proxy', {
    outbound_listener_port: used('int', 'Port of redirected traffic'),
    dialed_directly: used('bool', 'Instances are called by their address'),
  }),
  expose: section('HTTP paths open without the mesh', {
    checks: used('bool', 'Open the paths of HTTP checks'),
    paths: section(
      'Paths',
      {
        path: used('string', 'Path'),
        listener_port: used('int', 'Port of the proxy'),
        local_path_port: used('int', 'Port of the instance'),
        protocol: used('string', '`http` or `http2`'),
      },
      'objects',
    ),
  }),
  access_logs: section('Access logs of the proxy', {
    enabled: used('bool', 'Write them', { default: 'false' }),
    disable_listener_logs: used('bool', 'Not for connections that no route takes', { default: 'false' }),
    type: used('string', '`stdout`, `stderr` or `file`', { default: '"stdout"' }),
    path: used('string', 'Path of the file'),
    json_format: used('string', 'Format as JSON'),
    text_format: used('string', 'Format as text'),
  }),
  envoy_extensions: used('any', 'Extensions of Envoy'),
}

const BASE_SERVICE_KEYS: KeyTable = {
  id: used('string', 'Unique on the node', { default: 'name' }),
  name: used('string', 'Name of the service'),
  kind: used('string', '`mesh-gateway`, `connect-proxy`, … or empty for an ordinary service'),
  tags: used('strings', 'Tags'),
  meta: used('string map', 'Metadata'),
  address: used('string', 'Address; that of the node when missing'),
  port: used('int', 'Port'),
  socket_path: used('string', 'Unix socket'),
  tagged_addresses: section(
    'Other addresses by name (`lan`, `wan`, …)',
    { address: used('string', 'Address'), port: used('int', 'Port') },
    'objects by name',
  ),
  weights: section('Weights of DNS SRV answers', {
    passing: used('int', 'While passing', { default: '1' }),
    warning: used('int', 'While warning', { default: '1' }),
  }),
  enable_tag_override: used('bool', 'Other nodes may change the tags', { default: 'false' }),
  token: used('string', 'Token for the registration', { secret: true }),
  check: section('A check', SERVICE_CHECK_KEYS),
  checks: section('Checks', SERVICE_CHECK_KEYS, 'objects'),
  proxy: section('What a proxy does', PROXY_KEYS),
  locality: section('Where it runs', { region: used('string', 'Region'), zone: used('string', 'Zone') }),
  ...known('namespace:s partition:s ports:any'),
}

export const SERVICE_KEYS: KeyTable = {
  ...BASE_SERVICE_KEYS,
  connect: section('Part in the mesh', {
    native: used('bool', 'Speaks the mesh protocol itself'),
    sidecar_service: section('Registration of its sidecar', BASE_SERVICE_KEYS),
  }),
}
