/**
 * Services and checks as users define them for an agent: in request bodies of /v1/agent and in configuration files.
 *
 * What the catalog stores of them is in catalog.ts. Durations are text in JSON ("10s") and nanoseconds here. Reading
 * takes the documented snake_case spellings too (`snakeToDefinition()`), which files use and bodies may.
 */
import { parseDuration } from '#base'
import { goJsonError } from '../go-json.ts'
import { any, bool, int, type Kind, list, map, pointer, string, struct, uint, withJson } from '../schema.ts'
import { ConnectProxyConfig, Locality, ServiceAddress, Weights } from './catalog.ts'
import { durationNs } from './common.ts'

/** Nanoseconds; text with a unit in JSON, or a number of nanoseconds. Faults come in Go's words. */
const definitionDuration: Kind<number> = withJson(durationNs, {
  toJson: (value) => `${value}ns`,
  fromJson: (json) => {
    if (json === null || json === '') return 0
    if (typeof json === 'number' && Number.isSafeInteger(json)) return json
    const ns = typeof json === 'string' ? parseDuration(json) : undefined
    if (ns === undefined)
      throw goJsonError('JSON_DECODE', { problem: `time: invalid duration ${JSON.stringify(json)}` })
    return ns
  },
})

const checkFields = {
  CheckID: string,
  Name: string,
  Status: string,
  Notes: string,
  ScriptArgs: list(string),
  Args: list(string),
  HTTP: string,
  H2PING: string,
  H2PINGUseTLS: bool,
  Header: map(list(string)),
  Method: string,
  Body: string,
  DisableRedirects: bool,
  TCP: string,
  TCPUseTLS: bool,
  UDP: string,
  Interval: definitionDuration,
  AliasNode: string,
  AliasService: string,
  DockerContainerID: string,
  Shell: string,
  GRPC: string,
  GRPCUseTLS: bool,
  OSService: string,
  TLSServerName: string,
  TLSSkipVerify: bool,
  Timeout: definitionDuration,
  TTL: definitionDuration,
  ProxyHTTP: string,
  ProxyGRPC: string,
  DeregisterCriticalServiceAfter: definitionDuration,
  OutputMaxSize: uint,
  SuccessBeforePassing: int,
  FailuresBeforeWarning: int,
  FailuresBeforeCritical: int,
}

/** A check of a service, as it stands in the service's `Check` or `Checks`. */
export const AgentCheckType = struct('CheckType', checkFields)
export type AgentCheckType = ReturnType<typeof AgentCheckType.of>

/** A check on its own: PUT /v1/agent/check/register, `check {}` in files. `ID` and `CheckID` are one. */
export const AgentCheckDefinition = struct('CheckDefinition', {
  ...checkFields,
  ID: string,
  ServiceID: string,
  Token: string,
})
export type AgentCheckDefinition = ReturnType<typeof AgentCheckDefinition.of>

export const AgentServiceConnect = struct('ServiceConnect', { Native: bool, SidecarService: pointer(any) })
export type AgentServiceConnect = ReturnType<typeof AgentServiceConnect.of>

/** A service: PUT /v1/agent/service/register, `service {}` in files. */
export const AgentServiceDefinition = struct('ServiceDefinition', {
  Kind: string,
  ID: string,
  Name: string,
  Tags: list(string),
  Address: string,
  TaggedAddresses: map(ServiceAddress),
  Meta: map(string),
  Port: int,
  SocketPath: string,
  Check: pointer(AgentCheckType),
  Checks: list(pointer(AgentCheckType)),
  Weights: pointer(Weights),
  Token: string,
  EnableTagOverride: bool,
  Locality: pointer(Locality),
  Proxy: pointer(ConnectProxyConfig),
  Connect: pointer(AgentServiceConnect),
})
export type AgentServiceDefinition = ReturnType<typeof AgentServiceDefinition.of>

/** snake_case names that bodies may use, and what they stand for (`check_id` is none: it is refused, as recorded). */
const SNAKE_NAMES: Readonly<Record<string, string>> = {
  enable_tag_override: 'EnableTagOverride',
  tagged_addresses: 'TaggedAddresses',
  socket_path: 'SocketPath',
  deregister_critical_service_after: 'DeregisterCriticalServiceAfter',
  script_args: 'ScriptArgs',
  service_id: 'ServiceID',
  alias_node: 'AliasNode',
  alias_service: 'AliasService',
  docker_container_id: 'DockerContainerID',
  tls_server_name: 'TLSServerName',
  tls_skip_verify: 'TLSSkipVerify',
  grpc_use_tls: 'GRPCUseTLS',
  tcp_use_tls: 'TCPUseTLS',
  h2ping_use_tls: 'H2PINGUseTLS',
  os_service: 'OSService',
  output_max_size: 'OutputMaxSize',
  success_before_passing: 'SuccessBeforePassing',
  failures_before_warning: 'FailuresBeforeWarning',
  failures_before_critical: 'FailuresBeforeCritical',
  disable_redirects: 'DisableRedirects',
  destination_service_name: 'DestinationServiceName',
  destination_service_id: 'DestinationServiceID',
  destination_name: 'DestinationName',
  destination_type: 'DestinationType',
  local_service_address: 'LocalServiceAddress',
  local_service_port: 'LocalServicePort',
  local_bind_address: 'LocalBindAddress',
  local_bind_port: 'LocalBindPort',
  mesh_gateway: 'MeshGateway',
  sidecar_service: 'SidecarService',
}

/** Values under these keys are the user's own: their keys are left as they are. */
const OPAQUE = new Set(['Meta', 'Config', 'Header', 'TaggedAddresses', 'SidecarService'])

/**
 * The same definition with canonical names, for `fromJson()`. Unknown keys stay, so that they are refused by name.
 *
 * @param extra - more spellings that the caller takes, as files do (`check_id`, `id`)
 */
export function snakeToDefinition(value: unknown, extra: Readonly<Record<string, string>> = {}): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => snakeToDefinition(item, extra))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const out: [string, unknown][] = []
  for (const [key, member] of Object.entries(value)) {
    const name = ownEntry(SNAKE_NAMES, key.toLowerCase()) ?? ownEntry(extra, key) ?? key
    out.push([name, isOpaque(name) ? member : snakeToDefinition(member, extra)])
  }
  return Object.fromEntries(out)
}

function ownEntry(names: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(names, key) ? names[key] : undefined
}

function isOpaque(name: string): boolean {
  for (const known of OPAQUE) if (known.toLowerCase() === name.toLowerCase()) return true
  return false
}
