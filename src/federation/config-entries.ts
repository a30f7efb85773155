/**
 * Config entries: written in the primary alone, copied by every secondary.
 *
 * Compared by kind and name. The primary's index says which may have changed since the last round, hashes whether one
 * did; a hash of 0 is unknown, and then the entry is copied. What is exported to peers belongs to its datacenter and is
 * not copied.
 *
 * Source: RPC wire notes §11.
 */
import { type ConfigEntry, configEntryName } from '#codec'
import type { State } from '#state'
import type { Difference, ReplicatedType } from './replication.ts'

/** Entries that one transaction writes: each takes a few of its keys. */
export const ENTRIES_PER_COMMIT = 24

const isCopied = ({ Kind }: ConfigEntry): boolean => Kind !== 'exported-services'

const keyOf = (entry: ConfigEntry): string => `${entry.Kind}/${configEntryName(entry).toLowerCase()}`

/** Hashes may be numbers or, above 2^53, bigints. */
function sameHash(ours: ConfigEntry, theirs: ConfigEntry): boolean {
  return BigInt(ours.Hash) !== 0n && BigInt(ours.Hash) === BigInt(theirs.Hash)
}

/** @param lastIndex - the primary's index of the last round; entries that are not newer are as they were copied */
export function compareConfigEntries(
  local: readonly ConfigEntry[],
  remote: readonly ConfigEntry[],
  lastIndex: number,
): Difference<ConfigEntry> {
  const theirs = new Set(remote.map(keyOf))
  const ours = new Map(local.map((entry) => [keyOf(entry), entry]))
  return {
    deletions: local.filter((entry) => isCopied(entry) && !theirs.has(keyOf(entry))),
    upserts: remote.filter((entry) => {
      if (!isCopied(entry)) return false
      const own = ours.get(keyOf(entry))
      return own === undefined || (entry.ModifyIndex > lastIndex && !sameHash(own, entry))
    }),
  }
}

/** The replicated type of the secondaries. `list` is the primary's ConfigEntry.ListAll, of all kinds we know. */
export function replicatedConfigEntries(
  state: State,
  list: ReplicatedType<ConfigEntry>['list'],
): ReplicatedType<ConfigEntry> {
  return {
    name: 'config-entries',
    list,
    local: () => state.read((tx) => tx.configEntries.all()).value,
    compare: compareConfigEntries,
    apply: async ({ deletions, upserts }) => {
      for (const some of chunks(deletions)) {
        await state.write((tx) => {
          for (const entry of some) tx.deleteConfigEntry(entry.Kind, configEntryName(entry))
        })
      }
      for (const some of chunks(upserts)) {
        await state.write((tx) => {
          for (const entry of some) tx.putConfigEntry({ ...entry, CreateIndex: 0, ModifyIndex: 0 })
        })
      }
    },
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const out: T[][] = []
  for (let from = 0; from < items.length; from += ENTRIES_PER_COMMIT)
    out.push(items.slice(from, from + ENTRIES_PER_COMMIT))
  return out
}
