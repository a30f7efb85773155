/**
 * Accessors of the certificate authority's records.
 */
import { authorityKey, rootsKey, type StoredAuthority, type StoredRoots } from './ca-declarations.ts'
import type { Plan } from './plan.ts'
import type { Tables } from './tables.ts'
import type { Topic } from './watches.ts'

export interface CAReads {
  /** What everyone may see; undefined until the federation's CA is known here. */
  caRoots(): StoredRoots | undefined
  /** What signs here. Holds a private key. */
  caAuthority(): StoredAuthority | undefined
}

/** Puts return as those of the other tables. */
export interface CAWrites {
  putCaRoots(roots: StoredRoots): boolean
  putCaAuthority(authority: StoredAuthority): boolean
}

export function caReads(source: { tables(): Tables; see(topic: Topic): void }): CAReads {
  const tables = () => source.tables()
  return {
    caRoots: () => {
      source.see(tables().caRoots.recordTopic(rootsKey))
      return tables().caRoots.get(rootsKey)?.value
    },
    caAuthority: () => {
      source.see(tables().caAuthority.recordTopic(authorityKey))
      return tables().caAuthority.get(authorityKey)?.value
    },
  }
}

export function caWrites(plan: Plan): CAWrites {
  return {
    putCaRoots: (roots) => plan.put(plan.tables().caRoots, rootsKey, roots),
    putCaAuthority: (authority) => plan.put(plan.tables().caAuthority, authorityKey, authority),
  }
}
