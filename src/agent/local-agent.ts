/**
 * This agent's services and checks: what was registered with it by HTTP or in its configuration, the state of the checks,
 * and the catalog kept equal to both.
 *
 * It is the owner of these records: the catalog's copies follow (catalog-sync.ts), and files bring those of HTTP back
 * after a restart (local-files.ts); those of the configuration come from there.
 */
import { type CheckStatus, checkCheckDefinition, checkServiceDefinition } from '#api'
import { type Clock, type Logger, type Metrics, type Random, sleep } from '#base'
import { AgentCheckDefinition, AgentServiceDefinition, HealthCheck, type NodeService } from '#codec'
import type { Endpoints } from '#endpoints'
import type { State } from '#state'
import { aliasedChecks, aliasState } from './alias-checks.ts'
import { CatalogSync } from './catalog-sync.ts'
import { DEFAULT_OUTPUT_BYTES, type ProbeResult } from './check-probes.ts'
import { CheckRunner } from './check-runner.ts'
import type { CheckDefinitionBody, ServiceDefinitionBody } from './config-definitions.ts'
import {
  type CheckSpec,
  initialCheck,
  nodeServiceOf,
  ownCheck,
  serviceChecks,
  sidecarId,
  sidecarOf,
  withSidecarPort,
} from './local-definitions.ts'
import { localAgentError } from './local-errors.ts'
import { LocalFiles } from './local-files.ts'

/** How long a registration waits for the catalog to have it. */
const CATALOG_WAIT_MS = 5_000
const REAP_INTERVAL_MS = 10_000
const NODE_MAINTENANCE = '_node_maintenance'
const SERVICE_MAINTENANCE = '_service_maintenance:'
const DEFAULT_REASON = (what: string) =>
  `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`
const RULES = { scripts: false }

export interface LocalAgentOptions {
  readonly nodeName: string
  readonly dataDir: string
  /** Changes of output alone reach the catalog only this often; status changes at once. */
  readonly checkUpdateIntervalMs: number
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

type Origin = 'http' | 'configuration'

interface ServiceEntry {
  readonly service: NodeService
  readonly origin: Origin
  /** The service whose sidecar this is. */
  readonly parent: string | undefined
}

interface CheckEntry {
  readonly spec: CheckSpec | undefined
  record: HealthCheck
  readonly origin: Origin
  /** Monotonic; when the status became critical. */
  criticalSinceMs: number | undefined
  /** The output that waits to go to the catalog. */
  outputTimer: { cancel(): void } | undefined
}

export class LocalAgent {
  readonly #options: LocalAgentOptions
  readonly #modules: LocalAgentModules
  readonly #files: LocalFiles
  readonly #services = new Map<string, ServiceEntry>()
  readonly #checks = new Map<string, CheckEntry>()
  readonly #runner: CheckRunner
  readonly #sync: CatalogSync
  readonly #listeners = new Set<() => void>()
  readonly #stops: (() => void)[] = []
  #cancelAliasWatch: () => void = () => {}
  /** Depth of #together(). */
  #holding = 0

  /** @throws LOCAL_FILE_UNWRITABLE */
  constructor(options: LocalAgentOptions, modules: LocalAgentModules) {
    this.#options = options
    this.#modules = modules
    this.#files = new LocalFiles(options.dataDir, modules.log)
    const { clock, random, endpoints, state, log } = modules
    this.#runner = new CheckRunner({ clock, random, onResult: (id, result) => this.#onResult(id, result) })
    this.#sync = new CatalogSync(options.nodeName, {
      endpoints,
      state,
      clock,
      log,
      records: this,
      onTags: (id, tags) => this.#overrideTags(id, tags),
    })
  }

  /** Brings back what was registered before, and resolves when the catalog agrees. */
  async start(): Promise<void> {
    const options = { unknownKeys: 'skip' } as const
    // Whatever a file says that cannot be run now puts the file aside, as one that cannot be read.
    this.#files.load('services', (json) => {
      const definition = AgentServiceDefinition.fromJson(json, '', options)
      checkServiceDefinition(definition, RULES)
      this.#addService(definition, 'http', true)
    })
    // Checks come last: they may belong to a service of the configuration.
    this.#applyConfiguration(this.#options.services, this.#options.checks)
    this.#files.load('checks', (json) => this.#restoreCheck(AgentCheckDefinition.fromJson(json, '', options)))
    this.#restoreStates()
    const reap = this.#modules.clock.every(REAP_INTERVAL_MS, () => this.#reap())
    this.#stops.push(() => reap.cancel())
    await this.#sync.start()
    this.#watchAliases()
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop()
    this.#cancelAliasWatch()
    this.#runner.stopAll()
    for (const entry of this.#checks.values()) entry.outputTimer?.cancel()
    await this.#sync.stop()
  }

  services(): readonly NodeService[] {
    return [...this.#services.values()].map((entry) => entry.service)
  }

  service(id: string): NodeService | undefined {
    return this.#services.get(id)?.service
  }

  checks(): readonly HealthCheck[] {
    return [...this.#checks.values()].map((entry) => entry.record)
  }

  check(id: string): HealthCheck | undefined {
    return this.#checks.get(id)?.record
  }

  onServiceChange(callback: () => void): () => void {
    this.#listeners.add(callback)
    return () => this.#listeners.delete(callback)
  }

  /** @throws what checkServiceDefinition() and local-definitions.ts throw; nothing is changed then */
  async registerService(
    definition: AgentServiceDefinition,
    { replaceExistingChecks }: { readonly replaceExistingChecks: boolean },
  ): Promise<void> {
    checkServiceDefinition(definition, RULES)
    const ids = this.#addService(definition, 'http', replaceExistingChecks)
    this.#sync.defined(ids)
    const kept = withSidecarPort(definition, this.service(sidecarId(definition))?.Port)
    this.#files.save('services', definition.ID || definition.Name, AgentServiceDefinition.toJson(kept))
    await this.#settled(ids)
  }

  /** @throws UNKNOWN_SERVICE_ID */
  async deregisterService(id: string): Promise<void> {
    if (!this.#services.has(id)) throw localAgentError('UNKNOWN_SERVICE_ID', { id })
    await this.#settled(this.#removeService(id))
  }

  /** @throws SERVICE_OF_CHECK, CHECK_KIND_UNSUPPORTED; what checkCheckDefinition() throws */
  async registerCheck(definition: AgentCheckDefinition): Promise<void> {
    checkCheckDefinition(definition, RULES)
    const spec = ownCheck(definition)
    if (spec.serviceId !== '' && !this.#services.has(spec.serviceId)) {
      throw localAgentError('SERVICE_OF_CHECK', { id: spec.serviceId })
    }
    this.#addCheck(spec, 'http')
    this.#files.save('checks', spec.id, AgentCheckDefinition.toJson(definition))
    await this.#settled([spec.serviceId])
  }

  /** @throws UNKNOWN_CHECK_ID */
  async deregisterCheck(id: string): Promise<void> {
    const entry = this.#checks.get(id)
    if (!entry) throw localAgentError('UNKNOWN_CHECK_ID', { id })
    this.#removeCheck(id)
    await this.#settled([entry.record.ServiceID])
  }

  /** @throws UNKNOWN_CHECK_ID, CHECK_NOT_TTL */
  async updateTtl(id: string, status: CheckStatus, output: string): Promise<void> {
    const entry = this.#checks.get(id)
    if (!entry) throw localAgentError('UNKNOWN_CHECK_ID', { id })
    if (entry.spec?.kind !== 'ttl') throw localAgentError('CHECK_NOT_TTL', { id })
    this.#runner.touch(id)
    this.#onResult(id, { status, output })
    const expiresWallMs = this.#modules.clock.wallMs() + entry.spec.type.TTL / 1e6
    this.#files.save('check-state', id, { id, status, output: this.check(id)?.Output ?? '', expiresWallMs })
    await this.#settled([entry.record.ServiceID])
  }

  async nodeMaintenance(enable: boolean, reason: string): Promise<void> {
    if (enable)
      this.#addMaintenance(NODE_MAINTENANCE, 'Node Maintenance Mode', reason || DEFAULT_REASON('node'), undefined)
    else this.#removeCheck(NODE_MAINTENANCE)
    await this.#settled([''])
  }

  /** @throws UNKNOWN_SERVICE_ID */
  async serviceMaintenance(id: string, enable: boolean, reason: string): Promise<void> {
    const service = this.service(id)
    if (!service) throw localAgentError('UNKNOWN_SERVICE_ID', { id })
    const checkId = SERVICE_MAINTENANCE + id
    if (enable) this.#addMaintenance(checkId, 'Service Maintenance Mode', reason || DEFAULT_REASON('service'), service)
    else this.#removeCheck(checkId)
    await this.#settled([id])
  }

  /** Puts the configuration's services and checks in the place of those it gave before. */
  async loadDefinitions(
    services: readonly ServiceDefinitionBody[],
    checks: readonly CheckDefinitionBody[],
  ): Promise<void> {
    await this.#settled(this.#applyConfiguration(services, checks))
  }

  #applyConfiguration(
    services: readonly ServiceDefinitionBody[],
    checks: readonly CheckDefinitionBody[],
  ): readonly string[] {
    const strict = { unknownKeys: 'refuse' } as const
    const definitions = services.map((body) => AgentServiceDefinition.fromJson(body, '', strict))
    const checkDefinitions = checks.map((body) => AgentCheckDefinition.fromJson(body, '', strict))
    for (const definition of definitions) checkServiceDefinition(definition, RULES)
    for (const definition of checkDefinitions) checkCheckDefinition(definition, RULES)
    const wanted = new Set(definitions.map((definition) => definition.ID || definition.Name))
    const wantedChecks = new Set(checkDefinitions.map((definition) => ownCheck(definition).id))
    const touched: string[] = []
    for (const [id, entry] of [...this.#services]) {
      if (entry.origin === 'configuration' && !wanted.has(id) && !wanted.has(entry.parent ?? '')) {
        touched.push(...this.#removeService(id))
      }
    }
    for (const [id, entry] of [...this.#checks]) {
      if (entry.origin !== 'configuration' || entry.spec?.alone !== true || wantedChecks.has(id)) continue
      this.#removeCheck(id)
      touched.push(entry.record.ServiceID)
    }
    for (const definition of definitions) touched.push(...this.#addService(definition, 'configuration', true))
    for (const definition of checkDefinitions) {
      const spec = ownCheck(definition)
      this.#addCheck(spec, 'configuration')
      touched.push(spec.serviceId)
    }
    return touched
  }

  /** Adds a service and its sidecar, or nothing when one of them cannot be. @returns the IDs that changed */
  #addService(definition: AgentServiceDefinition, origin: Origin, replaceChecks: boolean): readonly string[] {
    const id = definition.ID || definition.Name
    const sidecar = this.#sidecarOf(definition)
    serviceChecks(definition)
    if (sidecar) {
      checkServiceDefinition(sidecar, RULES)
      serviceChecks(sidecar)
    }
    return this.#together(() => {
      const ids = this.#putService(definition, origin, undefined, replaceChecks)
      return sidecar ? [...ids, ...this.#putService(sidecar, origin, id, replaceChecks)] : ids
    })
  }

  /** A sidecar that has a port keeps it: its proxy listens there. */
  #sidecarOf(definition: AgentServiceDefinition): AgentServiceDefinition | undefined {
    const id = sidecarId(definition)
    const others = [...this.#services.values()].filter(({ service }) => service.ID !== id)
    return sidecarOf(definition, new Set(others.map(({ service }) => service.Port)), this.service(id)?.Port)
  }

  #putService(
    definition: AgentServiceDefinition,
    origin: Origin,
    parent: string | undefined,
    replaceChecks: boolean,
  ): readonly string[] {
    const service = nodeServiceOf(definition)
    const specs = serviceChecks(definition)
    this.#services.set(service.ID, { service, origin, parent })
    const kept = new Set(specs.map((spec) => spec.id))
    for (const [id, entry] of [...this.#checks]) {
      if (entry.record.ServiceID !== service.ID) continue
      // A reload replaces what the configuration said, not what was registered by HTTP since.
      const replaced = replaceChecks && !kept.has(id) && !isMaintenance(id)
      if (replaced && (origin === 'http' || (entry.origin === 'configuration' && !entry.spec?.alone)))
        this.#removeCheck(id)
      else entry.record = { ...entry.record, ServiceName: service.Service, ServiceTags: service.Tags }
    }
    for (const spec of specs) this.#addCheck(spec, origin)
    this.#tell()
    return [service.ID]
  }

  /** Removes a service, its checks and its sidecar. @returns the IDs that changed */
  #removeService(id: string): readonly string[] {
    const ids = [id]
    this.#services.delete(id)
    this.#files.remove('services', id)
    for (const [checkId, entry] of [...this.#checks]) if (entry.record.ServiceID === id) this.#removeCheck(checkId)
    for (const [other, entry] of [...this.#services]) if (entry.parent === id) ids.push(...this.#removeService(other))
    this.#tell()
    return ids
  }

  #addCheck(spec: CheckSpec, origin: Origin): void {
    const before = this.#checks.get(spec.id)
    before?.outputTimer?.cancel()
    const fresh = initialCheck(spec, this.#options.nodeName, this.service(spec.serviceId))
    // A check that is registered again keeps the state it has, unless a state was given.
    const record =
      before && spec.type.Status === '' && before.record.Type === fresh.Type
        ? { ...fresh, Status: before.record.Status, Output: before.record.Output }
        : fresh
    this.#checks.set(spec.id, {
      spec,
      record,
      origin,
      criticalSinceMs: record.Status === 'critical' ? this.#modules.clock.nowMs() : undefined,
      outputTimer: undefined,
    })
    this.#runner.start(spec)
    if (spec.type.AliasNode !== '') this.#watchAliases()
    this.#tell()
  }

  #addMaintenance(id: string, name: string, reason: string, service: NodeService | undefined): void {
    const record = HealthCheck.of({
      Node: this.#options.nodeName,
      CheckID: id,
      Name: name,
      Status: 'critical',
      Notes: reason,
      ServiceID: service?.ID ?? '',
      ServiceName: service?.Service ?? '',
      ServiceTags: service?.Tags ?? null,
      Type: 'maintenance',
    })
    this.#checks.set(id, {
      spec: undefined,
      record,
      origin: 'http',
      criticalSinceMs: undefined,
      outputTimer: undefined,
    })
    // Maintenance outlives a restart.
    const kept = AgentCheckDefinition.of({ CheckID: id, Name: name, Notes: reason, ServiceID: record.ServiceID })
    this.#files.save('checks', id, AgentCheckDefinition.toJson(kept))
    this.#tell()
  }

  #removeCheck(id: string): void {
    this.#checks.get(id)?.outputTimer?.cancel()
    this.#checks.delete(id)
    this.#runner.stop(id)
    this.#files.remove('checks', id)
    this.#files.remove('check-state', id)
    this.#tell()
  }

  #restoreCheck(definition: AgentCheckDefinition): void {
    const { ServiceID, CheckID, Name, Notes } = definition
    const service = this.service(ServiceID)
    if (ServiceID !== '' && !service) return
    if (isMaintenance(CheckID)) {
      this.#addMaintenance(CheckID, Name, Notes, service)
      return
    }
    checkCheckDefinition(definition, RULES)
    const spec = ownCheck(definition)
    if (this.#checks.get(spec.id)?.origin !== 'configuration') this.#addCheck(spec, 'http')
  }

  /** TTL checks go on with what is left of their time. */
  #restoreStates(): void {
    const states = this.#files.load('check-state', (json) => {
      const { id, status, output, expiresWallMs } = json as Record<string, unknown>
      if (
        typeof id !== 'string' ||
        typeof status !== 'string' ||
        typeof output !== 'string' ||
        typeof expiresWallMs !== 'number'
      ) {
        throw new Error('it is no state of a check')
      }
      return { id, status, output, expiresWallMs }
    })
    for (const { id, status, output, expiresWallMs } of states) {
      const entry = this.#checks.get(id)
      const remainingMs = expiresWallMs - this.#modules.clock.wallMs()
      if (entry?.spec?.kind !== 'ttl' || remainingMs <= 0) continue
      entry.record = { ...entry.record, Status: status, Output: output }
      this.#runner.touch(id, remainingMs)
    }
  }

  #onResult(id: string, result: ProbeResult): void {
    const entry = this.#checks.get(id)
    if (!entry) return
    const { record } = entry
    const maxBytes = entry.spec?.type.OutputMaxSize || DEFAULT_OUTPUT_BYTES
    const output = cut(result.output, maxBytes)
    if (record.Status === result.status && record.Output === output) return
    const sameStatus = record.Status === result.status
    entry.record = { ...record, Status: result.status, Output: output }
    if (!sameStatus) {
      entry.criticalSinceMs = result.status === 'critical' ? this.#modules.clock.nowMs() : undefined
      this.#modules.log.info('check is now', { check: id, status: result.status })
    }
    this.#tell()
    if (!sameStatus || entry.spec?.kind === 'ttl') void this.#sync.changed(record.ServiceID)
    else this.#syncOutputLater(entry)
  }

  #syncOutputLater(entry: CheckEntry): void {
    if (entry.outputTimer) return
    entry.outputTimer = this.#modules.clock.after(this.#options.checkUpdateIntervalMs, () => {
      entry.outputTimer = undefined
      void this.#sync.changed(entry.record.ServiceID)
    })
  }

  #overrideTags(id: string, tags: readonly string[]): void {
    const entry = this.#services.get(id)
    if (!entry || JSON.stringify(entry.service.Tags) === JSON.stringify(tags)) return
    this.#services.set(id, { ...entry, service: { ...entry.service, Tags: tags } })
  }

  /** One #tell() for all changes that `work` makes. */
  #together<T>(work: () => T): T {
    this.#holding++
    try {
      return work()
    } finally {
      this.#holding--
      this.#tell()
    }
  }

  /** Brings alias checks in line, tells whoever waits for changes. */
  #tell(): void {
    if (this.#holding > 0) return
    this.#updateAliases()
    for (const listener of [...this.#listeners]) listener()
  }

  #updateAliases(): void {
    const aliases = [...this.#checks.values()].filter((entry) => entry.spec?.kind === 'alias')
    if (aliases.length === 0) return
    const byService = Map.groupBy(this.checks(), (check) => check.ServiceID)
    const ofNode = byService.get('') ?? []
    const known = {
      of: (check: HealthCheck): readonly HealthCheck[] | undefined => {
        const spec = check.Node === this.#options.nodeName ? this.#checks.get(check.CheckID)?.spec : undefined
        if (spec?.kind !== 'alias') return undefined
        const { AliasNode, AliasService } = spec.type
        if (AliasNode === '' || AliasNode === this.#options.nodeName) {
          return AliasService === '' ? ofNode : [...ofNode, ...(byService.get(AliasService) ?? [])]
        }
        return aliasedChecks(this.#modules.state.read((tx) => tx.checks.ofNode(AliasNode)).value, AliasService)
      },
    }
    const found = aliases.map((entry) => ({ entry, result: aliasState(entry.record, known) }))
    for (const { entry, result } of found) {
      const output = cut(result.output, DEFAULT_OUTPUT_BYTES)
      if (entry.record.Status === result.status && entry.record.Output === output) continue
      entry.record = { ...entry.record, Status: result.status, Output: output }
      void this.#sync.changed(entry.record.ServiceID)
    }
  }

  /** Follows the checks of other nodes that aliases stand for. */
  #watchAliases(): void {
    const nodes = [...this.#checks.values()].flatMap(({ spec }) => (spec?.type.AliasNode ? [spec.type.AliasNode] : []))
    const { watch } = this.#modules.state.read((tx) => nodes.map((node) => tx.checks.ofNode(node)))
    this.#cancelAliasWatch()
    this.#cancelAliasWatch = watch.onFire(() => {
      this.#updateAliases()
      this.#watchAliases()
    })
  }

  /** Services whose check has been critical for longer than they allow are deregistered. */
  #reap(): void {
    const now = this.#modules.clock.nowMs()
    for (const entry of [...this.#checks.values()]) {
      const limitNs = entry.spec?.type.DeregisterCriticalServiceAfter ?? 0
      const id = entry.record.ServiceID
      if (limitNs <= 0 || id === '' || entry.criticalSinceMs === undefined || !this.#services.has(id)) continue
      if (now - entry.criticalSinceMs < limitNs / 1e6) continue
      this.#modules.log.info('deregistering a service that was critical for too long', {
        service: id,
        check: entry.record.CheckID,
      })
      for (const gone of this.#removeService(id)) void this.#sync.changed(gone)
    }
  }

  /** Resolves when the catalog has it, or after a while: the sync goes on trying. */
  async #settled(ids: readonly string[]): Promise<void> {
    const synced = Promise.all(ids.map((id) => this.#sync.changed(id)))
    const done = new AbortController()
    const limit = sleep(this.#modules.clock, CATALOG_WAIT_MS, done.signal).catch(() => undefined)
    await Promise.race([synced, limit])
    done.abort()
  }
}

function isMaintenance(checkId: string): boolean {
  return checkId === NODE_MAINTENANCE || checkId.startsWith(SERVICE_MAINTENANCE)
}

/** The first `maxBytes` of a text, with a note in Consul's words where some was left out. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  let end = maxBytes
  // Not inside a character: its further bytes are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${bytes.toString('utf8', 0, end)} ... (captured ${end} of ${bytes.length} bytes)`
}
