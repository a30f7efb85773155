/**
 * What makes two reads the same question: the operation and those arguments that the answer depends on.
 *
 * How a caller asks (index, wait, consistency, token, its own address) is left out, so that all who want the same get
 * the same shared answer.
 */
import type { QueryOptions } from '#codec'
import type { AnyOperation, ReadArgs } from './operation.ts'

/** Arguments that the answer does not depend on. */
const NOT_IN_KEY: ReadonlySet<string> = new Set<keyof QueryOptions | 'Datacenter' | 'Source'>([
  'Datacenter',
  'Token',
  'MinQueryIndex',
  'MaxQueryTime',
  'AllowStale',
  'RequireConsistent',
  'UseCache',
  'MaxStaleDuration',
  'MaxAge',
  'MustRevalidate',
  'StaleIfError',
  'Source',
  'AllowNotModifiedResponse',
])

const fieldsOf = new WeakMap<object, readonly string[]>()

/** The arguments that belong to the question; found once per operation. */
function keyFields(operation: Pick<AnyOperation, 'args' | 'route'>): readonly string[] {
  const known = fieldsOf.get(operation)
  if (known !== undefined) return known
  // Where another field routes, `Datacenter` is part of the question.
  const routedOtherwise = operation.route !== undefined
  const fields = Object.keys(operation.args.fields).filter(
    (field) => !NOT_IN_KEY.has(field) || (field === 'Datacenter' && routedOtherwise),
  )
  fieldsOf.set(operation, fields)
  return fields
}

/** The same text for the same question. */
export function questionKey(operation: Pick<AnyOperation, 'name' | 'args' | 'route'>, args: ReadArgs): string {
  const record: Readonly<Record<string, unknown>> = { ...args }
  const asked = keyFields(operation).map((field) => record[field])
  return operation.name + JSON.stringify([askerOf(args), ...asked])
}

/**
 * The node that distances are asked from; empty where the answer does not depend on who asks. Proxies and gateways name
 * themselves too, with `DisableNode`, and want no order.
 */
export function askerOf(args: object): string {
  if (!('Source' in args) || typeof args.Source !== 'object' || args.Source === null) return ''
  if ('DisableNode' in args.Source && args.Source.DisableNode === true) return ''
  return 'Node' in args.Source && typeof args.Source.Node === 'string' ? args.Source.Node : ''
}
