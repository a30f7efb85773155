/**
 * Where entries are read from: the tables of a server, a set in a test, or either with one change on top.
 */
import { type ConfigEntry, type ConfigEntryKind, configEntryName, type EntryOf } from '#codec'

export interface EntrySource {
  get<K extends ConfigEntryKind>(kind: K, name: string): EntryOf<K> | undefined
  /** Sorted by name. */
  all<K extends ConfigEntryKind>(kind: K): readonly EntryOf<K>[]
}

/** The one change that a write makes: `entry` is undefined when it is removed. */
export interface EntryChange {
  readonly kind: ConfigEntryKind
  readonly name: string
  readonly entry: ConfigEntry | undefined
}

/** An immutable set of entries. */
export class EntrySet implements EntrySource {
  readonly #byKind = new Map<ConfigEntryKind, Map<string, ConfigEntry>>()

  constructor(entries: Iterable<ConfigEntry> = []) {
    for (const entry of entries) {
      const names = this.#byKind.get(entry.Kind) ?? new Map<string, ConfigEntry>()
      names.set(configEntryName(entry), entry)
      this.#byKind.set(entry.Kind, names)
    }
  }

  get<K extends ConfigEntryKind>(kind: K, name: string): EntryOf<K> | undefined {
    const entry = this.#byKind.get(kind)?.get(name)
    return entry !== undefined && isOf(kind, entry) ? entry : undefined
  }

  all<K extends ConfigEntryKind>(kind: K): readonly EntryOf<K>[] {
    return sortedByName([...(this.#byKind.get(kind)?.values() ?? [])].filter((entry) => isOf(kind, entry)))
  }

  /** Every entry, by kind and name. */
  entries(): readonly ConfigEntry[] {
    return [...this.#byKind.keys()].sort().flatMap((kind) => this.all(kind))
  }

  /** A set with one change. */
  with({ kind, name, entry }: EntryChange): EntrySet {
    const others = this.entries().filter((other) => other.Kind !== kind || configEntryName(other) !== name)
    return new EntrySet(entry === undefined ? others : [...others, entry])
  }
}

function isOf<K extends ConfigEntryKind>(kind: K, entry: ConfigEntry): entry is EntryOf<K> & ConfigEntry {
  return entry.Kind === kind
}

function sortedByName<E extends ConfigEntry>(entries: E[]): E[] {
  return entries.sort((a, b) => (configEntryName(a) < configEntryName(b) ? -1 : 1))
}

/** A source as it would be after a change; nothing is copied. */
export function withChange(source: EntrySource, change: EntryChange): EntrySource {
  return {
    get: (kind, name) => {
      if (kind !== change.kind || name !== change.name) return source.get(kind, name)
      return change.entry !== undefined && isOf(kind, change.entry) ? change.entry : undefined
    },
    all: (kind) => {
      const before = source.all(kind)
      if (kind !== change.kind) return before
      const others = before.filter((entry) => configEntryName(entry) !== change.name)
      return change.entry !== undefined && isOf(kind, change.entry) ? sortedByName([...others, change.entry]) : others
    },
  }
}
