/**
 * What a service or check definition must satisfy before the agent takes it, with the texts that Consul's clients see.
 *
 * For request bodies and for files alike: shapes are read by the codec, this says whether they make sense.
 */
import { ipToBytes } from '#base'
import {
  type AgentCheckDefinition,
  type AgentCheckType,
  type AgentServiceDefinition,
  AgentCheckType as CheckType,
} from '#codec'
import { errorList } from './error-list.ts'
import { apiError } from './errors.ts'

const MAX_META_PAIRS = 64
const MAX_META_KEY_CHARACTERS = 128
const MAX_META_VALUE_CHARACTERS = 512
const META_KEY = /^[a-zA-Z0-9_-]+$/
const RESERVED_META_PREFIX = 'consul-'
/** Reserved keys that gateways set themselves. */
const GATEWAY_META = new Set(['consul-wan-federation'])
const GATEWAY_KINDS = new Set(['mesh-gateway', 'terminating-gateway', 'ingress-gateway', 'api-gateway'])

export interface DefinitionRules {
  /** Checks that run programs are taken. */
  readonly scripts: boolean
}

/** @throws HanseError INVALID_DEFINITION, SCRIPTS_DISABLED */
export function checkServiceDefinition(service: AgentServiceDefinition, rules: DefinitionRules): void {
  if (service.Name === '') throw invalid('Missing service name')
  if (isAnyAddress(service.Address)) throw invalid('Invalid service address')
  checkMeta(service)
  const { Weights } = service
  if (Weights !== null && Weights.Passing < 1) throw invalid('Invalid Weights: Passing must be greater than 0')
  if (Weights !== null && Weights.Warning < 0) throw invalid('Invalid Weights: Warning must be greater or equal than 0')
  const problems = [...proxyProblems(service), ...nativeProblems(service)]
  if (problems.length > 0) throw invalid(`Validation failed: ${errorList(problems)}`)
  for (const check of checksOf(service)) checkType(check, rules)
}

/** The checks of a service: `Check`, then `Checks`. */
export function checksOf(service: AgentServiceDefinition): AgentCheckType[] {
  return [service.Check, ...(service.Checks ?? [])].filter(
    (check) => check !== null && !CheckType.isEmpty(check),
  ) as AgentCheckType[]
}

/** @throws HanseError INVALID_DEFINITION, SCRIPTS_DISABLED */
export function checkCheckDefinition(check: AgentCheckDefinition, rules: DefinitionRules): void {
  if (check.Name === '') throw invalid('Missing check name')
  checkType(check, rules)
}

const STATUSES = new Set(['', 'passing', 'warning', 'critical'])

function checkType(check: AgentCheckType, rules: DefinitionRules): void {
  if (!STATUSES.has(check.Status)) throw invalid('Bad check status')
  const problem = typeProblem(check)
  if (problem !== undefined) throw invalid(`Invalid check: ${problem}`)
  if (isScript(check) && !rules.scripts) throw apiError('SCRIPTS_DISABLED', {})
}

function isScript(check: AgentCheckType): boolean {
  return (check.ScriptArgs?.length ?? 0) > 0 || (check.Args?.length ?? 0) > 0
}

function typeProblem(check: AgentCheckType): string | undefined {
  const targets = [check.HTTP, check.TCP, check.UDP, check.GRPC, check.H2PING, check.OSService, check.DockerContainerID]
  const isPeriodic = isScript(check) || targets.some((target) => target !== '')
  const isAlias = check.AliasNode !== '' || check.AliasService !== ''
  if (check.Interval > 0 && check.TTL > 0) return 'Interval and TTL cannot both be specified'
  if (isPeriodic && check.Interval <= 0) {
    return 'Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks'
  }
  return !isPeriodic && !isAlias && check.TTL <= 0 ? 'TTL must be > 0 for TTL checks' : undefined
}

function checkMeta({ Meta, Kind }: AgentServiceDefinition): void {
  const pairs = Object.entries(Meta ?? {})
  if (pairs.length > MAX_META_PAIRS) {
    throw invalid(`Invalid Service Meta: Node metadata cannot contain more than ${MAX_META_PAIRS} key/value pairs`)
  }
  for (const [key, value] of pairs) {
    const problem = metaProblem(key, value, GATEWAY_KINDS.has(Kind))
    if (problem === undefined) continue
    throw invalid(`Invalid Service Meta: Couldn't load metadata pair ('${key}', '${value}'): ${problem}`)
  }
}

function metaProblem(key: string, value: string, isGateway: boolean): string | undefined {
  if (key === '') return 'Key cannot be blank'
  if (!META_KEY.test(key)) return 'Key contains invalid characters'
  if (key.length > MAX_META_KEY_CHARACTERS) return `Key is too long (limit: ${MAX_META_KEY_CHARACTERS} characters)`
  if (key.startsWith(RESERVED_META_PREFIX) && !(isGateway && GATEWAY_META.has(key))) {
    return `Key prefix '${RESERVED_META_PREFIX}' is reserved for internal use`
  }
  if (value.length > MAX_META_VALUE_CHARACTERS) {
    return `Value is too long (limit: ${MAX_META_VALUE_CHARACTERS} characters)`
  }
  return undefined
}

function proxyProblems(service: AgentServiceDefinition): string[] {
  const { Kind, Port, SocketPath } = service
  if (Kind !== 'connect-proxy') return []
  const destination = service.Proxy?.DestinationServiceName ?? ''
  const problems: string[] = []
  if (Port === 0 && SocketPath === '') problems.push('Port or SocketPath must be set for a connect-proxy')
  if (destination === '') problems.push('Proxy.DestinationServiceName must be non-empty for Connect proxy services')
  if (destination === '*')
    problems.push('Proxy.DestinationServiceName must not be a wildcard for Connect proxy services')
  return problems
}

function nativeProblems({ Connect, Port, SocketPath }: AgentServiceDefinition): string[] {
  const lacks = Connect?.Native === true && Port === 0 && SocketPath === ''
  return lacks ? ['Port or SocketPath must be set for a Connect native service.'] : []
}

function isAnyAddress(address: string): boolean {
  const bytes = ipToBytes(address.replace(/^\[|\]$/g, ''))
  return bytes?.every((byte) => byte === 0) ?? false
}

function invalid(text: string): Error {
  return apiError('INVALID_DEFINITION', { text })
}
