/**
 * Service and check definitions of files → bodies as the agent's API takes them.
 *
 * A definition from a file and one from `/v1/agent/service/register` so take the same path from here on. Key names
 * become Consul's JSON names; what belongs to the user (`meta`, headers, options of a proxy) keeps its keys.
 */
import { placeOf, type Tree, type TreeValue } from './config-decode.ts'
import { type ConfigProblems, configError } from './config-errors.ts'
import { CHECK_KEYS, SERVICE_KEYS } from './config-keys-definitions.ts'
import type { KeySpec, KeyTable } from './config-spec.ts'

export type DefinitionValue =
  | string
  | number
  | boolean
  | DefinitionValue[]
  | { readonly [key: string]: DefinitionValue }

/** JSON body of `/v1/agent/service/register`: `Name` is there, `Port` is 0 to 65535. */
export interface ServiceDefinitionBody {
  readonly [key: string]: DefinitionValue
}
/** JSON body of `/v1/agent/check/register`. */
export type CheckDefinitionBody = ServiceDefinitionBody

/** Words of a key that are not simply capitalised. */
const WORDS: Readonly<Record<string, string>> = {
  id: 'ID',
  http: 'HTTP',
  tcp: 'TCP',
  udp: 'UDP',
  ttl: 'TTL',
  grpc: 'GRPC',
  tls: 'TLS',
  os: 'OS',
  h2ping: 'H2PING',
  json: 'JSON',
}
/** Keys that the bodies do not have, or have under another name. */
const RENAMED: Readonly<Record<string, string | undefined>> = {
  namespace: undefined,
  partition: undefined,
  ports: undefined,
  script: undefined,
  destination_namespace: 'DestinationNamespace',
  destination_partition: 'DestinationPartition',
}

/** `tls_server_name` → `TLSServerName`; undefined for keys that a body cannot have. */
export function bodyKey(key: string): string | undefined {
  if (Object.hasOwn(RENAMED, key)) return RENAMED[key]
  return key
    .split('_')
    .map((word) => WORDS[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** Bodies of the services in `service` and `services`; faults go to `problems`. */
export function serviceBodies(tree: Tree, problems: ConfigProblems): ServiceDefinitionBody[] {
  const seen = new Map<string, string>()
  return [...trees(tree['service']), ...trees(tree['services'])].map((service) => {
    const { name, id, port } = service
    const place = firstPlace(service)
    if (typeof name !== 'string' || name === '') {
      problems.add(configError('CONFIG_INVALID_VALUE', { key: 'service', place, problem: 'it has no name' }))
    }
    if (typeof port === 'number' && (port < 0 || port > 65535)) {
      const problem = `port ${port} of service "${name}" is not 0 to 65535`
      problems.add(
        configError('CONFIG_INVALID_VALUE', { key: 'service.port', place: placeOf(service, 'port'), problem }),
      )
    }
    const key = typeof id === 'string' && id !== '' ? id : String(name)
    const before = seen.get(key)
    if (before !== undefined) {
      const problem = `service "${key}" was defined at ${before}; give it another id`
      problems.add(configError('CONFIG_INVALID_VALUE', { key: 'service', place, problem }))
    }
    seen.set(key, place)
    return body(service, SERVICE_KEYS)
  })
}

/** Bodies of the checks in `check` and `checks`; faults go to `problems`. */
export function checkBodies(tree: Tree, problems: ConfigProblems): CheckDefinitionBody[] {
  return [...trees(tree['check']), ...trees(tree['checks'])].map((check) => {
    const hasName = ['name', 'id', 'check_id'].some((key) => typeof check[key] === 'string' && check[key] !== '')
    if (!hasName) {
      problems.add(
        configError('CONFIG_INVALID_VALUE', {
          key: 'check',
          place: firstPlace(check),
          problem: 'it has neither name nor id',
        }),
      )
    }
    return body(check, CHECK_KEYS)
  })
}

function trees(value: TreeValue | undefined): Tree[] {
  if (!Array.isArray(value)) return []
  return value.filter((item): item is Tree => typeof item === 'object' && !Array.isArray(item))
}

function firstPlace(tree: Tree): string {
  const [first] = Object.keys(tree)
  return first === undefined ? 'an empty block' : placeOf(tree, first)
}

function body(tree: Tree, table: KeyTable): ServiceDefinitionBody {
  const out: { [key: string]: DefinitionValue } = {}
  for (const [key, value] of Object.entries(tree)) {
    const name = bodyKey(key)
    const spec = table[key]
    // A check's `id` and `check_id` are one, and only the latter exists in every body.
    const bodyName = key === 'id' && Object.hasOwn(table, 'check_id') ? 'CheckID' : name
    if (bodyName !== undefined && spec) out[bodyName] = bodyValue(value, spec)
  }
  return out
}

function bodyValue(value: TreeValue, spec: KeySpec): DefinitionValue {
  if (!spec.keys || typeof value !== 'object') return value
  if (Array.isArray(value)) return trees(value).map((item) => body(item, spec.keys ?? {}))
  if (spec.kind !== 'objects by name') return body(value, spec.keys)
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      typeof item === 'object' && !Array.isArray(item) ? body(item, spec.keys ?? {}) : item,
    ]),
  )
}
