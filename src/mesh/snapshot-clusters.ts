/**
 * The clusters of a chain: one for each resolver, with what it fails over to.
 *
 * Names are Consul's, so that dashboards and Envoy's own statistics keep their meaning.
 *
 * Source: federation wire notes §8.
 */
import type { CompiledDiscoveryChain, DiscoveryGraphNode, DiscoveryTarget } from '#codec'
import { serviceSpiffeId } from './names.ts'
import type { ClusterSnapshot, TargetSnapshot, WeightedCluster } from './proxy-snapshot.ts'
import { type EndpointSources, endpointsOf, gatewayOf } from './snapshot-endpoints.ts'

const NS_PER_MS = 1e6

/** Clusters by resolver node. */
export function clustersOf(
  chain: CompiledDiscoveryChain,
  trustDomain: string,
  sources: EndpointSources,
): Map<string, ClusterSnapshot> {
  const clusters = new Map<string, ClusterSnapshot>()
  for (const [key, node] of Object.entries(chain.Nodes ?? {})) {
    const cluster = node === null ? undefined : clusterOf(chain, node, trustDomain, sources)
    if (cluster !== undefined) clusters.set(key, cluster)
  }
  return clusters
}

function clusterOf(
  chain: CompiledDiscoveryChain,
  { Resolver }: DiscoveryGraphNode,
  trustDomain: string,
  sources: EndpointSources,
): ClusterSnapshot | undefined {
  if (Resolver === null) return undefined
  const ids = [Resolver.Target, ...(Resolver.Failover?.Targets ?? [])]
  const targets = ids.flatMap((id) => chain.Targets?.[id] ?? [])
  const primary = targets[0]
  if (primary === undefined) return undefined
  const prefix = chain.CustomizationHash === '' ? '' : `${chain.CustomizationHash}~`
  const Name = `${prefix}${primary.Name}`
  return {
    Name,
    ConnectTimeoutMs: Resolver.ConnectTimeout / NS_PER_MS,
    Targets: targets.map((target, index) => {
      const name = targets.length === 1 ? Name : `failover-target~${index}~${Name}`
      return targetSnapshot(name, target, trustDomain, sources)
    }),
  }
}

function targetSnapshot(
  Name: string,
  target: DiscoveryTarget,
  trustDomain: string,
  sources: EndpointSources,
): TargetSnapshot {
  const inMesh = !target.External && target.Peer === ''
  return {
    Name,
    TargetID: target.ID,
    Datacenter: target.Datacenter,
    SNI: target.SNI,
    SpiffeIDs: inMesh ? [serviceSpiffeId(trustDomain, target.Datacenter, target.Service)] : [],
    Gateway: gatewayOf(target, sources.datacenter),
    ConnectTimeoutMs: target.ConnectTimeout / NS_PER_MS,
    Endpoints: target.Peer === '' ? endpointsOf(target, sources) : [],
  }
}

/** For connections whose requests no one looks at: the route for all of them, then splits by weight. */
export function splitsOf(
  chain: CompiledDiscoveryChain,
  clusters: ReadonlyMap<string, ClusterSnapshot>,
): WeightedCluster[] {
  let key = chain.StartNode
  const routes = chain.Nodes?.[key]?.Routes ?? []
  if (routes.length > 0) key = routes.at(-1)?.NextNode ?? ''
  const splits = chain.Nodes?.[key]?.Splits ?? []
  const weighted = splits.length === 0 ? [{ Weight: 100, NextNode: key }] : splits.filter((split) => split !== null)
  return weighted.flatMap(({ Weight, NextNode }) => {
    const cluster = clusters.get(NextNode)
    return cluster === undefined || Weight === 0 ? [] : [{ Weight, Cluster: cluster.Name }]
  })
}
