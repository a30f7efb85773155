/**
 * The body of a config entry → a typed entry. Keys in CamelCase or snake_case; unknown ones are refused, all at once.
 */
import { HanseError } from '#base'
import {
  ChainOverrides,
  type ConfigEntry,
  configEntryFromJson,
  isConfigEntryKind,
  type LenientReadOptions,
  parseGoJson,
  parseHcl,
  type ReadProblems,
} from '#codec'
import { meshError } from './errors.ts'
import { multierror } from './multierror.ts'

/** Most problems that one answer lists. */
export const MAX_LISTED_PROBLEMS = 50

/**
 * Reads the JSON text of an entry, as PUT /v1/config gets it.
 *
 * @throws HanseError ENTRY_DECODE, its fact `problem` without the frame
 */
export function decodeEntryJson(text: string): ConfigEntry {
  return entryFromValue(parsed(() => parseGoJson(text)))
}

/**
 * Reads an entry from a file of configuration, which is HCL or JSON.
 *
 * @throws HanseError ENTRY_DECODE; HCL_SYNTAX naming `file`
 */
export function decodeEntryHcl(text: string, file: string): ConfigEntry {
  return text.trimStart().startsWith('{') ? decodeEntryJson(text) : entryFromValue(parseHcl(text, { file }))
}

function parsed(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (thrown) {
    if (thrown instanceof HanseError && typeof thrown.facts['problem'] === 'string') fail(thrown.facts['problem'])
    throw thrown
  }
}

/** Reads an entry from a parsed value. */
export function entryFromValue(value: unknown): ConfigEntry {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    fail('Payload does not contain a kind/Kind key at the top level')
  }
  const kind: unknown = 'Kind' in value ? value.Kind : 'kind' in value ? value.kind : undefined
  if (kind === undefined || kind === null) fail('Payload does not contain a kind/Kind key at the top level')
  if (typeof kind !== 'string') fail('Kind value in payload is not a string')
  if (!isConfigEntryKind(kind)) fail(`invalid config entry kind: ${kind}`)
  const { entry, problems } = configEntryFromJson(kind, value)
  refuse(problems)
  return entry
}

const GATEWAY_MODES: ReadonlySet<string> = new Set(['', 'none', 'local', 'remote'])

/**
 * Reads what a question about a discovery chain overrides; an empty body overrides nothing.
 *
 * @throws HanseError ENTRY_DECODE; OVERRIDE_INVALID for a gateway mode that does not exist
 */
export function decodeChainOverrides(text: string): ChainOverrides {
  if (text.trim() === '') return ChainOverrides.of()
  const problems: ReadProblems = { unknown: [], errors: [] }
  const options: LenientReadOptions = { unknownKeys: 'refuse', problems }
  const overrides = ChainOverrides.fromJson(
    parsed(() => parseGoJson(text)),
    '',
    options,
  )
  refuse(problems)
  if (!GATEWAY_MODES.has(overrides.OverrideMeshGateway.Mode)) {
    throw meshError('OVERRIDE_INVALID', { parameter: 'OverrideMeshGateway.Mode' })
  }
  return overrides
}

function refuse({ errors, unknown }: ReadProblems): void {
  if (errors.length > 0) {
    const shown = errors.slice(0, MAX_LISTED_PROBLEMS).sort()
    fail(`${errors.length} error(s) decoding:\n\n${shown.map((error) => `* ${error}`).join('\n')}`)
  }
  if (unknown.length > 0) fail(multierror(unknown.slice(0, MAX_LISTED_PROBLEMS).sort().map(unknownKey)))
}

const ENTERPRISE_KEYS: Readonly<Record<string, string>> = { namespace: 'namespaces', partition: 'partitions' }

function unknownKey(key: string): string {
  const enterprise = ENTERPRISE_KEYS[key.toLowerCase()]
  const why = enterprise === undefined ? '' : `, ${enterprise} are a consul enterprise feature`
  return `invalid config key ${JSON.stringify(key)}${why}`
}

function fail(problem: string): never {
  throw meshError('ENTRY_DECODE', { problem })
}
