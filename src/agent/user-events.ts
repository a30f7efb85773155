/**
 * The user events that reached this agent: those that are meant for its node, its services and their tags; the last 256.
 *
 * Filters are regular expressions of whoever fired the event: they are matched in linear time, and one that is none, or an
 * event that cannot be read, is counted and left out.
 *
 * Source: gossip wire notes §15.
 */
import { type Logger, type Metrics, messageOf } from '#base'
import { compileRegex, decodeUserEvent, type NodeService, USER_EVENT_VERSION, UserEvent } from '#codec'
import type { GossipEvent, GossipPool } from '#gossip'

/** Events that are kept; the oldest goes. */
export const MAX_KEPT_EVENTS = 256
/** What names of user events begin with, where Consul's own messages share the pool. */
export const EVENT_PREFIX = 'consul:event:'

export interface UserEventsModules {
  readonly lan: Pick<GossipPool, 'on'>
  /** This agent's services as they are now. */
  readonly services: () => readonly NodeService[]
  readonly log: Logger
  readonly metrics: Metrics
}

export class UserEvents {
  readonly #node: string
  readonly #modules: UserEventsModules
  readonly #listeners = new Set<() => void>()
  readonly #cancel: () => void
  #kept: readonly UserEvent[] = []

  constructor(node: string, modules: UserEventsModules) {
    this.#node = node
    this.#modules = modules
    this.#cancel = modules.lan.on((event) => this.#receive(event))
  }

  stop(): void {
    this.#cancel()
  }

  /** The oldest first. */
  list(): readonly UserEvent[] {
    return this.#kept
  }

  /** Calls back at each event that is kept; the answer cancels. */
  onEvent(callback: () => void): () => void {
    const own = () => callback()
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  #receive(event: GossipEvent): void {
    if (event.type !== 'user' || !event.name.startsWith(EVENT_PREFIX)) return
    const { log, metrics } = this.#modules
    try {
      const received = decodeUserEvent(event.payload)
      if (!this.#isMeant(received)) return
      this.#kept = [...this.#kept, UserEvent.of({ ...received, LTime: event.ltime })].slice(-MAX_KEPT_EVENTS)
      log.debug('user event', { name: received.Name, id: received.ID })
    } catch (error) {
      metrics.count('hanse.agent.events_unreadable')
      log.warn('a user event cannot be read', { name: event.name, error: messageOf(error) })
      return
    }
    for (const callback of [...this.#listeners]) callback()
  }

  #isMeant({ Version, NodeFilter, ServiceFilter, TagFilter }: UserEvent): boolean {
    if (Version > USER_EVENT_VERSION) return false
    if (NodeFilter !== '' && !compileRegex(NodeFilter)(this.#node)) return false
    if (ServiceFilter === '') return true
    const service = compileRegex(ServiceFilter)
    const tag = TagFilter === '' ? undefined : compileRegex(TagFilter)
    return this.#modules
      .services()
      .some(({ Service, Tags }) => service(Service) && (tag === undefined || (Tags ?? []).some((each) => tag(each))))
  }
}
