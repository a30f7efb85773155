/**
 * Services, checks and maintenance together with the files that keep them.
 *
 * Files are written before anything changes, so what cannot be kept is refused whole. What the configuration defines is
 * in no file, and wins over one.
 */
import { isDeepStrictEqual } from 'node:util'
import { checkCheckDefinition } from '#api'
import type { Clock, Logger, Random } from '#base'
import { AgentCheckDefinition, AgentServiceDefinition, type NodeService } from '#codec'
import type { State } from '#state'
import type { CheckDefinitionBody, ServiceDefinitionBody } from './config-definitions.ts'
import { type CheckEntry, LocalChecks, type LocalChecksOptions, type Origin } from './local-checks.ts'
import { type CheckSpec, limitChecks, ownCheck, withoutSidecar } from './local-definitions.ts'
import { localAgentError } from './local-errors.ts'
import { LocalFiles } from './local-files.ts'
import { maintenanceCheck, maintenanceId } from './local-maintenance.ts'
import {
  checkFromJson,
  checkToJson,
  RULES,
  type StoredState,
  serviceFromJson,
  serviceToJson,
  stateFromJson,
  stateToJson,
} from './local-records.ts'
import { LocalServices, type ServiceEntry, type ServicePlan } from './local-services.ts'

export interface RegistryOptions extends LocalChecksOptions {
  readonly dataDir: string
}

export interface RegistryModules {
  readonly state: State
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** A service ("service") or its checks have changed, "" those of the node. `told`: the catalog is to know now. */
  readonly onChange: (serviceId: string, what: 'service' | 'checks', told: boolean) => void
}

const STRICT = { unknownKeys: 'refuse' } as const

export class LocalRegistry {
  readonly services = new LocalServices()
  readonly checks: LocalChecks
  readonly #nodeName: string
  readonly #modules: RegistryModules
  readonly #files: LocalFiles

  /** @throws LOCAL_FILE_UNWRITABLE */
  constructor(options: RegistryOptions, modules: RegistryModules) {
    this.#nodeName = options.nodeName
    this.#modules = modules
    this.#files = new LocalFiles(options.dataDir, modules.log)
    this.checks = new LocalChecks(options, {
      ...modules,
      service: (id) => this.service(id),
      onChange: (serviceId, told) => modules.onChange(serviceId, 'checks', told),
    })
  }

  service(id: string): NodeService | undefined {
    return this.services.get(id)?.service
  }

  /**
   * Brings back what the files hold, with what the configuration defines over it.
   *
   * @throws what configure() throws
   */
  load(services: readonly ServiceDefinitionBody[], checks: readonly CheckDefinitionBody[]): void {
    // Whatever a file says that cannot be run now puts the file aside, as one that cannot be read.
    this.#files.load('services', (json) => {
      this.#carryOut(this.services.plan(serviceFromJson(json), 'http'))
    })
    this.configure(services, checks)
    // Checks come last: they may belong to a service of the configuration.
    this.#files.load('checks', (json) => this.#restoreCheck(json))
    for (const state of this.#files.load('check-state', stateFromJson)) this.#restoreState(state)
  }

  /** @throws LOCAL_FILE_UNWRITABLE; what LocalServices.plan() throws; nothing is changed then */
  register(definition: AgentServiceDefinition, options: { readonly replaceExistingChecks: boolean }): void {
    const plans = this.services.plan(definition, 'http')
    const [plan] = plans
    if (!plan) return
    const id = plan.entry.service.ID
    const left = this.#checksLeft(plans)
    const staying = options.replaceExistingChecks ? [] : left.filter(({ record }) => record.ServiceID === id)
    limitChecks(id, plan.checks.length + staying.length)
    const before = this.services.get(id)
    const kept = before?.origin === 'http' && before.parent === undefined && this.#files.has('services', id)
    if (!kept || !isDeepStrictEqual(before.definition, plan.entry.definition)) {
      this.#files.save('services', id, serviceToJson(plan.entry.definition))
    }
    this.#detach(before)
    for (const sidecar of plans.slice(1)) this.#files.remove('services', sidecar.entry.service.ID)
    for (const { spec } of left) {
      if (spec && options.replaceExistingChecks) this.removeCheck(spec.id)
      else if (spec && !spec.alone) this.#files.save('checks', spec.id, checkToJson({ kind: 'check', spec }))
    }
    this.#carryOut(plans)
    for (const { entry } of plans) this.#modules.onChange(entry.service.ID, 'service', true)
  }

  /** Removes a service, its checks and its sidecar. @throws UNKNOWN_SERVICE_ID, LOCAL_FILE_UNWRITABLE */
  deregister(id: string): void {
    const entry = this.services.get(id)
    if (!entry) throw localAgentError('UNKNOWN_SERVICE_ID', { id })
    this.#files.remove('services', id)
    this.#detach(entry)
    const sidecar = this.services.sidecarOf(id)
    if (sidecar) this.#removeService(sidecar.service.ID)
    this.#removeService(id)
  }

  /** @throws SERVICE_OF_CHECK, CHECK_KIND_UNSUPPORTED, TOO_MANY_CHECKS, LOCAL_FILE_UNWRITABLE; what checkCheckDefinition() throws */
  registerCheck(definition: AgentCheckDefinition): string {
    const spec = planCheck(definition)
    this.#needService(spec)
    const siblings = this.checks.ofService(spec.serviceId).filter(({ record }) => record.CheckID !== spec.id)
    limitChecks(spec.serviceId, siblings.length + 1)
    this.#files.save('checks', spec.id, checkToJson({ kind: 'check', spec }))
    this.checks.put(spec, 'http')
    return spec.serviceId
  }

  /** @throws UNKNOWN_CHECK_ID, LOCAL_FILE_UNWRITABLE */
  deregisterCheck(id: string): void {
    if (!this.checks.get(id)) throw localAgentError('UNKNOWN_CHECK_ID', { id })
    this.removeCheck(id)
  }

  /** @param serviceId - "" for the node @throws UNKNOWN_SERVICE_ID, LOCAL_FILE_UNWRITABLE */
  maintain(serviceId: string, enable: boolean, reason: string): void {
    const service = this.service(serviceId)
    if (serviceId !== '' && !service) throw localAgentError('UNKNOWN_SERVICE_ID', { id: serviceId })
    const id = maintenanceId(serviceId)
    if (!enable) {
      this.removeCheck(id)
      return
    }
    this.#files.save('checks', id, checkToJson({ kind: 'maintenance', serviceId, reason }))
    this.checks.putRecord(maintenanceCheck(this.#nodeName, service, reason))
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  keepState(state: StoredState): void {
    this.#files.save('check-state', state.id, stateToJson(state))
  }

  /**
   * Puts the configuration's services and checks in the place of those it gave before. What users registered stays, but
   * where the configuration defines the same.
   *
   * @throws SERVICE_OF_CHECK; what plan() and planCheck() throw; nothing is changed then
   */
  configure(services: readonly ServiceDefinitionBody[], checks: readonly CheckDefinitionBody[]): void {
    const plans = this.#planAll(services.map((body) => AgentServiceDefinition.fromJson(body, '', STRICT)))
    const specs = checks.map((body) => planCheck(AgentCheckDefinition.fromJson(body, '', STRICT)))
    const wanted = new Set(plans.map(({ entry }) => entry.service.ID))
    const gone = this.services.entries().filter((each) => configured(each) && !wanted.has(each.service.ID))
    const goneIds = new Set(gone.map(({ service }) => service.ID))
    for (const spec of specs) if (!wanted.has(spec.serviceId)) this.#needService(spec, goneIds)
    const wantedChecks = new Set([...plans.flatMap((plan) => plan.checks), ...specs].map((spec) => spec.id))

    for (const id of goneIds) this.#removeService(id)
    for (const entry of this.checks.entries()) {
      if (configured(entry) && !wantedChecks.has(entry.record.CheckID)) this.removeCheck(entry.record.CheckID)
    }
    for (const { entry } of plans) this.#takeOver(entry.service.ID, wantedChecks)
    this.#carryOut(plans)
    for (const spec of specs) {
      this.#files.remove('checks', spec.id)
      this.checks.put(spec, 'configuration')
    }
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  removeCheck(id: string): void {
    this.#files.remove('checks', id)
    this.#files.remove('check-state', id)
    this.checks.remove(id)
  }

  #planAll(definitions: readonly AgentServiceDefinition[]): readonly ServicePlan[] {
    const ports = new Set(definitions.map((definition) => definition.Port))
    return definitions.flatMap((definition) => {
      const plans = this.services.plan(definition, 'configuration', ports)
      for (const { entry } of plans) ports.add(entry.service.Port)
      return plans
    })
  }

  /** Makes room for a service of the configuration: its file goes, and the checks that came with it by HTTP. */
  #takeOver(id: string, wantedChecks: ReadonlySet<string>): void {
    this.#files.remove('services', id)
    for (const { spec, origin } of this.checks.ofService(id)) {
      if (spec && !spec.alone && origin === 'http' && !wantedChecks.has(spec.id)) this.removeCheck(spec.id)
    }
  }

  #carryOut(plans: readonly ServicePlan[]): void {
    for (const { entry, checks } of plans) {
      const { ID } = entry.service
      if (this.services.put(entry)) this.#modules.onChange(ID, 'service', true)
      this.checks.serviceChanged(ID)
      for (const spec of checks) this.checks.put(spec, entry.origin)
      const sidecar = this.services.sidecarOf(ID)
      const asked = plans.some((plan) => plan.entry.parent === ID)
      if (sidecar && !asked) this.#removeService(sidecar.service.ID)
    }
  }

  /** The checks that services have now and would not have by these plans alone. Maintenance is not of that kind. */
  #checksLeft(plans: readonly ServicePlan[]): readonly CheckEntry[] {
    return plans.flatMap(({ entry, checks }) => {
      const ids = new Set(checks.map((spec) => spec.id))
      return this.checks.ofService(entry.service.ID).filter(({ spec }) => spec && !ids.has(spec.id))
    })
  }

  #removeService(id: string): void {
    this.#files.remove('services', id)
    for (const { record } of this.checks.ofService(id)) this.removeCheck(record.CheckID)
    this.services.delete(id)
    this.#modules.onChange(id, 'service', true)
    this.checks.serviceChanged(id)
  }

  /** A sidecar that is removed or replaced by itself does not come back with its parent after a restart. */
  #detach(entry: ServiceEntry | undefined): void {
    const parent = entry?.parent === undefined ? undefined : this.services.get(entry.parent)
    if (!parent) return
    const definition = withoutSidecar(parent.definition)
    if (parent.origin === 'http') this.#files.save('services', parent.service.ID, serviceToJson(definition))
    this.services.put({ ...parent, definition })
  }

  #needService({ serviceId }: CheckSpec, gone: ReadonlySet<string> = new Set()): void {
    if (serviceId !== '' && (!this.services.get(serviceId) || gone.has(serviceId))) {
      throw localAgentError('SERVICE_OF_CHECK', { id: serviceId })
    }
  }

  #restoreCheck(json: unknown): void {
    const stored = checkFromJson(json)
    const serviceId = stored.kind === 'check' ? stored.spec.serviceId : stored.serviceId
    const service = this.service(serviceId)
    if (serviceId !== '' && !service) throw localAgentError('SERVICE_OF_CHECK', { id: serviceId })
    if (stored.kind === 'maintenance') {
      this.checks.putRecord(maintenanceCheck(this.#nodeName, service, stored.reason))
      return
    }
    const before = this.checks.get(stored.spec.id)
    if (before?.origin !== 'configuration') this.checks.put(stored.spec, 'http')
  }

  /** TTL checks go on with what is left of their time. */
  #restoreState({ id, result, expiresWallMs }: StoredState): void {
    const remainingMs = expiresWallMs - this.#modules.clock.wallMs()
    if (remainingMs > 0 && this.checks.get(id)?.spec?.kind === 'ttl') this.checks.restore(id, result, remainingMs)
    else this.#files.remove('check-state', id)
  }
}

function configured({ origin }: { readonly origin: Origin }): boolean {
  return origin === 'configuration'
}

function planCheck(definition: AgentCheckDefinition): CheckSpec {
  checkCheckDefinition(definition, RULES)
  return ownCheck(definition)
}
