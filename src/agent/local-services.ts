/**
 * The services of this agent, and what a definition makes of them: the service, its checks, its sidecar.
 *
 * A plan is made first, and everything that can be wrong is found while making it; carrying it out cannot fail.
 */
import { isDeepStrictEqual } from 'node:util'
import { checkServiceDefinition } from '#api'
import type { AgentServiceDefinition, NodeService } from '#codec'
import type { Origin } from './local-checks.ts'
import {
  type CheckSpec,
  nodeServiceOf,
  serviceChecks,
  sidecarId,
  sidecarOf,
  withSidecarPort,
} from './local-definitions.ts'
import { RULES } from './local-records.ts'

export interface ServiceEntry {
  readonly service: NodeService
  readonly origin: Origin
  /** As it goes to disk: with the port of its sidecar. A sidecar's own is part of its parent's. */
  readonly definition: AgentServiceDefinition
  /** The service whose sidecar this is. */
  readonly parent: string | undefined
}

/** One service as it is to be. */
export interface ServicePlan {
  readonly entry: ServiceEntry
  readonly checks: readonly CheckSpec[]
}

export class LocalServices {
  readonly #entries = new Map<string, ServiceEntry>()

  entries(): readonly ServiceEntry[] {
    return [...this.#entries.values()]
  }

  get(id: string): ServiceEntry | undefined {
    return this.#entries.get(id)
  }

  /** The sidecar that came with a service. */
  sidecarOf(id: string): ServiceEntry | undefined {
    const sidecar = this.#entries.get(`${id}-sidecar-proxy`)
    return sidecar?.parent === id ? sidecar : undefined
  }

  /**
   * What is to be when this definition is registered: the service, then its sidecar.
   *
   * @param reserved - further ports that no sidecar may get
   * @throws what checkServiceDefinition(), serviceChecks() and sidecarOf() throw
   */
  plan(
    definition: AgentServiceDefinition,
    origin: Origin,
    reserved: ReadonlySet<number> = new Set(),
  ): readonly ServicePlan[] {
    checkServiceDefinition(definition, RULES)
    const id = definition.ID || definition.Name
    const sidecar = this.#sidecarFor(definition, reserved)
    const whole = withSidecarPort(definition, sidecar?.Port)
    const plan = (of: AgentServiceDefinition, parent: string | undefined): ServicePlan => ({
      entry: { service: nodeServiceOf(of), origin, definition: parent === undefined ? whole : of, parent },
      checks: serviceChecks(of),
    })
    if (!sidecar) return [plan(definition, undefined)]
    checkServiceDefinition(sidecar, RULES)
    return [plan(definition, undefined), plan(sidecar, id)]
  }

  /** A sidecar that has a port keeps it: its proxy listens there. */
  #sidecarFor(definition: AgentServiceDefinition, reserved: ReadonlySet<number>): AgentServiceDefinition | undefined {
    if (!definition.Connect?.SidecarService) return undefined
    const id = sidecarId(definition)
    const taken = new Set(reserved)
    for (const { service } of this.#entries.values()) if (service.ID !== id) taken.add(service.Port)
    return sidecarOf(definition, taken, this.#entries.get(id)?.service.Port)
  }

  /** Adds or replaces a service. @returns whether it is another than before; the same content stays the same object */
  put(entry: ServiceEntry): boolean {
    const { ID } = entry.service
    const before = this.#entries.get(ID)
    const same = before !== undefined && isDeepStrictEqual(before.service, entry.service)
    this.#entries.set(ID, same ? { ...entry, service: before.service } : entry)
    return !same
  }

  delete(id: string): void {
    this.#entries.delete(id)
  }

  /** Takes over what others wrote into the catalog for a service that lets them. */
  overrideTags(id: string, tags: readonly string[]): boolean {
    const entry = this.#entries.get(id)
    if (!entry || isDeepStrictEqual(entry.service.Tags, tags)) return false
    this.#entries.set(id, { ...entry, service: { ...entry.service, Tags: tags } })
    return true
  }
}
