/**
 * How the table of configuration keys is written: one row per key with its kind, whether Hanse uses it, default, meaning.
 *
 * The table is the only description: decoding, warnings, "nearest known key", reload and docs/configuration.md read it.
 */

export type ConfigKind =
  | 'string'
  | 'bool'
  | 'int'
  | 'float'
  | 'duration'
  | 'strings'
  | 'string map'
  | 'lists by name'
  | 'durations by name'
  | 'object'
  | 'objects'
  | 'objects by name'
  | 'any'

export interface KeySpec {
  readonly kind: ConfigKind
  /** `used`: does something. `known`: Consul's, accepted with a warning and without effect. */
  readonly status: 'used' | 'known'
  /** For docs/configuration.md, as one would write it. */
  readonly default?: string
  readonly about?: string
  /** Applied by a reload, without a restart. */
  readonly reload?: true
  /** Keys of an object, of each object of a list, or of each named object. */
  readonly keys?: KeyTable
  /** Never shown, wherever values are printed. */
  readonly secret?: true
}

export type KeyTable = Readonly<Record<string, KeySpec>>

type Extra = Partial<Pick<KeySpec, 'default' | 'reload' | 'secret'>>

/** A key that does something. */
export function used(kind: ConfigKind, about: string, extra: Extra = {}): KeySpec {
  return { kind, status: 'used', about, ...extra }
}

/** An object whose keys do something, or some of them. */
export function section(
  about: string,
  keys: KeyTable,
  kind: 'object' | 'objects' | 'objects by name' = 'object',
  extra: Extra = {},
): KeySpec {
  return { kind, status: 'used', about, keys, ...extra }
}

const SHORT_KINDS: Readonly<Record<string, ConfigKind>> = {
  s: 'string',
  b: 'bool',
  i: 'int',
  f: 'float',
  d: 'duration',
  l: 'strings',
  m: 'string map',
  lm: 'lists by name',
  dm: 'durations by name',
  any: 'any',
}

/**
 * Keys that Consul has and Hanse does not use: `name:kind` pairs, kinds being s(tring), b(ool), i(nt), f(loat),
 * d(uration), l(ist of strings), m(ap of strings), lm (lists by name), any.
 */
export function known(pairs: string): Record<string, KeySpec> {
  const table: Record<string, KeySpec> = {}
  for (const pair of pairs.trim().split(/\s+/)) {
    const [name = '', short = ''] = pair.split(':')
    const kind = SHORT_KINDS[short]
    if (!kind) throw new RangeError(`key table: "${pair}" has no kind`)
    table[name] = { kind, status: 'known' }
  }
  return table
}

/** An object of Consul's that Hanse does not use. */
export function knownSection(keys: KeyTable, kind: 'object' | 'objects' = 'object'): KeySpec {
  return { kind, status: 'known', keys }
}

/** The canonical key: exact, then whatever its case; inside definitions also without underscores (`EnableTagOverride`). */
export function findKey(table: KeyTable, key: string, camel: boolean): string | undefined {
  if (Object.hasOwn(table, key)) return key
  const fold = (text: string) => (camel ? text.toLowerCase().replaceAll('_', '') : text.toLowerCase())
  const folded = fold(key)
  return Object.keys(table).find((name) => fold(name) === folded)
}

/** Farther than this is no misspelling. */
const MAX_NEAREST_DISTANCE = 5

/** The known key that looks most like an unknown one; undefined when none is near. */
export function nearestKey(table: KeyTable, key: string): string | undefined {
  let best: string | undefined
  let bestDistance = Math.min(MAX_NEAREST_DISTANCE, Math.ceil(key.length / 2)) + 1
  for (const name of Object.keys(table)) {
    const distance = editDistance(key.slice(0, 80).toLowerCase(), name, bestDistance)
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance; a neighbour swap costs one, as typing errors do. Gives up at `limit`. */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) >= limit) return limit
  let beforePrevious: number[] = []
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]) {
        cost = Math.min(cost, (beforePrevious[column - 2] ?? 0) + 1)
      }
      current.push(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[right.length] ?? limit
}
