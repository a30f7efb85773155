/**
 * The members of the etcd that a server's own one belongs to: listed, followed and taken out.
 */
import { type Clock, type Logger, messageOf } from '#base'
import type { EtcdMembership, KnownMember } from '#store'

/** How often the list of members is read again. */
const REFRESH_MS = 10_000

export interface EtcdMembersModules {
  readonly membership: EtcdMembership
  readonly clock: Clock
  readonly log: Logger
}

export class EtcdMembers {
  readonly #own: string
  readonly #modules: EtcdMembersModules
  readonly #listeners = new Set<(endpoints: readonly string[]) => void>()
  #endpoints: readonly string[]
  #stop = () => {}

  /** @param own - client URL of our own */
  constructor(own: string, modules: EtcdMembersModules) {
    this.#own = own
    this.#modules = modules
    this.#endpoints = [own]
  }

  /** Client URLs of all, our own first. */
  get endpoints(): readonly string[] {
    return this.#endpoints
  }

  /** Calls back when members come or go. */
  onEndpoints(listener: (endpoints: readonly string[]) => void): void {
    this.#listeners.add(listener)
  }

  /** Looks now, and again and again. */
  async follow(): Promise<void> {
    const timer = this.#modules.clock.every(REFRESH_MS, () => void this.#look())
    this.#stop = () => timer.cancel()
    await this.#look()
  }

  stop(): void {
    this.#stop()
  }

  list(): Promise<readonly KnownMember[]> {
    return this.#modules.membership.list()
  }

  /** Takes a server's member out, if enough are left that run. @throws STORE_REFUSED, STORE_UNREACHABLE */
  async remove(name: string): Promise<void> {
    const { membership } = this.#modules
    const member = (await membership.list()).find((each) => each.name === name)
    if (member) await membership.remove(member.id)
    await this.#look()
  }

  /** What cannot be listed now is listed the next time. */
  async #look(): Promise<void> {
    const { membership, log } = this.#modules
    try {
      const members = await membership.list()
      const others = members.map(({ clientUrl }) => clientUrl).filter((url) => url !== '' && url !== this.#own)
      this.#use([this.#own, ...others.sort()])
    } catch (error) {
      log.debug('the members of etcd could not be listed', { error: messageOf(error) })
    }
  }

  #use(endpoints: readonly string[]): void {
    this.#modules.membership.useEndpoints(endpoints)
    if (endpoints.join() === this.#endpoints.join()) return
    this.#endpoints = endpoints
    for (const listener of this.#listeners) listener(endpoints)
  }
}
