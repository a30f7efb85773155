/**
 * Registrations as they stand in files: what is written, and read back after a restart.
 *
 * What was read is checked like what users send: a file is input from outside.
 */
import { checkCheckDefinition, checkServiceDefinition } from '#api'
import { AgentCheckDefinition, AgentServiceDefinition } from '#codec'
import type { ProbeResult } from './check-results.ts'
import { type CheckSpec, ownCheck } from './local-definitions.ts'

/** Programs are run by no check of this agent. */
export const RULES = { scripts: false }
const READING = { unknownKeys: 'skip' } as const

/** A check on its own or one that its service has no more, or the maintenance of a service ("": of the node). */
export type StoredCheck =
  | { readonly kind: 'check'; readonly spec: CheckSpec }
  | { readonly kind: 'maintenance'; readonly serviceId: string; readonly reason: string }

export interface StoredState {
  readonly id: string
  readonly result: ProbeResult
  readonly expiresWallMs: number
}

export const serviceToJson = AgentServiceDefinition.toJson

/** @throws what fromJson() and checkServiceDefinition() throw */
export function serviceFromJson(json: unknown): AgentServiceDefinition {
  const definition = AgentServiceDefinition.fromJson(json, '', READING)
  checkServiceDefinition(definition, RULES)
  return definition
}

export function checkToJson(stored: StoredCheck): unknown {
  if (stored.kind === 'maintenance') return { maintenance: { serviceId: stored.serviceId, reason: stored.reason } }
  const { spec } = stored
  const definition = AgentCheckDefinition.of({ ...spec.type, ID: spec.id, ServiceID: spec.serviceId })
  return { definition: AgentCheckDefinition.toJson(definition), ...(spec.alone ? {} : { ofService: true }) }
}

/** @throws RecordError; what fromJson(), checkCheckDefinition() and ownCheck() throw */
export function checkFromJson(json: unknown): StoredCheck {
  const { definition, ofService, maintenance } = members(json)
  if (maintenance !== undefined) {
    const { serviceId, reason } = members(maintenance)
    if (typeof serviceId !== 'string' || typeof reason !== 'string') throw new RecordError('it is no maintenance')
    return { kind: 'maintenance', serviceId, reason }
  }
  const check = AgentCheckDefinition.fromJson(definition, 'definition', READING)
  checkCheckDefinition(check, RULES)
  const { alone: _, ...spec } = ownCheck(check)
  return { kind: 'check', spec: ofService === true ? spec : { ...spec, alone: true } }
}

export function stateToJson({ id, result, expiresWallMs }: StoredState): unknown {
  return { id, status: result.status, output: result.output, expiresWallMs }
}

/** @throws RecordError */
export function stateFromJson(json: unknown): StoredState {
  const { id, status, output, expiresWallMs } = members(json)
  const known = status === 'passing' || status === 'warning' || status === 'critical'
  if (typeof id !== 'string' || !known || typeof output !== 'string' || typeof expiresWallMs !== 'number') {
    throw new RecordError('it is no state of a check')
  }
  return { id, result: { status, output }, expiresWallMs }
}

/** What is wrong with a file's content; it becomes the reason in LOCAL_FILE_CORRUPT. */
export class RecordError extends Error {}

function members(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new RecordError('it is no JSON object')
  return { ...json }
}
