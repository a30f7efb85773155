/**
 * In which order a proxy that looks at connections only tries the endpoints of an upstream.
 *
 * One cluster by the weights of the splits, its targets in the order of failover, of each a few healthy endpoints by
 * weight. Later targets are tried too when all before them fail: behind a gateway a healthy endpoint is only the gateway.
 */
import type { Random } from '#base'
import type {
  ClusterSnapshot,
  EndpointSnapshot,
  ProxySnapshot,
  TargetSnapshot,
  UpstreamSnapshot,
} from './proxy-snapshot.ts'

/** Most endpoints of one target that one connection tries. */
export const MAX_ATTEMPTS_PER_TARGET = 3

export interface DialAttempt {
  readonly target: TargetSnapshot
  readonly endpoint: EndpointSnapshot
}

/**
 * The attempts for one new connection; empty when nothing healthy is known.
 *
 * @param upstream - one of `snapshot.Upstreams`
 */
export function dialPlan(snapshot: ProxySnapshot, upstream: UpstreamSnapshot, random: Random): DialAttempt[] {
  const cluster = pickCluster(snapshot, upstream, random.float())
  return (cluster?.Targets ?? []).flatMap((target) =>
    byWeight(
      target.Endpoints.filter(({ Healthy }) => Healthy),
      random,
    )
      .slice(0, MAX_ATTEMPTS_PER_TARGET)
      .map((endpoint) => ({ target, endpoint })),
  )
}

/** The cluster at a point between 0 and 1 of all weights laid end to end. */
function pickCluster(snapshot: ProxySnapshot, { Splits }: UpstreamSnapshot, at: number): ClusterSnapshot | undefined {
  const total = Splits.reduce((sum, { Weight }) => sum + Weight, 0)
  let left = at * total
  let chosen = Splits.at(-1)
  for (const split of Splits) {
    left -= split.Weight
    if (left >= 0) continue
    chosen = split
    break
  }
  return snapshot.Clusters.find(({ Name }) => Name === chosen?.Cluster)
}

/** A random order in which heavier endpoints come earlier more often (Efraimidis and Spirakis, 2006). */
function byWeight(endpoints: readonly EndpointSnapshot[], random: Random): EndpointSnapshot[] {
  return endpoints
    .map((endpoint) => ({ endpoint, key: -Math.log(1 - random.float()) / endpoint.Weight }))
    .sort((a, b) => a.key - b.key)
    .map(({ endpoint }) => endpoint)
}
