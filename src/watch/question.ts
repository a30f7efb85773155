/**
 * What can be watched: which question each type asks, and what of the answer a handler gets.
 */
import { segment } from '#client'
import { type JsonValue, parseGoJson } from '#codec'
import { watchError } from './errors.ts'

/** A watch as users write it, on the command line and in a configuration. Empty text is the same as none. */
export interface WatchParameters {
  readonly type?: string | undefined
  readonly key?: string | undefined
  readonly prefix?: string | undefined
  readonly name?: string | undefined
  readonly service?: string | undefined
  readonly serviceId?: string | undefined
  readonly tag?: string | readonly string[] | undefined
  readonly passingOnly?: boolean | undefined
  readonly state?: string | undefined
  readonly filter?: string | undefined
}

export interface WatchedQuestion {
  readonly path: string
  readonly query: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
  /** The answer tells of its content by a hash, not by an index. */
  readonly byHash?: boolean
  /** Its indexes name what is there and do not grow. */
  readonly anyOrder?: boolean
  /** What the handler gets of an answer; undefined body: there is nothing under that name. */
  pick(body: string | undefined): JsonValue
}

const whole = (body: string | undefined): JsonValue => (body === undefined ? null : parseGoJson(body))

function first(body: string | undefined): JsonValue {
  const list = whole(body)
  return Array.isArray(list) ? (list[0] ?? null) : list
}

/** @throws WATCH_PARAMETER_MISSING */
function needed(type: string, parameter: string, value: string | undefined): string {
  if (value === undefined || value === '') throw watchError('WATCH_PARAMETER_MISSING', { type, parameter })
  return value
}

type Make = (parameters: WatchParameters, type: string) => WatchedQuestion

const TYPES: Readonly<Record<string, Make>> = {
  key: ({ key }, type) => ({ path: `/v1/kv/${keyPath(needed(type, 'key', key))}`, query: {}, pick: first }),
  keyprefix: ({ prefix }, type) => ({
    path: `/v1/kv/${keyPath(needed(type, 'prefix', prefix))}`,
    query: { recurse: true },
    pick: whole,
  }),
  services: ({ filter }) => ({ path: '/v1/catalog/services', query: { filter }, pick: whole }),
  nodes: ({ filter }) => ({ path: '/v1/catalog/nodes', query: { filter }, pick: whole }),
  service: ({ service, filter, tag, passingOnly }, type) => ({
    path: `/v1/health/service/${segment(needed(type, 'service', service))}`,
    query: { filter, tag, passing: passingOnly },
    pick: whole,
  }),
  checks: ({ service, state, filter }) => {
    const path = service ? `/v1/health/checks/${segment(service)}` : `/v1/health/state/${segment(state || 'any')}`
    return { path, query: { filter }, pick: whole }
  },
  event: ({ name }) => ({ path: '/v1/event/list', query: { name }, anyOrder: true, pick: whole }),
  connect_roots: () => ({ path: '/v1/agent/connect/ca/roots', query: {}, pick: whole }),
  connect_leaf: ({ service }, type) => ({
    path: `/v1/agent/connect/ca/leaf/${segment(needed(type, 'service', service))}`,
    query: {},
    pick: whole,
  }),
  agent_service: ({ serviceId, service }, type) => ({
    path: `/v1/agent/service/${segment(needed(type, 'service', serviceId || service))}`,
    query: {},
    byHash: true,
    pick: whole,
  }),
}

export const WATCH_TYPES: readonly string[] = Object.keys(TYPES)

/** The slashes of a key are part of the path. */
const keyPath = (key: string): string => key.split('/').map(segment).join('/')

/** @throws WATCH_NO_TYPE, WATCH_TYPE_UNKNOWN, WATCH_PARAMETER_MISSING */
export function questionOf(parameters: WatchParameters): WatchedQuestion {
  const { type = '' } = parameters
  if (type === '') throw watchError('WATCH_NO_TYPE', {})
  const make = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined
  if (make === undefined) throw watchError('WATCH_TYPE_UNKNOWN', { type, known: WATCH_TYPES })
  return make(parameters, type)
}
