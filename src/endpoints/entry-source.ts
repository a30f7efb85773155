/**
 * The tables, as the mesh's rules read config entries.
 */
import { type ConfigEntry, type ConfigEntryKind, configEntryName, type EntryOf } from '#codec'
import type { EntrySource } from '#mesh'
import type { ReadTx } from '#state'

/** For reads: each entry that is asked for is watched by itself. */
export function entrySource(tx: ReadTx): EntrySource {
  return {
    get: (kind, name) => tx.configEntries.get(kind, name),
    all: (kind) => tx.configEntries.ofKind(kind),
  }
}

/**
 * For writes: by kind, because a check may look at any number of entries, and a transaction can only rely on some.
 * Writers of entries come one after another, so what was looked at holds until the commit.
 */
export function entrySourceForWrites(tx: ReadTx): EntrySource {
  const byKind = new Map<ConfigEntryKind, ReadonlyMap<string, ConfigEntry>>()
  const namesOf = (kind: ConfigEntryKind) => {
    const known = byKind.get(kind)
    if (known) return known
    const entries: readonly ConfigEntry[] = tx.configEntries.ofKind(kind)
    const names = new Map(entries.map((entry): [string, ConfigEntry] => [foldedName(configEntryName(entry)), entry]))
    byKind.set(kind, names)
    return names
  }
  return {
    get: (kind, name) => {
      const entry = namesOf(kind).get(foldedName(name))
      return entry && isOfKind(kind, entry) ? entry : undefined
    },
    all: (kind) => tx.configEntries.ofKind(kind),
  }
}

/** Names are compared without regard to case. */
const foldedName = (name: string): string => name.toLowerCase()

function isOfKind<K extends ConfigEntryKind>(kind: K, entry: ConfigEntry): entry is EntryOf<K> & ConfigEntry {
  return entry.Kind === kind
}
