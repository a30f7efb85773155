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

/** A change goes out at once; those that come while a pass is under way go together in the next. */
const SETTLE_MS = 0
const FULL_INTERVAL_MS = 60_000
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 15_000
/** Registrations that are under way at the same time. */
const PARALLEL = 32
/** Checks in one registration; Catalog.Register takes 60. */
const CHECKS_AT_ONCE = 50
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
  /** Services whose definition is new: their tags go to the catalog, whoever may override them later. */
  readonly #defined = new Set<string>()
  #full = true
  #dueMs = 0
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

  /** These were registered anew: what they say counts more than what the catalog has. */
  defined(serviceIds: readonly string[]): void {
    for (const id of serviceIds) this.#defined.add(id)
  }

  #schedule(delayMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    const dueMs = this.#modules.clock.nowMs() + delayMs
    const waiting = this.#scheduled
    if (waiting && this.#dueMs <= dueMs) return waiting.promise
    // A change does not wait for the end of a pause after a failure.
    this.#timer?.cancel()
    const scheduled = waiting ?? Promise.withResolvers<void>()
    this.#scheduled = scheduled
    this.#dueMs = dueMs
    this.#timer = this.#modules.clock.after(delayMs, () => {
      this.#dueMs = 0
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
    const { failed, error } = await this.#push(full, dirty)
    if (error === undefined) {
      this.#failures = 0
      return
    }
    for (const id of failed) this.#dirty.add(id)
    this.#failures++
    this.#modules.log.warn('the catalog could not be brought in line with this agent, trying again', {
      services: failed.join(','),
      error: messageOf(error),
    })
    void this.#schedule(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 8)))
  }

  async #push(full: boolean, dirty: ReadonlySet<string>): Promise<Outcome> {
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
    const tasks: Task[] = [
      ...goneServices.map(({ ID }) => ({ id: ID, run: () => this.#deregister({ ServiceID: ID }) })),
      ...goneChecks.map(({ CheckID, ServiceID }) => ({ id: ServiceID, run: () => this.#deregister({ CheckID }) })),
    ]
    const heldById = new Map(held.services.map((service) => [service.ID, service]))
    for (const service of services.values()) {
      const { ID } = service
      if (!concerned(ID)) continue
      const current = heldById.get(ID)
      const fresh = this.#defined.delete(ID)
      const overridden = service.EnableTagOverride && current !== undefined && !fresh
      const Tags = overridden ? current.Tags : service.Tags
      if (overridden) this.#modules.onTags(ID, Tags ?? [])
      const run = () => this.#register({ ...service, Tags }, checks.get(ID) ?? [])
      const onFailure = () => void (fresh && this.#defined.add(ID))
      tasks.push({ id: ID, run, onFailure })
    }
    if (concerned('') && checks.has('')) tasks.push({ id: '', run: () => this.#register(null, checks.get('') ?? []) })
    return inParallel(tasks)
  }

  async #register(service: NodeService | null, checks: readonly HealthCheck[]): Promise<void> {
    for (let first = 0; first === 0 || first < checks.length; first += CHECKS_AT_ONCE) {
      const request = RegisterRequest.of({
        Node: this.#node,
        SkipNodeUpdate: true,
        Service: first === 0 ? service : null,
        Checks: checks.slice(first, first + CHECKS_AT_ONCE),
      })
      await this.#modules.endpoints.call(catalog.register, request)
    }
  }

  #deregister(what: { ServiceID: string } | { CheckID: string }): Promise<unknown> {
    return this.#modules.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: this.#node, ...what }))
  }
}

interface Task {
  /** The service it is about. */
  readonly id: string
  readonly run: () => Promise<unknown>
  readonly onFailure?: () => void
}

interface Outcome {
  readonly failed: readonly string[]
  /** Of the last that failed. */
  readonly error: unknown
}

/** Runs all, a bounded number at a time; one that fails keeps no other from running. */
async function inParallel(tasks: readonly Task[]): Promise<Outcome> {
  const failed = new Set<string>()
  let last: unknown
  let next = 0
  const worker = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) {
      try {
        await task.run()
      } catch (error) {
        failed.add(task.id)
        task.onFailure?.()
        last = error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, tasks.length) }, worker))
  return { failed: [...failed], error: last }
}
