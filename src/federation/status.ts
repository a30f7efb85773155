/**
 * What `hanse federation status` shows: per datacenter its gateways, gossip, RPC and replication, since when, when our
 * certificates end, and what is wrong in words that name the setting to change.
 */
import type { CertificateKind } from '#ca'

export type DatacenterState = 'ok' | 'degraded' | 'unreachable'

export interface FederationProblem {
  readonly Code: string
  /** Which setting, which datacenters. */
  readonly Message: string
  /** What to change. */
  readonly Hint: string
}

export interface GatewayStatus {
  readonly Address: string
  readonly Healthy: boolean
  readonly Source: 'federation-state' | 'pushed' | 'configured' | 'local'
  readonly LastError: string
}

export interface ReplicationTypeStatus {
  readonly Running: boolean
  readonly Index: number
  /** RFC 3339, empty: never. */
  readonly LastSuccess: string
  readonly LastError: string
  /** Seconds since the last round that worked or waits; 0 while the primary is reachable. */
  readonly LagSeconds: number
}

export interface DatacenterStatus {
  readonly Name: string
  readonly Primary: boolean
  readonly Local: boolean
  readonly State: DatacenterState
  /** Since when it is in that state, RFC 3339; empty: not known yet. */
  readonly Since: string
  readonly Gateways: readonly GatewayStatus[]
  readonly Gossip: { readonly Alive: number; readonly Failed: number; readonly Left: number }
  readonly RPC: {
    readonly OK: boolean
    readonly LastSuccessSeconds: number | null
    readonly LastError: string
    readonly Since: string
  }
  /** What we copy from it; null where we copy nothing. */
  readonly Replication: Readonly<Record<string, ReplicationTypeStatus>> | null
  readonly Problems: readonly FederationProblem[]
}

export interface CertificateStatus {
  readonly Kind: CertificateKind
  readonly Name: string
  readonly KeyID: string
  /** RFC 3339. */
  readonly NotBefore: string
  readonly NotAfter: string
  /** Negative: ended so long ago. */
  readonly RemainingSeconds: number
  /** `soon`: less than a tenth of its life is left. */
  readonly State: 'ok' | 'soon' | 'expired'
  /** Whether anything rests on it: not on a root that was replaced. */
  readonly Active: boolean
}

export interface FederationStatus {
  readonly Datacenter: string
  readonly PrimaryDatacenter: string
  readonly Domain: string
  readonly Node: string
  readonly GossipEncrypted: boolean
  readonly Datacenters: readonly DatacenterStatus[]
  /** Of this datacenter's mesh, its server's ports and the leafs that it keeps; the nearest end first. */
  readonly Certificates: readonly CertificateStatus[]
  /** What concerns no single datacenter. */
  readonly Problems: readonly FederationProblem[]
}
