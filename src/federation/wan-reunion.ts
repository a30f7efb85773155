/**
 * How a server that was started anew finds the datacenters again that it knew: those of the stored federation states.
 *
 * The WAN pool begins empty at each start. A secondary joins its primary and hears of all others there. But a primary
 * whose gateway came back at another address is found by nobody, and the secondaries of a primary that is away have no
 * one to ask. Their gateways are known from before, so each is joined until a server of it is in the pool.
 */
import type { Clock, Logger } from '#base'
import type { GossipPool, Member } from '#gossip'
import { WanJoin } from './wan-join.ts'

export interface WanReunionModules {
  readonly wan: Pick<GossipPool, 'join'> & { members(): readonly Pick<Member, 'tags'>[] }
  readonly clock: Clock
  readonly log: Logger
}

export class WanReunion {
  readonly #modules: WanReunionModules
  readonly #joins = new Map<string, WanJoin>()

  constructor(modules: WanReunionModules) {
    this.#modules = modules
  }

  /** Joins these and no others from now on; those whose servers are in the pool, or have left it, are at rest. */
  follow(datacenters: readonly string[]): void {
    for (const [name, join] of this.#joins) {
      if (datacenters.includes(name)) continue
      join.stop()
      this.#joins.delete(name)
    }
    for (const name of datacenters) {
      if (this.#joins.has(name)) continue
      const { wan } = this.#modules
      const joined = () => wan.members().some((member) => member.tags.dc === name)
      const join = new WanJoin(name, { ...this.#modules, joined })
      this.#joins.set(name, join)
      join.start()
    }
  }

  /** Tries all that are missing now: other gateways are known. */
  wake(): void {
    for (const join of this.#joins.values()) join.wake()
  }

  stop(): void {
    this.follow([])
  }
}
