/**
 * How fresh an answer must be, and what is said of it: Consul's consistency modes over tables that follow a store.
 *
 * - `consistent`: everything that any server answered before is in it, always by a round to the store.
 * - default: from memory as long as that is known to be no older than two seconds, else as `consistent`.
 * - `stale`: from memory however old, at most `max_stale` where that is given, else as `consistent`.
 *
 * With a store that one process has open, memory is never old and nothing of this costs anything.
 */
import type { QueryMeta } from '#codec'
import type { ReadArgs } from './operation.ts'
import type { Freshness } from './ports.ts'

/** A read without `stale` is answered from memory that is at most so old. */
export const DEFAULT_STALENESS_MS = 2_000
const NS_PER_MS = 1e6

type Mode = Pick<ReadArgs, 'RequireConsistent' | 'AllowStale' | 'MaxStaleDuration'>

/** Whether what is in memory may answer. */
export function freshEnough(freshness: Freshness | undefined, mode: Mode): boolean {
  if (mode.RequireConsistent) return false
  if (!freshness) return true
  const limitMs = mode.AllowStale
    ? mode.MaxStaleDuration > 0
      ? mode.MaxStaleDuration / NS_PER_MS
      : Number.POSITIVE_INFINITY
    : DEFAULT_STALENESS_MS
  return freshness.lastContactMs() <= limitMs
}

/** What an answer says of its freshness. */
export interface Contact {
  readonly knownLeader: boolean
  /** Whole milliseconds. */
  readonly lastContactMs: number
}

export function contactOf(freshness: Freshness | undefined): Contact {
  if (!freshness) return ALWAYS_FRESH
  const knownLeader = freshness.knownLeader()
  const lastContactMs = Math.round(freshness.lastContactMs())
  return knownLeader && lastContactMs === 0 ? ALWAYS_FRESH : { knownLeader, lastContactMs }
}

/** What shared answers say; the same object, so that it is known at a glance. */
export const ALWAYS_FRESH: Contact = { knownLeader: true, lastContactMs: 0 }

/** A reply that says how fresh it is. */
export function stamped<R extends QueryMeta>(reply: R, contact: Contact): R {
  if (contact === ALWAYS_FRESH) return reply
  return { ...reply, KnownLeader: contact.knownLeader, LastContact: contact.lastContactMs * NS_PER_MS }
}
