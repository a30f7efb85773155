/**
 * Errors of the HTTP API and DNS: what a request got wrong before any operation saw it.
 *
 * Texts that Consul's clients match on are byte for byte as recorded.
 */
import { errorTable } from '#base'

export const apiError = errorTable({
  AGENT_TOKEN_UNKNOWN: {
    status: 404,
    message: ({ kind }: { kind: string }) => `Token ${JSON.stringify(kind)} is unknown`,
  },
  BAD_PARAMETER: { status: 400, message: ({ text }: { text: string }) => text },
  BAD_NUMBER: {
    status: 500,
    message: ({ value }: { value: string }) => `strconv.ParseUint: parsing ${JSON.stringify(value)}: invalid syntax`,
  },
  EVENT_INVALID: { status: 500, message: ({ text }: { text: string }) => text },
  BAD_BODY: { status: 400, message: ({ problem }: { problem: string }) => `Request decode failed: ${problem}` },
  BODY_TOO_LARGE: {
    status: 413,
    message: ({ limit }: { limit: number }) => `Request body too large, max size: ${limit} bytes`,
  },
  VALUE_TOO_LARGE: {
    status: 413,
    message: ({ size, limit }: { size: number; limit: number }) =>
      `Request body(${size} bytes) too large, max size: ${limit} bytes. See https://www.consul.io/docs/agent/config/config-files#kv_max_value_size.`,
  },
  TXN_BODY: { status: 400, message: ({ problem }: { problem: string }) => `Failed to parse body: ${problem}` },
  TXN_BODY_TOO_LARGE: {
    status: 413,
    message: ({ size, limit }: { size: number; limit: number }) =>
      `Request body(${size} bytes) too large, max size: ${limit} bytes. See https://www.consul.io/docs/agent/config/config-files#txn_max_req_len.`,
    hint: () => 'Split the transaction, or raise "limits.txn_max_req_len"',
  },
  ENTERPRISE_PARAMETER: {
    status: 400,
    message: ({ where, name, feature }: { where: string; name: string; feature: string }) =>
      `Invalid ${where}: "${name}" - ${feature} are a Consul Enterprise feature`,
  },
  ENDPOINT_BLOCKED: { status: 403, message: () => 'Endpoint is blocked by agent configuration' },
  WRITE_REFUSED: {
    status: 403,
    message: () => 'Access is restricted',
    hint: () => 'The address of the caller is not in "http_config.allow_write_http_from"',
  },
  TOO_MANY_CONNECTIONS: {
    status: 429,
    message: () => 'Your IP is issuing too many concurrent connections, please rate limit your calls',
    hint: () => 'Raise "limits.http_max_conns_per_client"',
  },
  TOO_MANY_WAITING: {
    status: 429,
    message: ({ limit }: { limit: number }) =>
      `Cannot wait for a change: ${limit} requests wait already and that is the limit`,
    hint: () => 'Ask again without "index", or use another server',
  },
  INVALID_DEFINITION: { status: 400, message: ({ text }: { text: string }) => text },
  SCRIPTS_DISABLED: {
    status: 500,
    message: () =>
      "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
  },
  CONFIG_ENTRY_UNNAMED: { status: 404, message: () => 'Must provide both a kind and name to delete' },
  PARAMETER_REQUIRED: {
    status: 500,
    message: ({ name }: { name: string }) => `required query parameter '${name}' not set`,
  },
  INTENTION_MATCH_BY: { status: 500, message: () => "'by' parameter must be one of 'source' or 'destination'" },
  BAD_OVERRIDES: { status: 400, message: ({ problem }: { problem: string }) => `Request decoding failed: ${problem}` },
  OVERRIDE_GATEWAY_MODE: { status: 400, message: () => 'Invalid OverrideMeshGateway.Mode parameter' },
  UNKNOWN_SERVICE_ID: { status: 404, message: ({ id }: { id: string }) => `unknown service ID: ${id}` },
  SEGMENTS_UNSUPPORTED: {
    status: 500,
    message: () => 'Network segments are not supported in this version of Consul',
  },
  SAMENESS_UNSUPPORTED: { status: 500, message: () => 'sameness groups are not supported in consul CE' },
  KEYRING_REFUSED: { status: 500, message: ({ text }: { text: string }) => text },
  LISTEN_FAILED: {
    status: 500,
    message: ({ what, address, reason }: { what: string; address: string; reason: string }) =>
      `Cannot listen for ${what} on "${address}": ${reason}`,
    hint: ({ what }: { what: string; address: string; reason: string }) =>
      `Choose another port with ports.${what.toLowerCase()}, or stop what uses it`,
  },
  DNS_MESSAGE: { status: 400, message: ({ problem }: { problem: string }) => `Decode DNS message: ${problem}` },
})
