/**
 * All that one sidecar must know, in terms that every data plane can render: the built-in proxy and Envoy alike.
 *
 * Plain, frozen values that JSON can carry. Certificates are parts of it, so a snapshot is as secret as its leaf.
 */
import type { CompiledDiscoveryChain, IntentionPermission } from '#codec'

export interface ProxySnapshot {
  readonly Kind: 'connect-proxy'
  readonly ProxyID: string
  readonly Node: string
  /** Whom the proxy speaks for. */
  readonly Service: string
  readonly Datacenter: string
  readonly TrustDomain: string
  readonly Leaf: SnapshotLeaf
  /** Every root that is trusted, PEM. */
  readonly Roots: readonly string[]
  readonly Public: PublicListener
  readonly ExposedPaths: readonly ExposedPath[]
  /** In the order of the registration. */
  readonly Upstreams: readonly UpstreamSnapshot[]
  /** Of all upstreams, each once, by name. */
  readonly Clusters: readonly ClusterSnapshot[]
}

export interface SnapshotLeaf {
  /** The certificate, then its intermediates. */
  readonly CertPEM: string
  readonly PrivateKeyPEM: string
  /** RFC 3339 */
  readonly ValidBefore: string
}

/** Where the mesh calls the service: mutual TLS, then intentions, then the application. */
export interface PublicListener {
  readonly Name: string
  readonly Address: string
  readonly Port: number
  readonly Protocol: string
  readonly LocalApp: LocalApp
  readonly MaxInboundConnections: number
  readonly DefaultAllow: boolean
  /** The first that fits the caller decides. */
  readonly Rules: readonly IntentionRule[]
}

export interface LocalApp {
  readonly Address: string
  readonly Port: number
  /** Instead of address and port when it is set. */
  readonly SocketPath: string
  readonly ConnectTimeoutMs: number
  /** 0: the data plane's own. */
  readonly RequestTimeoutMs: number
}

export interface IntentionRule {
  /** A service's name or `*`; of any datacenter. */
  readonly Source: string
  readonly Precedence: number
  /** Matches the whole SPIFFE URI of callers that the rule is about. */
  readonly Principal: string
  /** `allow` or `deny`; empty when `Permissions` decide about each request. */
  readonly Action: string
  readonly Permissions: readonly IntentionPermission[]
}

/** A path of the application that is reachable without the mesh. */
export interface ExposedPath {
  readonly Path: string
  readonly ListenerPort: number
  readonly LocalPathPort: number
  readonly Protocol: string
}

/** One service that the application calls at a local address. */
export interface UpstreamSnapshot {
  /** `web`, `web?dc=dc1` */
  readonly ID: string
  readonly Name: string
  readonly Datacenter: string
  readonly Listener: UpstreamListener
  readonly Protocol: string
  readonly Chain: CompiledDiscoveryChain
  /** Resolver node of the chain → name of its cluster. */
  readonly ClusterOfNode: Readonly<Record<string, string>>
  /** For connections whose requests are not looked at: clusters by weight. The weights add up to about 100. */
  readonly Splits: readonly WeightedCluster[]
  /** What people said about this upstream, as they said it: limits, health checks, JSON for Envoy. */
  readonly Config: Readonly<Record<string, unknown>>
}

export interface UpstreamListener {
  readonly Name: string
  readonly Address: string
  readonly Port: number
  readonly SocketPath: string
  readonly SocketMode: string
}

export interface WeightedCluster {
  readonly Weight: number
  readonly Cluster: string
}

/** A target and what it fails over to, in order. */
export interface ClusterSnapshot {
  readonly Name: string
  readonly ConnectTimeoutMs: number
  /** The first that has a healthy endpoint is called. */
  readonly Targets: readonly TargetSnapshot[]
}

export interface TargetSnapshot {
  /** The cluster's own name, or `failover-target~<i>~<name>` where there are several. */
  readonly Name: string
  readonly TargetID: string
  readonly Datacenter: string
  readonly SNI: string
  /** The only identities that may answer; empty outside the mesh. */
  readonly SpiffeIDs: readonly string[]
  /** How it is reached: by its own address, or by the gateways of this or of its datacenter. */
  readonly Gateway: 'none' | 'local' | 'remote'
  readonly ConnectTimeoutMs: number
  readonly Endpoints: readonly EndpointSnapshot[]
}

export interface EndpointSnapshot {
  readonly Address: string
  readonly Port: number
  readonly Healthy: boolean
  readonly Weight: number
}
