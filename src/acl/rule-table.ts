/**
 * Rules on names: which one counts for a name, and what all under a prefix say.
 *
 * An exact name beats every prefix, and the longest prefix wins. Names are sorted, and each prefix knows the longest
 * prefix that holds it, so that a check is one hash lookup and one binary search, whatever the number of rules.
 */
import type { Level } from './rules.ts'

/** Where two policies of one token speak about the same name: deny before write before list before read. */
const PRECEDENCE: readonly Level[] = ['read', 'list', 'write', 'deny']

/** The one of two levels that counts. */
export function stronger(left: Level | undefined, right: Level): Level {
  if (left === undefined) return right
  return PRECEDENCE.indexOf(right) > PRECEDENCE.indexOf(left) ? right : left
}

/** One name's rule, merged over all policies. */
export interface TableEntry {
  readonly name: string
  readonly prefix: boolean
  readonly level: Level
}

export class RuleTable {
  readonly #exact = new Map<string, Level>()
  /** Prefixes in order, their levels, and the index of the longest prefix that holds each (-1: none). */
  readonly #prefixes: readonly string[]
  readonly #levels: readonly Level[]
  readonly #holders: readonly number[]

  constructor(entries: Iterable<TableEntry>) {
    const prefixes = new Map<string, Level>()
    for (const { name, prefix, level } of entries) {
      const into = prefix ? prefixes : this.#exact
      into.set(name, stronger(into.get(name), level))
    }
    const sorted = [...prefixes].sort(([left], [right]) => (left < right ? -1 : 1))
    this.#prefixes = sorted.map(([name]) => name)
    this.#levels = sorted.map(([, level]) => level)
    this.#holders = holders(this.#prefixes)
  }

  /** What counts for `name`; undefined when no rule speaks about it. */
  level(name: string): Level | undefined {
    return this.#exact.get(name) ?? this.prefixLevel(name)
  }

  /** What the longest prefix of `name` says. */
  prefixLevel(name: string): Level | undefined {
    let low = 0
    let high = this.#prefixes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (at(this.#prefixes, middle, '') <= name) low = middle + 1
      else high = middle
    }
    // Every prefix of `name` holds the greatest entry up to `name`, or is it.
    let index = low - 1
    while (index >= 0 && !name.startsWith(at(this.#prefixes, index, ''))) index = at(this.#holders, index, -1)
    return index < 0 ? undefined : this.#levels[index]
  }

  /** Whether every rule below `prefix` passes; what counts for `prefix` itself is the caller's question. */
  everyBelow(prefix: string, passes: (level: Level) => boolean): boolean {
    for (const [name, level] of this.#exact) if (name.startsWith(prefix) && !passes(level)) return false
    return this.#prefixes.every((name, index) => !name.startsWith(prefix) || passes(at(this.#levels, index, 'deny')))
  }

  /** Whether any rule passes. */
  some(passes: (level: Level) => boolean): boolean {
    for (const level of this.#exact.values()) if (passes(level)) return true
    return this.#levels.some(passes)
  }
}

function holders(sorted: readonly string[]): number[] {
  const out: number[] = []
  for (const [index, name] of sorted.entries()) {
    let holder = index - 1
    while (holder >= 0 && !name.startsWith(at(sorted, holder, ''))) holder = at(out, holder, -1)
    out.push(holder)
  }
  return out
}

function at<T>(list: readonly T[], index: number, missing: T): T {
  return list[index] ?? missing
}
