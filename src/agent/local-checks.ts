/**
 * The checks of this agent and the state of each.
 *
 * Results come from the runner and from users (TTL); alias checks follow at once. A change of status is told at once, a
 * changed output alone only now and then, so that a check which prints the time does not make the catalog move.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock, Logger, Random, Timer } from '#base'
import type { HealthCheck, NodeService } from '#codec'
import type { State } from '#state'
import { type AliasTarget, aliasState } from './alias-checks.ts'
import type { ProbeResult } from './check-results.ts'
import { CheckRunner } from './check-runner.ts'
import { type CheckSpec, initialCheck } from './local-definitions.ts'

/** Who registered something: users through the API, or the configuration. */
export type Origin = 'http' | 'configuration'

export interface CheckEntry {
  /** Undefined for maintenance. */
  readonly spec: CheckSpec | undefined
  readonly origin: Origin
  record: HealthCheck
  /** Monotonic; when the status became critical. */
  criticalSinceMs: number | undefined
  /** Runs while a changed output waits to be told. */
  outputTimer: Timer | undefined
}

export interface LocalChecksOptions {
  readonly nodeName: string
  readonly checkUpdateIntervalMs: number
  /** `check_output_max_size`: most that is kept of what any check answers; 4096 unless given. */
  readonly checkOutputMaxBytes?: number
  /** `discard_check_output`, as it is now: outputs are not kept at all. */
  readonly discardsOutput?: () => boolean
}

export interface LocalChecksModules {
  readonly state: State
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly service: (id: string) => NodeService | undefined
  /** Checks of this service ("" of the node) have changed. `told`: the catalog is to know now. */
  readonly onChange: (serviceId: string, told: boolean) => void
}

export class LocalChecks {
  readonly #options: LocalChecksOptions
  readonly #modules: LocalChecksModules
  readonly #entries = new Map<string, CheckEntry>()
  readonly #byService = new Map<string, Map<string, CheckEntry>>()
  /** Alias checks by the local service they stand for, "" for the node. */
  readonly #aliases = new Map<string, Set<string>>()
  readonly #runner: CheckRunner
  #cancelWatch: () => void = () => {}

  constructor(options: LocalChecksOptions, modules: LocalChecksModules) {
    this.#options = options
    this.#modules = modules
    const { clock, random } = modules
    this.#runner = new CheckRunner({
      clock,
      random,
      maxOutputBytes: options.checkOutputMaxBytes,
      onResult: (id, result) => this.report(id, result),
    })
  }

  stop(): void {
    this.#cancelWatch()
    this.#runner.stopAll()
    for (const entry of this.#entries.values()) entry.outputTimer?.cancel()
  }

  entries(): readonly CheckEntry[] {
    return [...this.#entries.values()]
  }

  get(id: string): CheckEntry | undefined {
    return this.#entries.get(id)
  }

  ofService(serviceId: string): readonly CheckEntry[] {
    return [...(this.#byService.get(serviceId)?.values() ?? [])]
  }

  /**
   * Adds a check or puts it in the place of the one with its ID. The state that it has stays: `Status` of a definition
   * is for new checks. One that is as before goes on running as if nothing happened.
   */
  put(spec: CheckSpec, origin: Origin): void {
    const before = this.#entries.get(spec.id)
    const fresh = initialCheck(spec, this.#options.nodeName, this.#modules.service(spec.serviceId))
    const stays = before?.spec?.kind === spec.kind && before.record.ServiceID === fresh.ServiceID
    const record = stays ? { ...fresh, Status: before.record.Status, Output: before.record.Output } : fresh
    const same = stays && isDeepStrictEqual(record, before.record)
    const sinceMs = record.Status === 'critical' ? this.#modules.clock.nowMs() : undefined
    if (before) this.#take(before, record)
    this.#add({
      spec,
      origin,
      record: same ? before.record : record,
      criticalSinceMs: stays ? before.criticalSinceMs : sinceMs,
      outputTimer: stays ? before.outputTimer : undefined,
    })
    if (!stays) before?.outputTimer?.cancel()
    if (!before || !isDeepStrictEqual(before.spec, spec)) this.#runner.start(spec)
    if (spec.type.AliasNode !== '') this.#watchNodes()
    if (!same && before && before.record.ServiceID !== spec.serviceId) this.#changed(before.record.ServiceID)
    if (!same) this.#changed(spec.serviceId)
    const entry = this.#entries.get(spec.id)
    if (entry && spec.kind === 'alias') this.#follow(spec.id, entry)
  }

  /** Adds a check that is not run: maintenance (local-maintenance.ts). */
  putRecord(record: HealthCheck): void {
    const before = this.#entries.get(record.CheckID)
    if (before && isDeepStrictEqual(before.record, record)) return
    if (before) this.#take(before, record)
    before?.outputTimer?.cancel()
    this.#runner.stop(record.CheckID)
    this.#add({ spec: undefined, origin: 'http', record, criticalSinceMs: undefined, outputTimer: undefined })
    this.#changed(record.ServiceID)
  }

  remove(id: string): void {
    const entry = this.#entries.get(id)
    if (!entry) return
    entry.outputTimer?.cancel()
    this.#take(entry)
    this.#runner.stop(id)
    if (entry.spec?.type.AliasNode) this.#watchNodes()
    this.#changed(entry.record.ServiceID)
  }

  /** A service has come, gone, or changed: its checks carry its name and tags, aliases depend on it. */
  serviceChanged(id: string): void {
    const service = this.#modules.service(id)
    for (const entry of this.ofService(id)) {
      const [name, tags] = [service?.Service ?? '', service?.Tags ?? null]
      if (entry.record.ServiceName === name && isDeepStrictEqual(entry.record.ServiceTags, tags)) continue
      entry.record = { ...entry.record, ServiceName: name, ServiceTags: tags }
    }
    this.#changed(id)
  }

  /** What a check found, or was told. @returns whether that changed its status */
  report(id: string, result: ProbeResult): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    const turned = entry.record.Status !== result.status
    if (!this.#set(entry, result)) return false
    if (turned) this.#modules.log.info('check is now', { check: id, status: result.status })
    this.#changed(entry.record.ServiceID, turned)
    return turned
  }

  /** A TTL check has been heard of. */
  touch(id: string): void {
    this.#runner.touch(id)
  }

  /** The state of a TTL check from before a restart, which has this much of its time left. */
  restore(id: string, result: ProbeResult, remainingMs: number): void {
    const entry = this.#entries.get(id)
    if (entry?.spec?.kind !== 'ttl') return
    this.#set(entry, result)
    this.#runner.touch(id, remainingMs)
    this.#changed(entry.record.ServiceID)
  }

  /** IDs of services with a check that has been critical for longer than it allows, each with the check. */
  overdue(minimumMs: number): ReadonlyMap<string, string> {
    const nowMs = this.#modules.clock.nowMs()
    const services = new Map<string, string>()
    for (const { spec, record, criticalSinceMs } of this.#entries.values()) {
      const limitMs = (spec?.type.DeregisterCriticalServiceAfter ?? 0) / 1e6
      if (limitMs <= 0 || record.ServiceID === '' || criticalSinceMs === undefined) continue
      if (nowMs - criticalSinceMs >= Math.max(limitMs, minimumMs)) services.set(record.ServiceID, record.CheckID)
    }
    return services
  }

  #add(entry: CheckEntry): void {
    const { CheckID, ServiceID } = entry.record
    this.#entries.set(CheckID, entry)
    const siblings = this.#byService.get(ServiceID) ?? new Map<string, CheckEntry>()
    this.#byService.set(ServiceID, siblings.set(CheckID, entry))
    const target = this.#localTarget(entry)
    if (target !== undefined) this.#aliases.set(target, (this.#aliases.get(target) ?? new Set()).add(CheckID))
  }

  /** @param next - what comes in its place, which is the same place where the service is the same */
  #take(entry: CheckEntry, next?: HealthCheck): void {
    const { CheckID, ServiceID } = entry.record
    if (!next) this.#entries.delete(CheckID)
    if (next?.ServiceID !== ServiceID) {
      const siblings = this.#byService.get(ServiceID)
      siblings?.delete(CheckID)
      if (siblings?.size === 0) this.#byService.delete(ServiceID)
    }
    const target = this.#localTarget(entry)
    if (target === undefined) return
    const aliases = this.#aliases.get(target)
    aliases?.delete(CheckID)
    if (aliases?.size === 0) this.#aliases.delete(target)
  }

  /** @returns whether anything changed */
  #set(entry: CheckEntry, result: ProbeResult): boolean {
    const { record } = entry
    const { status } = result
    const output = this.#options.discardsOutput?.() ? '' : result.output
    if (record.Status === status && record.Output === output) return false
    entry.record = { ...record, Status: status, Output: output }
    if (record.Status === status) {
      this.#tellOutputLater(entry)
      return true
    }
    entry.criticalSinceMs = status === 'critical' ? this.#modules.clock.nowMs() : undefined
    entry.outputTimer?.cancel()
    entry.outputTimer = undefined
    return true
  }

  #tellOutputLater(entry: CheckEntry): void {
    entry.outputTimer ??= this.#modules.clock.after(this.#options.checkUpdateIntervalMs, () => {
      const current = this.#entries.get(entry.record.CheckID)
      if (!current) return
      current.outputTimer = undefined
      this.#modules.onChange(current.record.ServiceID, true)
    })
  }

  /** Tells of a change and of the aliases that follow from it. Each takes its final state at once: none changes twice. */
  #changed(serviceId: string, told = true): void {
    this.#modules.onChange(serviceId, told)
    const names = serviceId === '' ? [...this.#aliases.keys()] : [serviceId]
    for (const id of names.flatMap((name) => [...(this.#aliases.get(name) ?? [])])) {
      const entry = this.#entries.get(id)
      if (entry) this.#follow(id, entry)
    }
  }

  #follow(id: string, entry: CheckEntry): void {
    const target = targetOf(entry)
    if (target) this.report(id, aliasState(id, target, this.#view))
  }

  readonly #view = {
    checks: ({ node, service }: AliasTarget): readonly HealthCheck[] | undefined => {
      if (this.#isElsewhere(node)) return this.#checksElsewhere(node, service)
      if (service !== '' && !this.#modules.service(service)) return undefined
      const own = service === '' ? [] : this.ofService(service)
      return [...own, ...this.ofService('')].map(({ record }) => record)
    },
    aliasOf: ({ CheckID }: HealthCheck, { node }: AliasTarget): AliasTarget | undefined => {
      const entry = this.#isElsewhere(node) ? undefined : this.#entries.get(CheckID)
      return entry && targetOf(entry)
    },
  }

  #checksElsewhere(node: string, service: string): readonly HealthCheck[] | undefined {
    return this.#modules.state.read((tx) => {
      const missing = service === '' ? !tx.nodes.get(node) : !tx.services.get(node, service)
      return missing ? undefined : tx.checks.forInstance(node, service)
    }).value
  }

  #isElsewhere(node: string): boolean {
    return node !== '' && node !== this.#options.nodeName
  }

  #localTarget(entry: CheckEntry): string | undefined {
    const target = targetOf(entry)
    return target && !this.#isElsewhere(target.node) ? target.service : undefined
  }

  /** Follows the checks of other nodes that aliases stand for. */
  #watchNodes(): void {
    this.#cancelWatch()
    const elsewhere = this.entries().filter(
      ({ spec }) => spec?.kind === 'alias' && this.#isElsewhere(spec.type.AliasNode),
    )
    if (elsewhere.length === 0) return
    const { watch } = this.#modules.state.read((tx) => {
      for (const { spec } of elsewhere) {
        const { AliasNode = '', AliasService = '' } = spec?.type ?? {}
        tx.nodes.get(AliasNode)
        tx.services.get(AliasNode, AliasService)
        tx.checks.forInstance(AliasNode, AliasService)
      }
    })
    this.#cancelWatch = watch.onFire(() => {
      this.#watchNodes()
      for (const entry of elsewhere) {
        const { CheckID } = entry.record
        const current = this.#entries.get(CheckID)
        if (current) this.#follow(CheckID, current)
      }
    })
  }
}

function targetOf({ spec }: CheckEntry): AliasTarget | undefined {
  if (spec?.kind !== 'alias') return undefined
  return { node: spec.type.AliasNode, service: spec.type.AliasService }
}
