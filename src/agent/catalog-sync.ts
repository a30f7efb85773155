/**
 * Keeps the catalog equal to this agent's services and checks: at once after each change, fully after a restore
 * and once a minute.
 *
 * Changes that come together go in one pass, each service with its checks in one registration; only what differs is
 * written. What the catalog holds for this node and the agent does not know is removed, except what the server itself
 * writes there. What the catalog refuses is tried again, later each time, and holds up nothing else.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Clock, type Logger, messageOf, type Timer } from '#base'
import { DeregisterRequest, type HealthCheck, type NodeService, RegisterRequest } from '#codec'
import { catalog, type Endpoints } from '#endpoints'
import type { ReadTx, State } from '#state'
import { localAgentError } from './local-errors.ts'
import { SERF_HEALTH } from './member-reconcile.ts'

const FULL_INTERVAL_MS = 60_000
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 15_000
/** Registrations that are under way at the same time. */
const PARALLEL = 32
/** In one registration: with the longest outputs it still is one transaction of the store. */
const MAX_CHECKS_PER_REQUEST = 16
/** The service that member-reconcile.ts keeps. */
const OWN_SERVICE = 'consul'

export interface LocalRecords {
  services(): readonly NodeService[]
  service(id: string): NodeService | undefined
  checksOf(serviceId: string): readonly HealthCheck[]
  check(id: string): HealthCheck | undefined
  /** A changed output of this check waits: alone it is no reason to write. */
  isOutputDeferred(checkId: string): boolean
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

/** Why a service is looked at: what it says itself has changed, or only its checks. */
type Change = 'service' | 'checks'

export class CatalogSync {
  readonly #node: string
  readonly #modules: SyncModules
  /** Service IDs to look at; "" stands for the node's own checks. */
  #dirty = new Map<string, Change>()
  #full = true
  #timer: Timer | undefined
  #fullTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #pass: Promise<void> = Promise.resolve()
  #scheduled: PromiseWithResolvers<void> | undefined
  #failures = 0
  #forget = () => {}
  #stopped = false
  /** Local records and what the catalog held when both were last found equal: neither changes without a new object. */
  readonly #equal = new WeakMap<object, object>()

  constructor(node: string, modules: SyncModules) {
    this.#node = node
    this.#modules = modules
  }

  /** Resolves after the first full pass, whether it worked or not. */
  start(): Promise<void> {
    const all = () => {
      this.#full = true
      void this.#schedule()
    }
    this.#fullTimer = this.#modules.clock.every(FULL_INTERVAL_MS, all)
    this.#forget = this.#modules.state.onRestored(all)
    return this.#schedule()
  }

  stop(): Promise<void> {
    this.#stopped = true
    this.#forget()
    this.#timer?.cancel()
    this.#fullTimer?.cancel()
    this.#retryTimer?.cancel()
    this.#scheduled?.resolve()
    return this.#pass
  }

  /** A service, its checks, or (with "") a check of the node has changed. Resolves when that was tried. */
  changed(serviceId: string, change: Change = 'checks'): Promise<void> {
    if (this.#dirty.get(serviceId) !== 'service') this.#dirty.set(serviceId, change)
    return this.#schedule()
  }

  #schedule(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    if (this.#scheduled) return this.#scheduled.promise
    const scheduled = Promise.withResolvers<void>()
    this.#scheduled = scheduled
    this.#timer = this.#modules.clock.after(0, () => {
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
    const dirty = this.#dirty
    this.#full = false
    this.#dirty = new Map()
    const failed = new Map<string, unknown>()
    try {
      await inParallel(this.#tasks(full, dirty), failed)
    } catch (error) {
      this.#full ||= full
      for (const [id, change] of dirty) if (!this.#dirty.has(id)) this.#dirty.set(id, change)
      failed.set('', error)
    }
    for (const id of failed.keys()) if (!this.#dirty.has(id)) this.#dirty.set(id, dirty.get(id) ?? 'checks')
    if (failed.size > 0) this.#retry(failed)
    else this.#failures = 0
  }

  #retry(failed: ReadonlyMap<string, unknown>): void {
    const [[id = '', error] = []] = failed
    this.#modules.log.warn('the catalog could not be brought in line with this agent, trying again', {
      ...(id === '' ? {} : { service: id }),
      error: messageOf(error),
    })
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures++, 8))
    this.#retryTimer?.cancel()
    if (!this.#stopped) this.#retryTimer = this.#modules.clock.after(delayMs, () => void this.#schedule())
  }

  /** What is to be written, by service. @throws NODE_NOT_IN_CATALOG */
  #tasks(full: boolean, dirty: ReadonlyMap<string, Change>): readonly Task[] {
    return this.#modules.state.read((tx) => {
      if (!tx.nodes.get(this.#node)) throw localAgentError('NODE_NOT_IN_CATALOG', { node: this.#node })
      const ids = full ? new Set([...dirty.keys(), ...this.#allIds(tx)]) : dirty.keys()
      return [...ids].flatMap((id) => this.#tasksOf(tx, id, dirty.get(id)))
    }).value
  }

  /** Every service ID that the catalog or this agent knows, and "". */
  *#allIds(tx: ReadTx): Iterable<string> {
    yield ''
    for (const service of this.#modules.records.services()) yield service.ID
    for (const service of tx.services.ofNode(this.#node)) yield service.ID
  }

  #tasksOf(tx: ReadTx, id: string, change: Change | undefined): Task[] {
    const { records } = this.#modules
    const service = id === '' ? undefined : records.service(id)
    const held = id === '' ? undefined : tx.services.get(this.#node, id)
    const task = (run: Task['run']): Task => ({ id, run })
    if (held && !service && id !== OWN_SERVICE) return [task(() => this.#deregister({ ServiceID: id }))]
    const gone = tx.checks
      .forInstance(this.#node, id)
      .filter((check) => check.ServiceID === id && check.CheckID !== SERF_HEALTH && !records.check(check.CheckID))
    const tasks = gone.map((check) => task(() => this.#deregister({ CheckID: check.CheckID })))
    const wanted = service && held && change !== 'service' ? this.#withHeldTags(service, held) : service
    const checks = records
      .checksOf(id)
      .filter((check) => !this.#sameCheck(check, tx.checks.get(this.#node, check.CheckID)))
    const serviceDiffers = wanted !== undefined && !this.#sameService(wanted, held)
    if (!serviceDiffers && checks.length === 0) return tasks
    return [...tasks, task(() => this.#register(serviceDiffers ? wanted : null, checks))]
  }

  /** Tags that others may override come from the catalog, unless the service was just registered here. */
  #withHeldTags(service: NodeService, held: NodeService): NodeService {
    if (!service.EnableTagOverride || isDeepStrictEqual(service.Tags, held.Tags)) return service
    this.#modules.onTags(service.ID, held.Tags ?? [])
    return { ...service, Tags: held.Tags }
  }

  #sameService(local: NodeService, held: NodeService | undefined): boolean {
    if (held === undefined || this.#equal.get(local) === held) return held !== undefined
    const plain = (service: NodeService) => ({ ...service, CreateIndex: 0, ModifyIndex: 0 })
    const same = isDeepStrictEqual(plain(local), plain(held))
    if (same) this.#equal.set(local, held)
    return same
  }

  /** Name and tags of the service are the catalog's to fill in. */
  #sameCheck(local: HealthCheck, held: HealthCheck | undefined): boolean {
    if (held === undefined || this.#equal.get(local) === held) return held !== undefined
    const output = this.#modules.records.isOutputDeferred(local.CheckID) ? { Output: '' } : {}
    const plain = (check: HealthCheck) => {
      return { ...check, Node: '', ServiceName: '', ServiceTags: null, CreateIndex: 0, ModifyIndex: 0, ...output }
    }
    const same = isDeepStrictEqual(plain(local), plain(held))
    if (same && local.Output === held.Output) this.#equal.set(local, held)
    return same
  }

  async #register(service: NodeService | null, checks: readonly HealthCheck[]): Promise<void> {
    for (let from = 0; from === 0 || from < checks.length; from += MAX_CHECKS_PER_REQUEST) {
      const request = RegisterRequest.of({
        Node: this.#node,
        SkipNodeUpdate: true,
        Service: from === 0 ? service : null,
        Checks: checks.slice(from, from + MAX_CHECKS_PER_REQUEST),
      })
      await this.#modules.endpoints.call(catalog.register, request, { internal: true })
    }
  }

  async #deregister(what: { ServiceID: string } | { CheckID: string }): Promise<void> {
    await this.#modules.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: this.#node, ...what }), {
      internal: true,
    })
  }
}

interface Task {
  /** The service that it is about. */
  readonly id: string
  readonly run: () => Promise<void>
}

/** Runs every task, whatever becomes of the others; what failed is noted by service. */
async function inParallel(tasks: readonly Task[], failed: Map<string, unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) {
      try {
        await task.run()
      } catch (error) {
        failed.set(task.id, error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, tasks.length) }, worker))
}
