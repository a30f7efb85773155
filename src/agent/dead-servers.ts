/**
 * A duty of the leader: takes servers that died out of the pools, the catalog and the store, once others stand in for
 * them. Without it they would stay for as long as a failed member is remembered, three days.
 *
 * A server is dead when it has been failed for the stabilization time. It is taken out when as many servers as the
 * datacenter is to have (`bootstrap_expect`, or MinQuorum) are alive and have been for that time, and they are more than
 * the dead: so a server that is only being restarted keeps its place.
 *
 * Source: Consul's documentation of autopilot, "dead server cleanup".
 */
import { type Clock, type Logger, type Metrics, messageOf } from '#base'
import type { AutopilotConfig } from '#codec'
import { type DatacenterServer, operator, type ServersPort } from '#endpoints'
import type { State } from '#state'

const INTERVAL_MS = 2_000
const NS_PER_MS = 1e6

/** Which of the servers are to be taken out now. @param expected - servers that the datacenter is to have */
export function deadServers(
  servers: readonly DatacenterServer[],
  config: AutopilotConfig,
  expected: number,
  nowWallMs: number,
): readonly DatacenterServer[] {
  if (!config.CleanupDeadServers) return []
  const stableMs = config.ServerStabilizationTime / NS_PER_MS
  const lasting = servers.filter(({ sinceWallMs }) => nowWallMs - sinceWallMs >= stableMs)
  const dead = lasting.filter(({ status }) => status === 'failed')
  const alive = lasting.filter(({ status }) => status === 'alive').length
  return alive >= Math.max(expected, config.MinQuorum, 1) && alive > dead.length ? dead : []
}

export interface DeadServersModules {
  readonly servers: ServersPort
  readonly state: State
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** @returns what stops it */
export function removeDeadServers(
  { servers, state, clock, log, metrics }: DeadServersModules,
  { expected }: { readonly expected: number },
): () => void {
  let busy = false
  const look = async () => {
    if (busy) return
    busy = true
    try {
      const { healthy, failureTolerance, servers: found } = await operator.healthOf(servers)
      metrics.gauge('consul.autopilot.healthy', healthy ? 1 : 0)
      metrics.gauge('consul.autopilot.failure_tolerance', failureTolerance)
      const config = operator.autopilotConfigOf({ state, ports: { servers } })
      const all = found.map(({ server }) => server)
      for (const server of deadServers(all, config, expected, clock.wallMs())) {
        log.info('removing a dead server: others stand in for it', { node: server.name, id: server.id })
        await servers.remove(server)
      }
    } catch (error) {
      log.warn('dead servers could not be looked after', { error: messageOf(error) })
    } finally {
      busy = false
    }
  }
  const timer = clock.every(INTERVAL_MS, () => void look())
  return () => timer.cancel()
}
