/**
 * From what users define to what the agent holds: services with their addresses filled in, sidecars written out, checks
 * with their IDs. Pure.
 */
import { checksOf } from '#api'
import { formatDuration } from '#base'
import {
  type AgentCheckDefinition,
  AgentCheckType,
  AgentServiceDefinition,
  ConnectProxyConfig,
  HealthCheck,
  NodeService,
  type ServiceAddress,
  snakeToDefinition,
  Weights,
} from '#codec'
import { localAgentError } from './local-errors.ts'

/** Ports that sidecars without one get. */
export const SIDECAR_PORTS = { first: 21_000, last: 21_255 } as const
const SIDECAR_CHECK_NS = 10e9
const MAX_ID_CHARACTERS = 1_024
/** A service that is renamed or removed is one transaction with its checks. */
export const MAX_CHECKS_PER_SERVICE = 100

export type CheckKind = 'http' | 'tcp' | 'ttl' | 'alias'

/** A check as the agent runs it. */
export interface CheckSpec {
  readonly id: string
  readonly kind: CheckKind
  readonly serviceId: string
  readonly type: AgentCheckType
  /** Registered by itself, not in a service's definition: its record then says its times also where they are none. */
  readonly alone?: true
}

/** The node's service of a definition. */
export function nodeServiceOf(definition: AgentServiceDefinition): NodeService {
  const { Address, Port } = definition
  return NodeService.of({
    Kind: definition.Kind,
    ID: definition.ID || definition.Name,
    Service: definition.Name,
    Tags: definition.Tags ?? [],
    Address,
    TaggedAddresses: taggedAddresses(definition.TaggedAddresses, Address, Port),
    Meta: definition.Meta,
    Port,
    SocketPath: definition.SocketPath,
    Weights: definition.Weights ?? Weights.of({ Passing: 1, Warning: 1 }),
    EnableTagOverride: definition.EnableTagOverride,
    Proxy: proxyOf(definition.Proxy ?? ConnectProxyConfig.of()),
    Connect: { Native: definition.Connect?.Native ?? false, SidecarService: null, PeerMeta: null },
    Locality: definition.Locality,
  })
}

/** An upstream whose kind is not said is a service. */
function proxyOf(proxy: ConnectProxyConfig): ConnectProxyConfig {
  if (proxy.Upstreams === null) return proxy
  const Upstreams = proxy.Upstreams.map((each) => ({ ...each, DestinationType: each.DestinationType || 'service' }))
  return { ...proxy, Upstreams }
}

/** An IP address of a service stands also under the tags of its family. */
function taggedAddresses(
  given: Readonly<Record<string, ServiceAddress>> | null,
  address: string,
  port: number,
): Readonly<Record<string, ServiceAddress>> | null {
  const family = /^\d+\.\d+\.\d+\.\d+$/.test(address) ? 'ipv4' : address.includes(':') ? 'ipv6' : undefined
  if (!family) return given
  const own = { Address: address, Port: port }
  return { [`lan_${family}`]: own, [`wan_${family}`]: own, ...given }
}

/**
 * The sidecar that a definition asks for, as a definition of its own; undefined when it asks for none.
 *
 * @param takenPorts - ports of other services of this agent
 * @param portBefore - the one that this sidecar had so far; it is kept where none is asked for
 * @throws SIDECAR_PORTS_USED_UP, NESTED_SIDECAR; JSON_ codes of #codec
 */
export function sidecarOf(
  definition: AgentServiceDefinition,
  takenPorts: ReadonlySet<number>,
  portBefore?: number,
): AgentServiceDefinition | undefined {
  const asked = definition.Connect?.SidecarService
  if (asked === null || asked === undefined) return undefined
  const given = AgentServiceDefinition.fromJson(snakeToDefinition(asked), 'Connect.SidecarService', {
    unknownKeys: 'refuse',
  })
  const id = definition.ID || definition.Name
  if (given.Connect?.SidecarService) throw localAgentError('NESTED_SIDECAR', { service: id })
  const proxy = given.Proxy ?? ConnectProxyConfig.of()
  const port = given.Port || freePort(id, takenPorts, portBefore)
  const address = given.Address || definition.Address
  const local = definition.Port === 0 ? {} : { LocalServiceAddress: '127.0.0.1', LocalServicePort: definition.Port }
  const checks = checksOf(given)
  return AgentServiceDefinition.of({
    ...given,
    Kind: 'connect-proxy',
    ID: sidecarId(definition),
    Name: given.Name || `${definition.Name}-sidecar-proxy`,
    Tags: given.Tags ?? definition.Tags,
    Meta: given.Meta ?? definition.Meta,
    Address: address,
    Port: port,
    Proxy: {
      ...proxy,
      DestinationServiceName: proxy.DestinationServiceName || definition.Name,
      DestinationServiceID: proxy.DestinationServiceID || id,
      ...(proxy.LocalServiceAddress === '' && proxy.LocalServicePort === 0 ? local : {}),
    },
    Check: null,
    Checks: checks.length > 0 ? checks : defaultSidecarChecks(id, address || '127.0.0.1', port),
    Connect: null,
  })
}

export function sidecarId(definition: AgentServiceDefinition): string {
  return `${definition.ID || definition.Name}-sidecar-proxy`
}

/** The definition without its sidecar. */
export function withoutSidecar(definition: AgentServiceDefinition): AgentServiceDefinition {
  if (!definition.Connect) return definition
  return { ...definition, Connect: { ...definition.Connect, SidecarService: null } }
}

/** The definition with the port that its sidecar was given, so that it has the same one after a restart. */
export function withSidecarPort(definition: AgentServiceDefinition, port: number | undefined): AgentServiceDefinition {
  const asked = definition.Connect?.SidecarService
  if (!definition.Connect || !asked || port === undefined) return definition
  if (typeof asked !== 'object' || Array.isArray(asked) || asked instanceof Uint8Array) return definition
  const others = Object.entries(asked).filter(([key]) => key.toLowerCase() !== 'port')
  const SidecarService = { ...Object.fromEntries(others), Port: port }
  return { ...definition, Connect: { ...definition.Connect, SidecarService } }
}

function freePort(service: string, taken: ReadonlySet<number>, before: number | undefined): number {
  if (before !== undefined && before > 0 && !taken.has(before)) return before
  const { first, last } = SIDECAR_PORTS
  for (let port: number = first; port <= last; port++) if (!taken.has(port)) return port
  throw localAgentError('SIDECAR_PORTS_USED_UP', { service, first, last })
}

function defaultSidecarChecks(id: string, host: string, port: number): readonly AgentCheckType[] {
  return [
    AgentCheckType.of({ Name: 'Connect Sidecar Listening', TCP: `${host}:${port}`, Interval: SIDECAR_CHECK_NS }),
    AgentCheckType.of({ Name: `Connect Sidecar Aliasing ${id}`, AliasService: id }),
  ]
}

/** A record's ID becomes part of a key in the catalog. @throws ID_INVALID */
function checkId(kind: string, id: string): void {
  if (id.length > MAX_ID_CHARACTERS || id.includes('\0')) throw localAgentError('ID_INVALID', { kind, id })
}

/** @throws TOO_MANY_CHECKS */
export function limitChecks(service: string, checks: number): void {
  if (service === '' || checks <= MAX_CHECKS_PER_SERVICE) return
  throw localAgentError('TOO_MANY_CHECKS', { service, checks, limit: MAX_CHECKS_PER_SERVICE })
}

/** The checks of a service's definition. @throws ID_INVALID, TOO_MANY_CHECKS, CHECK_KIND_UNSUPPORTED */
export function serviceChecks(definition: AgentServiceDefinition): readonly CheckSpec[] {
  const serviceId = definition.ID || definition.Name
  const types = checksOf(definition)
  checkId('service', serviceId)
  limitChecks(serviceId, types.length)
  for (const type of types) checkId('check', type.CheckID)
  return types.map((type, index) => ({
    id: type.CheckID || (types.length === 1 ? `service:${serviceId}` : `service:${serviceId}:${index + 1}`),
    kind: kindOf(type),
    serviceId,
    type: { ...type, Name: type.Name || `Service '${definition.Name}' check` },
  }))
}

/** A check on its own. @throws ID_INVALID, CHECK_KIND_UNSUPPORTED */
export function ownCheck(definition: AgentCheckDefinition): CheckSpec {
  checkId('check', definition.ID || definition.CheckID || definition.Name)
  return {
    id: definition.ID || definition.CheckID || definition.Name,
    kind: kindOf(definition),
    serviceId: definition.ServiceID,
    type: definition,
    alone: true,
  }
}

function kindOf(type: AgentCheckType): CheckKind {
  if (type.HTTP !== '') return 'http'
  if (type.TCP !== '') return 'tcp'
  if (type.AliasNode !== '' || type.AliasService !== '') return 'alias'
  const others = {
    UDP: type.UDP,
    GRPC: type.GRPC,
    H2PING: type.H2PING,
    OSService: type.OSService,
    Docker: type.DockerContainerID,
  }
  const other = Object.entries(others).find(([, target]) => target !== '')
  if (other) throw localAgentError('CHECK_KIND_UNSUPPORTED', { kind: other[0], name: type.Name })
  return 'ttl'
}

/** The check's record before it first ran. */
export function initialCheck(spec: CheckSpec, node: string, service: NodeService | undefined): HealthCheck {
  const { type, kind, alone = false } = spec
  const periodic = kind === 'http' || kind === 'tcp'
  const duration = (ns: number) => (alone || (periodic && ns > 0) ? formatDuration(ns) : '')
  return HealthCheck.of({
    Node: node,
    CheckID: spec.id,
    Name: type.Name,
    Status: type.Status || 'critical',
    Notes: type.Notes,
    ServiceID: spec.serviceId,
    ServiceName: service?.Service ?? '',
    ServiceTags: service?.Tags ?? null,
    Type: kind,
    Interval: duration(type.Interval),
    Timeout: duration(type.Timeout),
  })
}
