/**
 * Local services and checks as /v1/agent shows them: the agent's forms, which differ from the catalog's.
 */
import { createHash } from 'node:crypto'
import {
  type ConnectProxyConfig,
  type FilterFields,
  type HealthCheck,
  map,
  type NodeService,
  ConnectProxyConfig as ProxyShape,
  ServiceAddress,
} from '#codec'

const taggedAddresses = map(ServiceAddress)
const DEFAULT_WEIGHTS = { Passing: 1, Warning: 1 }

/**
 * A service in the agent's JSON.
 *
 * @param contentHash - shown by the endpoint of one service only
 */
export function agentServiceJson(
  service: NodeService,
  datacenter: string,
  contentHash?: string,
): Record<string, unknown> {
  return {
    Kind: service.Kind === '' ? undefined : service.Kind,
    ID: service.ID,
    Service: service.Service,
    Tags: service.Tags ?? [],
    Meta: service.Meta ?? {},
    Port: service.Port,
    Address: service.Address,
    SocketPath: service.SocketPath === '' ? undefined : service.SocketPath,
    TaggedAddresses: taggedAddresses.isEmpty(service.TaggedAddresses)
      ? undefined
      : taggedAddresses.toJson(service.TaggedAddresses),
    Weights: service.Weights ?? DEFAULT_WEIGHTS,
    EnableTagOverride: service.EnableTagOverride,
    ContentHash: contentHash,
    Proxy: service.Kind === '' ? undefined : proxyJson(service.Proxy),
    Connect: service.Connect.Native ? { Native: true } : undefined,
    PeerName: service.PeerName === '' ? undefined : service.PeerName,
    Locality: service.Locality ?? undefined,
    Datacenter: datacenter,
  }
}

/** As in the catalog, but without a mode that is not set, and an upstream in our own datacenter names none. */
function proxyJson(proxy: ConnectProxyConfig): unknown {
  const json = ProxyShape.toJson(proxy)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json
  const Mode = proxy.Mode === '' ? undefined : proxy.Mode
  if (!('Upstreams' in json) || !Array.isArray(json.Upstreams)) return { ...json, Mode }
  const Upstreams = json.Upstreams.map((upstream: Record<string, unknown>) => ({
    ...upstream,
    Datacenter: upstream.Datacenter === '' ? undefined : upstream.Datacenter,
  }))
  return { ...json, Mode, Upstreams }
}

const HASH_HEX_DIGITS = 16

/** Changes whenever the JSON does; hexadecimal without leading zeros. */
export function contentHashOf(json: unknown): string {
  const digest = createHash('sha256').update(JSON.stringify(json)).digest('hex')
  return digest.slice(0, HASH_HEX_DIGITS).replace(/^0+(?=.)/, '')
}

/** What /v1/agent/health shows of a check's definition: always everything, always empty. */
const EMPTY_DEFINITION = {
  Interval: '0s',
  Timeout: '0s',
  DeregisterCriticalServiceAfter: '0s',
  HTTP: '',
  Header: null,
  Method: '',
  Body: '',
  TLSServerName: '',
  TLSSkipVerify: false,
  TCP: '',
  TCPUseTLS: false,
  UDP: '',
  GRPC: '',
  OSService: '',
  GRPCUseTLS: false,
}

/** A check in the form of /v1/agent/health. */
export function healthCheckJson(check: HealthCheck): Record<string, unknown> {
  return {
    Node: check.Node,
    CheckID: check.CheckID,
    Name: check.Name,
    Status: check.Status,
    Notes: check.Notes,
    Output: check.Output,
    ServiceID: check.ServiceID,
    ServiceName: check.ServiceName,
    ServiceTags: check.ServiceID === '' ? null : (check.ServiceTags ?? []),
    Type: '',
    ExposedPort: 0,
    Definition: EMPTY_DEFINITION,
    CreateIndex: 0,
    ModifyIndex: 0,
  }
}

const serviceAddresses: FilterFields = { '*': { Address: 'string', Port: 'number' } }

/** What `?filter=` may name in local services. */
export const agentServiceFields: FilterFields = {
  Address: 'string',
  Connect: { Native: 'bool' },
  ContentHash: 'string',
  Datacenter: 'string',
  EnableTagOverride: 'bool',
  ID: 'string',
  Kind: 'string',
  Meta: 'map',
  PeerName: 'string',
  Port: 'number',
  Proxy: {
    DestinationServiceID: 'string',
    DestinationServiceName: 'string',
    LocalServiceAddress: 'string',
    LocalServicePort: 'number',
    Mode: 'string',
  },
  Service: 'string',
  SocketPath: 'string',
  TaggedAddresses: serviceAddresses,
  Tags: 'list',
  Weights: { Passing: 'number', Warning: 'number' },
}

/** What `?filter=` may name in members. */
export const memberFields: FilterFields = {
  Addr: 'string',
  DelegateCur: 'number',
  DelegateMax: 'number',
  DelegateMin: 'number',
  Name: 'string',
  Port: 'number',
  ProtocolCur: 'number',
  ProtocolMax: 'number',
  ProtocolMin: 'number',
  Status: 'number',
  Tags: 'map',
}
