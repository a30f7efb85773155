/** How a server finds the others of its datacenter: the addresses of its configuration. */
import { type Clock, type Logger, messageOf, sleep } from '#base'
import type { GossipPool } from '#gossip'
import type { RuntimeConfig } from './config-runtime.ts'

/** Joins the LAN members of `start_join` and `retry_join`, the latter until it worked. @returns what ends it */
export function joinLan(lan: GossipPool, config: RuntimeConfig, clock: Clock, log: Logger): () => void {
  const stop = new AbortController()
  const join = async (addresses: readonly string[], again: boolean) => {
    for (let attempt = 1; addresses.length > 0 && !stop.signal.aborted; attempt++) {
      const { joined, errors } = await lan.join(addresses, { ignoreOld: true })
      if (joined > 0) return
      log.warn('no LAN member could be joined', { addresses: addresses.join(','), error: errors.join('; ') })
      if (!again || (config.retryJoinMaxAttempts > 0 && attempt >= config.retryJoinMaxAttempts)) return
      await sleep(clock, config.retryJoinIntervalMs, stop.signal)
    }
  }
  const run = (addresses: readonly string[], again: boolean) =>
    join(addresses, again).catch((error: unknown) => {
      if (!stop.signal.aborted) log.warn('joining the LAN failed', { error: messageOf(error) })
    })
  void run(config.startJoin, false)
  void run(config.retryJoin, true)
  return () => stop.abort(new Error('the agent is stopping'))
}
