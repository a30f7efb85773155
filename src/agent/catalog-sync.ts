/**
 * Keeps the catalog equal to this agent's services and checks: at once after each change, fully once a minute.
 *
 * Changes that come together go in one pass, each service with its checks in one registration. What the catalog holds for
 * this node and the agent does not know is removed, except what the server itself writes there.
 */
import { type Clock, type Logger, messageOf, type Timer } from '#base'
import { DeregisterRequest, type HealthCheck, type NodeService, RegisterRequest } from '#codec'
import { catalog, type Endpoints } from '#endpoints'
import type { State } from '#state'
import { SERF_HEALTH } from './member-reconcile.ts'

const SETTLE_MS = 2
const FULL_INTERVAL_MS = 60_000
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 15_000
/** Registrations that are under way at the same time. */
const PARALLEL = 32
/** The service that member-reconcile.ts keeps. */
const OWN_SERVICE = 'consul'

export interface LocalRecords {
  services(): readonly NodeService[]
  checks(): readonly HealthCheck[]
}

export interface SyncModules {
  readonly endpoints: Endpoints
  readonly state: State
  readonly clock: Clock
  readonly log: Logger
  readonly records: LocalRecords
  /** The catalog's tags of a service that lets others override them. */
  readonly onTags: (serviceId: string, tags: readonly string[]) => void
}

export class CatalogSync {
  readonly #node: string
  readonly #modules: SyncModules
  /** Service IDs to look at; "" stands for the node's own checks. */
  readonly #dirty = new Set<string>()
  #full = true
  #timer: Timer | undefined
  #fullTimer: Timer | undefined
  #pass: Promise<void> = Promise.resolve()
  #scheduled: PromiseWithResolvers<void> | undefined
  #failures = 0
  #stopped = false

  constructor(node: string, modules: SyncModules) {
    this.#node = node
    this.#modules = modules
  }

  /** Resolves after the first full pass, whether it worked or not. */
  start(): Promise<void> {
    this.#fullTimer = this.#modules.clock.every(FULL_INTERVAL_MS, () => {
      this.#full = true
      void this.#schedule(0)
    })
    return this.#schedule(0)
  }

  stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#fullTimer?.cancel()
    this.#scheduled?.resolve()
    return this.#pass
  }

  /** A service, its checks, or (with "") a check of the node has changed. Resolves when that was tried. */
  changed(serviceId: string): Promise<void> {
    this.#dirty.add(serviceId)
    return this.#schedule(SETTLE_MS)
  }

  #schedule(delayMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    if (this.#scheduled) return this.#scheduled.promise
    const scheduled = Promise.withResolvers<void>()
    this.#scheduled = scheduled
    this.#timer = this.#modules.clock.after(delayMs, () => {
      this.#pass = this.#pass.then(async () => {
        this.#scheduled = undefined
        await this.#run()
        scheduled.resolve()
      })
    })
    return scheduled.promise
  }

  async #run(): Promise<void> {
    if (this.#stopped) return
    const full = this.#full
    const dirty = new Set(this.#dirty)
    this.#full = false
    this.#dirty.clear()
    try {
      await this.#push(full, dirty)
      this.#failures = 0
    } catch (error) {
      this.#full ||= full
      for (const id of dirty) this.#dirty.add(id)
      this.#failures++
      this.#modules.log.warn('the catalog could not be brought in line with this agent, trying again', {
        error: messageOf(error),
      })
      void this.#schedule(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 8)))
    }
  }

  async #push(full: boolean, dirty: ReadonlySet<string>): Promise<void> {
    const { records, state } = this.#modules
    const services = new Map(records.services().map((service) => [service.ID, service]))
    const checks = Map.groupBy(records.checks(), (check) => check.ServiceID)
    const held = state.read((tx) => ({
      services: tx.services.ofNode(this.#node),
      checks: tx.checks.ofNode(this.#node),
    })).value
    const concerned = (serviceId: string) => full || dirty.has(serviceId)
    const known = new Set(records.checks().map((check) => check.CheckID))
    const goneServices = held.services.filter(
      (service) => service.ID !== OWN_SERVICE && concerned(service.ID) && !services.has(service.ID),
    )
    const gone = new Set(goneServices.map((service) => service.ID))
    const goneChecks = held.checks.filter(
      (check) =>
        check.CheckID !== SERF_HEALTH &&
        concerned(check.ServiceID) &&
        !known.has(check.CheckID) &&
        !gone.has(check.ServiceID),
    )
    const tasks: (() => Promise<unknown>)[] = [
      ...goneServices.map((service) => () => this.#deregister({ ServiceID: service.ID })),
      ...goneChecks.map((check) => () => this.#deregister({ CheckID: check.CheckID })),
    ]
    for (const service of services.values()) {
      if (!concerned(service.ID)) continue
      const current = held.services.find((each) => each.ID === service.ID)
      const tags = service.EnableTagOverride && current ? current.Tags : service.Tags
      if (tags !== service.Tags) this.#modules.onTags(service.ID, tags ?? [])
      tasks.push(() => this.#register({ ...service, Tags: tags }, checks.get(service.ID) ?? []))
    }
    if (concerned('') && checks.has('')) tasks.push(() => this.#register(null, checks.get('') ?? []))
    await inParallel(tasks)
  }

  #register(service: NodeService | null, checks: readonly HealthCheck[]): Promise<unknown> {
    return this.#modules.endpoints.call(
      catalog.register,
      RegisterRequest.of({ Node: this.#node, SkipNodeUpdate: true, Service: service, Checks: checks }),
    )
  }

  #deregister(what: { ServiceID: string } | { CheckID: string }): Promise<unknown> {
    return this.#modules.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: this.#node, ...what }))
  }
}

async function inParallel(tasks: readonly (() => Promise<unknown>)[]): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) await task()
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, tasks.length) }, worker))
}
