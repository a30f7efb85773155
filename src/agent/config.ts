/**
 * Configuration of an agent: flags and files in → one frozen value, or every problem at once.
 *
 * Order, as in Consul: defaults, -dev, files and directories as given, -hcl, flags. Later scalars win, lists grow. Only
 * config-files.ts touches disk and machine, and nothing reads the environment.
 */

import { buildConfig } from './config-build.ts'
import { DEV_SOURCE } from './config-build-network.ts'
import { decodeTree, setPlace, type Tree } from './config-decode.ts'
import { ConfigProblems } from './config-errors.ts'
import { type Machine, readSources, thisMachine } from './config-files.ts'
import { type ConfigSource, parseAgentFlags } from './config-flags.ts'
import { CONFIG_KEYS } from './config-keys.ts'
import { mergeInto } from './config-merge.ts'
import { TreeReader } from './config-read.ts'
import type { RuntimeConfig } from './config-runtime.ts'
import type { TextObject } from './config-text.ts'
import { validateConfig } from './config-validate.ts'

export interface LoadConfigInput {
  /** Arguments of `agent`, without its name. */
  readonly args?: readonly string[]
  /** Files and directories before those of `args`, as `validate` takes them. */
  readonly paths?: readonly string[]
  /** Format of files whose name does not tell; a `-config-format` of `args` wins. */
  readonly format?: 'json' | 'hcl'
  /** Host name and addresses; those of this machine when missing. */
  readonly machine?: Machine
}

export interface LoadedConfig {
  readonly config: RuntimeConfig
  /** Lines to show at start, in order. */
  readonly warnings: readonly string[]
}

/** What -dev sets before files and flags: one server on loopback that forgets everything. */
const DEV_DEFAULTS: TextObject = {
  server: true,
  bootstrap: true,
  bind_addr: '127.0.0.1',
  advertise_addr: '127.0.0.1',
  log_level: 'debug',
  disable_keyring_file: true,
  connect: { enabled: true },
  performance: { leave_drain_time: '0s' },
  gossip_lan: { gossip_interval: '100ms', probe_interval: '100ms', probe_timeout: '100ms', suspicion_mult: 3 },
  gossip_wan: { gossip_interval: '100ms', probe_interval: '100ms', probe_timeout: '100ms', suspicion_mult: 3 },
}

/**
 * Loads, merges, checks and freezes the configuration.
 *
 * @throws HanseError CONFIG_* (several problems at once: CONFIG_SEVERAL), HCL_SYNTAX, JSON_SYNTAX, TEXT_TOO_LARGE
 */
export function loadConfig(input: LoadConfigInput): LoadedConfig {
  const warnings: string[] = []
  const problems = new ConfigProblems()
  const flags = parseAgentFlags(input.args ?? [])
  const before: ConfigSource[] = (input.paths ?? []).map((path) => ({ type: 'file', path }))
  const parsed = readSources([...before, ...flags.sources, ...flags.fragments], flags.format ?? input.format, warnings)

  const tree: Tree = {}
  if (flags.dev) mergeInto(tree, decodeTree(DEV_DEFAULTS, CONFIG_KEYS, { file: DEV_SOURCE, problems, warnings }))
  for (const { name, value } of parsed) {
    mergeInto(tree, decodeTree(value, CONFIG_KEYS, { file: name, problems, warnings }))
  }
  for (const { flag, value } of flags.settings) {
    mergeInto(tree, decodeTree(value, CONFIG_KEYS, { file: `flag -${flag}`, problems, warnings }))
  }
  applyExclusions(tree, flags.dev)

  const reader = new TreeReader(tree)
  const config = buildConfig({ tree, reader, machine: input.machine ?? thisMachine, dev: flags.dev, problems })
  validateConfig({ config, reader, problems, warnings })
  problems.throwAny()
  return { config: deepFreeze(config), warnings }
}

/** -dev's own bootstrap gives way to what a user wrote. */
function applyExclusions(tree: Tree, dev: boolean): void {
  if (dev && tree['server'] === false) {
    tree['bootstrap'] = false
    setPlace(tree, 'bootstrap', DEV_SOURCE)
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
