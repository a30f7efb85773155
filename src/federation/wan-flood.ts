/**
 * Brings the servers of our own datacenter into the WAN pool: each server says in its LAN tags where its WAN gossip is,
 * and whoever sees a server in the LAN pool that is missing in the WAN pool joins it there. So a server that can only be
 * reached by its siblings is known to all datacenters as soon as one of them knows it.
 *
 * Where none is missing, the lists of the WAN pool are compared with those of a sibling, of one after the other: what gossip
 * lost on its way through the gateways reaches all servers of a datacenter soon after the first, and not only when a
 * member somewhere in the world happens to be compared with.
 *
 * Source: gossip wire notes §15 (`wan_join_port`).
 */
import { type Clock, formatHostPort, type Logger, messageOf, type Timer } from '#base'
import type { GossipPool, Member } from '#gossip'
import { asServer } from './servers.ts'

/** After a change of the LAN pool, so that a start of several servers is one look. */
const SETTLE_MS = 200
/** Between two looks where nothing changed. */
const INTERVAL_MS = 10_000
/** Between two joins of one server that did not work. */
const RETRY_MS = 3_000
/** Servers that are joined in one look. */
const MAX_AT_A_TIME = 8

export interface WanFloodModules {
  readonly lan: Pick<GossipPool, 'members' | 'on' | 'localName'>
  readonly wan: Pick<GossipPool, 'members' | 'join'>
  readonly clock: Clock
  readonly log: Logger
}

/** The other servers of our datacenter: their names in the WAN pool, and the addresses to join them by. */
function siblings(datacenter: string, self: string, lan: readonly Member[]): { name: string; address: string }[] {
  return lan.flatMap((member) => {
    const port = Number(member.tags.wan_join_port)
    if (member.status !== 'alive' || member.name === self || !asServer(member)) return []
    if (!Number.isInteger(port) || port <= 0 || port > 65_535) return []
    const name = `${member.name}.${datacenter}`
    return [{ name, address: `${name}/${formatHostPort(member.address, port)}` }]
  })
}

/** The servers of our datacenter that the WAN pool lacks, as addresses to join. */
export function missingInWan(
  datacenter: string,
  self: string,
  lan: readonly Member[],
  wan: readonly Pick<Member, 'name' | 'status'>[],
): readonly string[] {
  const there = new Set(wan.filter(({ status }) => status === 'alive').map(({ name }) => name.toLowerCase()))
  return siblings(datacenter, self, lan).flatMap(({ name, address }) =>
    there.has(name.toLowerCase()) ? [] : [address],
  )
}

export class WanFlood {
  readonly #datacenter: string
  readonly #modules: WanFloodModules
  #timer: Timer | undefined
  #cancel: () => void = () => {}
  #stopped = false
  #looks = 0

  constructor(datacenter: string, modules: WanFloodModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    this.#cancel = this.#modules.lan.on((event) => {
      if (event.type === 'member-join' || event.type === 'member-update') this.#schedule(SETTLE_MS)
    })
    this.#schedule(SETTLE_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
    this.#timer?.cancel()
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#stopped) this.#timer = this.#modules.clock.after(delayMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    const { lan, wan, log } = this.#modules
    const missing = missingInWan(this.#datacenter, lan.localName, lan.members(), wan.members()).slice(0, MAX_AT_A_TIME)
    let failed = false
    for (const address of missing) {
      if (this.#stopped) return
      try {
        const { joined, errors } = await wan.join([address], { ignoreOld: true })
        if (joined > 0) log.info('brought a server of our datacenter into the WAN pool', { server: address })
        else throw new Error(errors.join('; '))
      } catch (error) {
        failed = true
        log.debug('a server of our datacenter could not be brought into the WAN pool', {
          server: address,
          error: messageOf(error),
        })
      }
    }
    if (missing.length === 0) await this.#compare()
    this.#schedule(failed ? RETRY_MS : INTERVAL_MS)
  }

  /** To join one that is there already is to exchange lists with it. */
  async #compare(): Promise<void> {
    const { lan, wan, log } = this.#modules
    const all = siblings(this.#datacenter, lan.localName, lan.members())
    const sibling = all[this.#looks++ % Math.max(1, all.length)]
    if (sibling === undefined) return
    try {
      const { joined, errors } = await wan.join([sibling.address], { ignoreOld: true })
      if (joined === 0) throw new Error(errors.join('; '))
    } catch (error) {
      log.debug('the WAN pool was not compared with that of a server of our datacenter', {
        server: sibling.address,
        error: messageOf(error),
      })
    }
  }
}
