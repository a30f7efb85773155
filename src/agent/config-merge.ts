/**
 * Trees of several sources → one: later scalars win, lists grow, objects merge. As Consul does with its files.
 */
import { placeOf, setPlace, type Tree, type TreeValue } from './config-decode.ts'

/** Merges `from` into `into`, which is changed. */
export function mergeInto(into: Tree, from: Tree): void {
  for (const [key, value] of Object.entries(from)) {
    into[key] = mergeValue(into[key], value)
    setPlace(into, key, placeOf(from, key))
  }
}

function mergeValue(before: TreeValue | undefined, value: TreeValue): TreeValue {
  if (Array.isArray(value)) return Array.isArray(before) ? [...before, ...value] : [...value]
  if (typeof value !== 'object') return value
  const merged: Tree = {}
  if (typeof before === 'object' && !Array.isArray(before)) mergeInto(merged, before)
  mergeInto(merged, value)
  return merged
}
