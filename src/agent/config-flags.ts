/**
 * Flags of `agent` → configuration sources in the order in which they were given.
 *
 * Flags are written as Go's: `-name value`, `-name=value`, `--name`; a bool needs no value. Each stands for a key of the
 * table, so a flag can never mean something else than its key.
 */

import { configError } from './config-errors.ts'
import type { TextObject, TextValue } from './config-text.ts'

type FlagKind = 'string' | 'bool' | 'int' | 'list' | 'map'

interface FlagSpec {
  readonly kind: FlagKind
  /** The key that the flag sets, as a path. */
  readonly key: readonly string[]
}

function flag(kind: FlagKind, key: string): FlagSpec {
  return { kind, key: key.split('.') }
}

/** Flags that set keys. `-config-file`, `-config-dir`, `-config-format`, `-hcl` and `-dev` are not among them. */
export const AGENT_FLAGS: Readonly<Record<string, FlagSpec>> = {
  advertise: flag('string', 'advertise_addr'),
  'advertise-wan': flag('string', 'advertise_addr_wan'),
  'allow-write-http-from': flag('list', 'http_config.allow_write_http_from'),
  'alt-domain': flag('string', 'alt_domain'),
  'auto-reload-config': flag('bool', 'auto_reload_config'),
  bind: flag('string', 'bind_addr'),
  bootstrap: flag('bool', 'bootstrap'),
  'bootstrap-expect': flag('int', 'bootstrap_expect'),
  check_output_max_size: flag('int', 'check_output_max_size'),
  client: flag('string', 'client_addr'),
  'data-dir': flag('string', 'data_dir'),
  datacenter: flag('string', 'datacenter'),
  'default-query-time': flag('string', 'default_query_time'),
  'disable-host-node-id': flag('bool', 'disable_host_node_id'),
  'disable-keyring-file': flag('bool', 'disable_keyring_file'),
  'dns-port': flag('int', 'ports.dns'),
  domain: flag('string', 'domain'),
  'enable-local-script-checks': flag('bool', 'enable_local_script_checks'),
  'enable-script-checks': flag('bool', 'enable_script_checks'),
  encrypt: flag('string', 'encrypt'),
  'grpc-port': flag('int', 'ports.grpc'),
  'grpc-tls-port': flag('int', 'ports.grpc_tls'),
  'http-port': flag('int', 'ports.http'),
  'https-port': flag('int', 'ports.https'),
  join: flag('list', 'start_join'),
  'join-wan': flag('list', 'start_join_wan'),
  'log-file': flag('string', 'log_file'),
  'log-json': flag('bool', 'log_json'),
  'log-level': flag('string', 'log_level'),
  'log-rotate-bytes': flag('int', 'log_rotate_bytes'),
  'log-rotate-duration': flag('string', 'log_rotate_duration'),
  'log-rotate-max-files': flag('int', 'log_rotate_max_files'),
  'max-query-time': flag('string', 'max_query_time'),
  node: flag('string', 'node_name'),
  'node-id': flag('string', 'node_id'),
  'node-meta': flag('map', 'node_meta'),
  'non-voting-server': flag('bool', 'non_voting_server'),
  'pid-file': flag('string', 'pid_file'),
  'primary-gateway': flag('list', 'primary_gateways'),
  protocol: flag('int', 'protocol'),
  'raft-protocol': flag('int', 'raft_protocol'),
  'read-replica': flag('bool', 'read_replica'),
  recursor: flag('list', 'recursors'),
  rejoin: flag('bool', 'rejoin_after_leave'),
  'retry-interval': flag('string', 'retry_interval'),
  'retry-interval-wan': flag('string', 'retry_interval_wan'),
  'retry-join': flag('list', 'retry_join'),
  'retry-join-wan': flag('list', 'retry_join_wan'),
  'retry-max': flag('int', 'retry_max'),
  'retry-max-wan': flag('int', 'retry_max_wan'),
  segment: flag('string', 'segment'),
  'serf-lan-allowed-cidrs': flag('list', 'serf_lan_allowed_cidrs'),
  'serf-lan-bind': flag('string', 'serf_lan'),
  'serf-lan-port': flag('int', 'ports.serf_lan'),
  'serf-wan-allowed-cidrs': flag('list', 'serf_wan_allowed_cidrs'),
  'serf-wan-bind': flag('string', 'serf_wan'),
  'serf-wan-port': flag('int', 'ports.serf_wan'),
  server: flag('bool', 'server'),
  'server-port': flag('int', 'ports.server'),
  syslog: flag('bool', 'enable_syslog'),
  ui: flag('bool', 'ui_config.enabled'),
  'ui-content-path': flag('string', 'ui_config.content_path'),
  'ui-dir': flag('string', 'ui_config.dir'),
}

const OTHER_FLAGS: Readonly<Record<string, FlagKind>> = {
  'config-file': 'list',
  'config-dir': 'list',
  'config-format': 'string',
  hcl: 'list',
  dev: 'bool',
}

/** One source of configuration besides the defaults. */
export type ConfigSource =
  | { readonly type: 'file' | 'directory'; readonly path: string }
  | { readonly type: 'text'; readonly text: string; readonly name: string }

export interface AgentFlags {
  /** -config-file and -config-dir, in their order. */
  readonly sources: readonly ConfigSource[]
  /** Texts of -hcl; they come after all files. */
  readonly fragments: readonly ConfigSource[]
  /** What single flags set, each as an object with one key and the flag that set it; they come last. */
  readonly settings: readonly { readonly flag: string; readonly value: TextObject }[]
  readonly format: 'json' | 'hcl' | undefined
  readonly dev: boolean
}

/**
 * Reads the arguments of `agent`, without the command's name.
 *
 * @throws HanseError CONFIG_FLAG for an unknown flag, a missing or wrong value, or an argument that is no flag
 */
export function parseAgentFlags(args: readonly string[]): AgentFlags {
  const sources: ConfigSource[] = []
  const fragments: ConfigSource[] = []
  const settings: { flag: string; value: TextObject }[] = []
  let format: 'json' | 'hcl' | undefined
  let dev = false
  for (const { name, value } of splitFlags(args)) {
    const spec = Object.hasOwn(AGENT_FLAGS, name) ? AGENT_FLAGS[name] : undefined
    if (spec) settings.push({ flag: name, value: nested(spec.key, flagValue(name, spec.kind, value)) })
    else if (name === 'config-file') sources.push({ type: 'file', path: value })
    else if (name === 'config-dir') sources.push({ type: 'directory', path: value })
    else if (name === 'hcl') fragments.push({ type: 'text', text: value, name: 'flag -hcl' })
    else if (name === 'dev') dev = boolValue(name, value)
    else if (value === 'json' || value === 'hcl') format = value
    else throw configError('CONFIG_FLAG', { flag: name, problem: `expected json or hcl, got "${value}"` })
  }
  return { sources, fragments, settings, format, dev }
}

function splitFlags(args: readonly string[]): { name: string; value: string }[] {
  const found: { name: string; value: string }[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] ?? ''
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument)
    if (!match?.[1]) throw configError('CONFIG_FLAG', { flag: argument, problem: 'expected a flag such as -node=name' })
    const name = match[1]
    const kind = (Object.hasOwn(AGENT_FLAGS, name) ? AGENT_FLAGS[name]?.kind : undefined) ?? ownKind(name)
    if (!kind) throw configError('CONFIG_FLAG', { flag: name, problem: 'no such flag' })
    let value = match[2]
    if (value === undefined && kind === 'bool') value = 'true'
    if (value === undefined) value = args[++index]
    if (value === undefined) throw configError('CONFIG_FLAG', { flag: name, problem: 'its value is missing' })
    found.push({ name, value })
  }
  return found
}

function ownKind(name: string): FlagKind | undefined {
  return Object.hasOwn(OTHER_FLAGS, name) ? OTHER_FLAGS[name] : undefined
}

function flagValue(name: string, kind: FlagKind, text: string): TextValue {
  switch (kind) {
    case 'string':
      return text
    case 'bool':
      return boolValue(name, text)
    case 'int':
      if (!/^-?\d{1,15}$/.test(text)) {
        throw configError('CONFIG_FLAG', { flag: name, problem: `expected a whole number, got "${text}"` })
      }
      return Number(text)
    case 'list':
      return [text]
    case 'map': {
      const colon = text.indexOf(':')
      return colon === -1 ? { [text]: '' } : { [text.slice(0, colon)]: text.slice(colon + 1) }
    }
  }
}

function boolValue(name: string, text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw configError('CONFIG_FLAG', { flag: name, problem: `expected true or false, got "${text}"` })
}

function nested(path: readonly string[], value: TextValue): TextObject {
  const [key = '', ...rest] = path
  return { [key]: rest.length === 0 ? value : nested(rest, value) }
}
