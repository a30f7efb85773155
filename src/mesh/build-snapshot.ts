/**
 * Registration, defaults, chains, endpoints, intentions and certificates → the snapshot of one sidecar.
 *
 * Pure: whoever watches these things builds it again when one of them changes, and equal inputs give an equal snapshot.
 */
import type { CompiledDiscoveryChain, Intention, MsgpackValue, Node, NodeService } from '#codec'
import { meshError } from './errors.ts'
import { frozen } from './frozen.ts'
import { byPrecedence } from './intention-view.ts'
import { parseServiceSpiffeId } from './names.ts'
import type {
  ClusterSnapshot,
  ExposedPath,
  IntentionRule,
  LocalApp,
  ProxySnapshot,
  PublicListener,
  SnapshotLeaf,
  UpstreamSnapshot,
} from './proxy-snapshot.ts'
import { clustersOf, splitsOf } from './snapshot-clusters.ts'
import type { EndpointSources } from './snapshot-endpoints.ts'
import {
  numberOf,
  textOf,
  type UpstreamContext,
  type UpstreamQuestion,
  upstreamQuestions,
} from './snapshot-upstreams.ts'

export interface SnapshotInputs extends UpstreamContext, EndpointSources {
  readonly node: Node
  /** By the id of upstreamQuestions(); an upstream whose chain has not arrived yet is left out. */
  readonly chains: ReadonlyMap<string, CompiledDiscoveryChain>
  /** Those with the service as their destination. */
  readonly intentions: readonly Intention[]
  readonly defaultAllow: boolean
  readonly leaf: SnapshotLeaf
  readonly roots: readonly string[]
}

type Config = Readonly<Record<string, MsgpackValue>>

/**
 * Builds the snapshot.
 *
 * @throws HanseError SNAPSHOT_INCOMPLETE when the registration is of no sidecar
 */
export function buildSnapshot(inputs: SnapshotInputs): ProxySnapshot {
  const { proxy, node, datacenter, trustDomain } = inputs
  if (proxy.Kind !== 'connect-proxy') incomplete(proxy, `kind ${JSON.stringify(proxy.Kind)} is not connect-proxy`)
  const service = proxy.Proxy.DestinationServiceName
  if (service === '') incomplete(proxy, 'no destination service is named')
  const config: Config = { ...inputs.defaults.ProxyConfig, ...proxy.Proxy.Config }
  const clusters = new Map<string, ClusterSnapshot>()
  const upstreams = upstreamQuestions(inputs).flatMap((question) => upstreamSnapshot(inputs, question, clusters))
  return frozen({
    Kind: 'connect-proxy',
    ProxyID: proxy.ID,
    Node: node.Node,
    Service: service,
    Datacenter: datacenter,
    TrustDomain: trustDomain,
    Leaf: inputs.leaf,
    Roots: inputs.roots,
    Public: publicListener(inputs, config),
    ExposedPaths: exposedPaths(inputs),
    Upstreams: upstreams,
    Clusters: [...clusters.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1)),
  })
}

function incomplete(proxy: NodeService, what: string): never {
  throw meshError('SNAPSHOT_INCOMPLETE', { proxy: proxy.ID, what })
}

function upstreamSnapshot(
  inputs: SnapshotInputs,
  { id, name, datacenter, listener, config }: UpstreamQuestion,
  all: Map<string, ClusterSnapshot>,
): UpstreamSnapshot[] {
  const chain = inputs.chains.get(id)
  if (chain === undefined) return []
  const clusters = clustersOf(chain, inputs.trustDomain, inputs)
  for (const cluster of clusters.values()) all.set(cluster.Name, cluster)
  return [
    {
      ID: id,
      Name: name,
      Datacenter: datacenter,
      Listener: listener,
      Protocol: chain.Protocol,
      Chain: chain,
      ClusterOfNode: Object.fromEntries([...clusters].map(([key, cluster]) => [key, cluster.Name])),
      Splits: splitsOf(chain, clusters),
      Config: plainObject(config),
    },
  ]
}

/** Where a sidecar listens when it is registered without an address. */
const PUBLIC_ADDRESS_DEFAULT = '0.0.0.0'
const LOCAL_ADDRESS_DEFAULT = '127.0.0.1'
const LOCAL_CONNECT_TIMEOUT_MS_DEFAULT = 5000

function publicListener(inputs: SnapshotInputs, config: Config): PublicListener {
  const { proxy } = inputs
  const Address = textOf(config, 'bind_address') || proxy.Address || PUBLIC_ADDRESS_DEFAULT
  const Port = numberOf(config, 'bind_port') || proxy.Port
  return {
    Name: `public_listener:${Address}:${Port}`,
    Address,
    Port,
    Protocol: textOf(config, 'protocol') || 'tcp',
    LocalApp: localApp(proxy, config),
    MaxInboundConnections: numberOf(config, 'max_inbound_connections'),
    DefaultAllow: inputs.defaultAllow,
    Rules: [...inputs.intentions].sort(byPrecedence).flatMap((intention) => rule(inputs.trustDomain, intention)),
  }
}

function localApp({ Proxy: sidecar }: NodeService, config: Config): LocalApp {
  return {
    Address: sidecar.LocalServiceAddress || LOCAL_ADDRESS_DEFAULT,
    Port: sidecar.LocalServicePort,
    SocketPath: sidecar.LocalServiceSocketPath,
    ConnectTimeoutMs: numberOf(config, 'local_connect_timeout_ms') || LOCAL_CONNECT_TIMEOUT_MS_DEFAULT,
    RequestTimeoutMs: numberOf(config, 'local_request_timeout_ms'),
  }
}

/** Callers from peers are not served, so intentions about them are not told. */
function rule(
  trustDomain: string,
  { SourceName, SourcePeer, Precedence, Action, Permissions }: Intention,
): IntentionRule[] {
  if (SourcePeer !== '') return []
  const source = SourceName === '*' ? '[^/]+' : escaped(SourceName)
  // The dots of the trust domain stand bare, as in the expressions that a real server gives to Envoy.
  const Principal = `^spiffe://${trustDomain}/ns/default/dc/[^/]+/svc/${source}$`
  const permissions = (Permissions ?? []).filter((permission) => permission !== null)
  return [
    {
      Source: SourceName,
      Precedence,
      Principal,
      Action: permissions.length > 0 ? '' : Action,
      Permissions: permissions,
    },
  ]
}

/** A name as it stands in a URI, and as an expression that matches nothing else. */
const escaped = (name: string) => encodeURIComponent(name).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

function exposedPaths({ proxy, defaults }: SnapshotInputs): ExposedPath[] {
  const own = proxy.Proxy.Expose.Paths ?? []
  const paths = own.length > 0 ? own : (defaults.Expose.Paths ?? [])
  return paths.map(({ Path, ListenerPort, LocalPathPort, Protocol }) => ({
    Path,
    ListenerPort,
    LocalPathPort,
    Protocol: Protocol || 'http',
  }))
}

/** Opaque values as JSON has them. */
function plain(value: MsgpackValue): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return isList(value) ? value.map(plain) : plainObject(value)
}

const isList = (value: object): value is readonly MsgpackValue[] => Array.isArray(value)

function plainObject(config: Config): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, plain(value)]))
}

/** What a listener decides about a caller, and by which rule; none: the default decided. */
export interface ConnectionDecision {
  readonly allowed: boolean
  readonly rule: IntentionRule | undefined
}

/**
 * Whether a caller with a verified certificate may connect, for proxies that look at connections only.
 *
 * A rule about requests allows no connection here: what cannot be checked is refused.
 *
 * @param spiffeId - the URI of the caller's certificate
 */
export function authorizeConnection(snapshot: ProxySnapshot, spiffeId: string): ConnectionDecision {
  const caller = parseServiceSpiffeId(spiffeId)
  if (caller === undefined || caller.trustDomain !== snapshot.TrustDomain) return { allowed: false, rule: undefined }
  const { Rules, DefaultAllow } = snapshot.Public
  const found = Rules.find(({ Source }) => Source === '*' || Source === caller.service)
  return { allowed: found === undefined ? DefaultAllow : found.Action === 'allow', rule: found }
}
