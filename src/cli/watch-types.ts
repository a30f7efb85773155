/**
 * What can be watched: which question each type asks, and what of the answer a handler gets.
 */
import { segment } from '#client'
import { type JsonValue, parseGoJson } from '#codec'
import type { Flags } from './command.ts'
import { cliError } from './errors.ts'

export interface WatchedQuestion {
  readonly path: string
  readonly query: Readonly<Record<string, string | boolean | undefined>>
  /** The answer tells of its content by a hash, not by an index. */
  readonly byHash?: boolean
  /** What the handler gets of an answer; undefined body: there is nothing under that name. */
  pick(body: string | undefined): JsonValue
}

const whole = (body: string | undefined): JsonValue => (body === undefined ? null : parseGoJson(body))

function first(body: string | undefined): JsonValue {
  const list = whole(body)
  return Array.isArray(list) ? (list[0] ?? null) : list
}

/** @throws ARGUMENTS when the flag is missing */
function needed(flags: Flags, type: string, flag: string): string {
  const value = flags.string(flag) ?? ''
  if (value === '') throw cliError('ARGUMENTS', { message: `A watch of type "${type}" needs -${flag}` })
  return value
}

type Make = (flags: Flags, type: string) => WatchedQuestion

const TYPES: Readonly<Record<string, Make>> = {
  key: (flags, type) => ({ path: `/v1/kv/${keyPath(needed(flags, type, 'key'))}`, query: {}, pick: first }),
  keyprefix: (flags, type) => ({
    path: `/v1/kv/${keyPath(needed(flags, type, 'prefix'))}`,
    query: { recurse: true },
    pick: whole,
  }),
  services: (flags) => ({ path: '/v1/catalog/services', query: filterOf(flags), pick: whole }),
  nodes: (flags) => ({ path: '/v1/catalog/nodes', query: filterOf(flags), pick: whole }),
  service: (flags, type) => ({
    path: `/v1/health/service/${segment(needed(flags, type, 'service'))}`,
    query: { ...filterOf(flags), tag: flags.string('tag'), passing: flags.bool('passingonly') },
    pick: whole,
  }),
  checks: (flags) => {
    const service = flags.string('service')
    const ofState = `/v1/health/state/${segment(flags.string('state') ?? 'any')}`
    const path = service ? `/v1/health/checks/${segment(service)}` : ofState
    return { path, query: filterOf(flags), pick: whole }
  },
  event: (flags) => ({ path: '/v1/event/list', query: { name: flags.string('name') }, pick: whole }),
  connect_roots: () => ({ path: '/v1/agent/connect/ca/roots', query: {}, pick: whole }),
  connect_leaf: (flags, type) => ({
    path: `/v1/agent/connect/ca/leaf/${segment(needed(flags, type, 'service'))}`,
    query: {},
    pick: whole,
  }),
  agent_service: (flags, type) => ({
    path: `/v1/agent/service/${segment(needed(flags, type, 'service'))}`,
    query: {},
    byHash: true,
    pick: whole,
  }),
}

export const WATCH_TYPES: readonly string[] = Object.keys(TYPES)

/** The slashes of a key are part of the path. */
const keyPath = (key: string): string => key.split('/').map(segment).join('/')

const filterOf = (flags: Flags) => ({ filter: flags.string('filter') })

/** @throws ARGUMENTS, FLAG_VALUE */
export function questionOf(flags: Flags): WatchedQuestion {
  const type = flags.string('type') ?? ''
  if (type === '') throw cliError('ARGUMENTS', { message: 'Watch type must be specified' })
  const make = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined
  if (make === undefined) throw cliError('FLAG_VALUE', { flag: 'type', value: type, wanted: WATCH_TYPES.join(', ') })
  return make(flags, type)
}
