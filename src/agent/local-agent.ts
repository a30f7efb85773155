/**
 * This agent's services and checks, as the HTTP API works with them.
 *
 * The agent is the owner of these records (local-registry.ts); the catalog's copies follow (catalog-sync.ts). A call
 * resolves when the catalog has what it changed.
 */
import type { CheckStatus } from '#api'
import { type Clock, type Logger, type Metrics, messageOf, type Random } from '#base'
import type { AgentCheckDefinition, AgentServiceDefinition, HealthCheck, NodeService } from '#codec'
import type { Endpoints } from '#endpoints'
import type { State } from '#state'
import { CatalogSync } from './catalog-sync.ts'
import { cutOutput, DEFAULT_OUTPUT_BYTES, NS_PER_MS, outputBytesOf } from './check-results.ts'
import type { CheckDefinitionBody, ServiceDefinitionBody } from './config-definitions.ts'
import type { LocalChecksOptions } from './local-checks.ts'
import { localAgentError } from './local-errors.ts'
import { LocalRegistry } from './local-registry.ts'

/** How long a registration waits for the catalog to have it. */
const CATALOG_WAIT_MS = 5_000
/** As documented for `deregister_critical_service_after`: how often it is looked at, and the shortest that counts. */
const REAP_INTERVAL_MS = 30_000
const MIN_CRITICAL_MS = 60_000

/** `checkUpdateIntervalMs`: changes of output alone reach the catalog only this often; status changes at once. */
export interface LocalAgentOptions extends LocalChecksOptions {
  readonly dataDir: string
  readonly services: readonly ServiceDefinitionBody[]
  readonly checks: readonly CheckDefinitionBody[]
}

export interface LocalAgentModules {
  readonly endpoints: Endpoints
  readonly state: State
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
}

export class LocalAgent {
  readonly #options: LocalAgentOptions
  readonly #modules: LocalAgentModules
  readonly #registry: LocalRegistry
  readonly #sync: CatalogSync
  readonly #listeners = new Set<() => void>()
  #stopReaping: () => void = () => {}
  /** Services that the call which runs now has changed; undefined between calls. */
  #touched: Set<string> | undefined

  /** @throws LOCAL_FILE_UNWRITABLE */
  constructor(options: LocalAgentOptions, modules: LocalAgentModules) {
    this.#options = options
    this.#modules = modules
    this.#registry = new LocalRegistry(options, {
      ...modules,
      onChange: (serviceId, what, told) => {
        if (told) void this.#sync.changed(serviceId, what)
        if (!this.#touched) this.#tell()
        else if (told) this.#touched.add(serviceId)
      },
    })
    const { checks, services } = this.#registry
    this.#sync = new CatalogSync(options.nodeName, {
      ...modules,
      records: {
        services: () => this.services(),
        service: (id) => this.service(id),
        check: (id) => this.check(id),
        checksOf: (id) => checks.ofService(id).map((entry) => entry.record),
        isOutputDeferred: (id) => checks.get(id)?.outputTimer !== undefined,
      },
      onTags: (id, tags) => {
        if (services.overrideTags(id, tags)) checks.serviceChanged(id)
      },
    })
  }

  /**
   * Brings back what was registered before, and resolves when the catalog agrees.
   *
   * @throws what is wrong with the configuration's definitions
   */
  async start(): Promise<void> {
    this.#touched = new Set()
    try {
      this.#registry.load(this.#options.services, this.#options.checks)
    } finally {
      this.#touched = undefined
    }
    const reaping = this.#modules.clock.every(REAP_INTERVAL_MS, () => this.#reap())
    this.#stopReaping = () => reaping.cancel()
    await this.#sync.start()
  }

  async stop(): Promise<void> {
    this.#stopReaping()
    this.#registry.checks.stop()
    this.#listeners.clear()
    await this.#sync.stop()
  }

  services(): readonly NodeService[] {
    return this.#registry.services.entries().map((entry) => entry.service)
  }

  service(id: string): NodeService | undefined {
    return this.#registry.service(id)
  }

  checks(): readonly HealthCheck[] {
    return this.#registry.checks.entries().map((entry) => entry.record)
  }

  check(id: string): HealthCheck | undefined {
    return this.#registry.checks.get(id)?.record
  }

  onServiceChange(callback: () => void): () => void {
    this.#listeners.add(callback)
    return () => this.#listeners.delete(callback)
  }

  /** @throws what LocalRegistry.register() throws; nothing is changed then */
  registerService(
    definition: AgentServiceDefinition,
    options: { readonly replaceExistingChecks: boolean },
  ): Promise<void> {
    return this.#change(() => this.#registry.register(definition, options))
  }

  /** @throws UNKNOWN_SERVICE_ID, LOCAL_FILE_UNWRITABLE */
  deregisterService(id: string): Promise<void> {
    return this.#change(() => this.#registry.deregister(id))
  }

  /** @throws what LocalRegistry.registerCheck() throws; nothing is changed then */
  registerCheck(definition: AgentCheckDefinition): Promise<void> {
    return this.#change(() => this.#touched?.add(this.#registry.registerCheck(definition)))
  }

  /** @throws UNKNOWN_CHECK_ID, LOCAL_FILE_UNWRITABLE */
  deregisterCheck(id: string): Promise<void> {
    return this.#change(() => this.#registry.deregisterCheck(id))
  }

  /** @throws UNKNOWN_CHECK_ID, CHECK_NOT_TTL */
  updateTtl(id: string, status: CheckStatus, output: string): Promise<void> {
    return this.#change(() => {
      const { checks } = this.#registry
      const spec = checks.get(id)?.spec
      if (!checks.get(id)) throw localAgentError('UNKNOWN_CHECK_ID', { id })
      if (spec?.kind !== 'ttl') throw localAgentError('CHECK_NOT_TTL', { id })
      const maxBytes = outputBytesOf(spec.type, this.#options.checkOutputMaxBytes ?? DEFAULT_OUTPUT_BYTES)
      const result = { status, output: cutOutput(output, maxBytes) }
      checks.touch(id)
      checks.report(id, result)
      const expiresWallMs = this.#modules.clock.wallMs() + spec.type.TTL / NS_PER_MS
      try {
        this.#registry.keepState({ id, result, expiresWallMs })
      } catch (error) {
        // A full disk makes no healthy service critical: the state counts, but is not there after a restart.
        this.#modules.log.warn('the state of a check is not kept', { check: id, error: messageOf(error) })
      }
    })
  }

  /** @throws LOCAL_FILE_UNWRITABLE */
  nodeMaintenance(enable: boolean, reason: string): Promise<void> {
    return this.#change(() => this.#registry.maintain('', enable, reason))
  }

  /** @throws UNKNOWN_SERVICE_ID, LOCAL_FILE_UNWRITABLE */
  serviceMaintenance(id: string, enable: boolean, reason: string): Promise<void> {
    return this.#change(() => {
      if (id === '') throw localAgentError('UNKNOWN_SERVICE_ID', { id })
      this.#registry.maintain(id, enable, reason)
    })
  }

  /** Puts the configuration's services and checks in the place of those it gave before. @throws as start() */
  loadDefinitions(services: readonly ServiceDefinitionBody[], checks: readonly CheckDefinitionBody[]): Promise<void> {
    return this.#change(() => this.#registry.configure(services, checks))
  }

  /** Makes changes, tells of them once, and resolves when the catalog has them, or after a while: it is tried on. */
  async #change(work: () => void): Promise<void> {
    const touched = new Set<string>()
    this.#touched = touched
    try {
      work()
    } finally {
      this.#touched = undefined
      this.#tell()
    }
    if (touched.size === 0) return
    const synced = Promise.all([...touched].map((id) => this.#sync.changed(id)))
    await new Promise<void>((resolve) => {
      const limit = this.#modules.clock.after(CATALOG_WAIT_MS, resolve)
      void synced.then(() => {
        limit.cancel()
        resolve()
      })
    })
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  /** Services whose check has been critical for longer than it allows are deregistered. */
  #reap(): void {
    for (const [service, check] of this.#registry.checks.overdue(MIN_CRITICAL_MS)) {
      this.#modules.log.info('deregistering a service that was critical for too long', { service, check })
      this.#change(() => this.#registry.deregister(service)).catch((error: unknown) => {
        this.#modules.log.error('a service could not be deregistered', { service, error: messageOf(error) })
      })
    }
  }
}
