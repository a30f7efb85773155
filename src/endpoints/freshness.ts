/**
 * How fresh an answer must be, and what is said of it: Consul's consistency modes over tables that follow a store.
 *
 * - `consistent`: everything that any server answered before is in it, always by a round to the store.
 * - default: from memory as long as that is known to be no older than two seconds, else as `consistent`; where the store
 *   does not answer, from memory all the same: the answer says how old that may be, and that no leader is known.
 * - `stale`: from memory however old, at most `max_stale` where that is given, else as `consistent`.
 *
 * With a store that one process has open, memory is never old and nothing of this costs anything.
 */
import { type Clock, sleep } from '#base'
import type { QueryMeta } from '#codec'
import type { State } from '#state'
import { endpointError } from './errors.ts'
import type { ReadArgs } from './operation.ts'
import type { Freshness } from './ports.ts'

/** A read without `stale` is answered from memory that is at most so old. */
export const DEFAULT_STALENESS_MS = 2_000
/** A store that has not answered for so long is not waited for by default reads. */
export const SILENT_MS = 5_000
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

/**
 * Brings memory up to what the store has, for a read that it is not fresh enough for.
 *
 * @throws NO_CLUSTER_LEADER where the store does not answer, and the caller wants no answer then
 */
export async function catchUp(
  {
    state,
    freshness,
    clock,
  }: { readonly state: Pick<State, 'consistent'>; readonly freshness: Freshness | undefined; readonly clock: Clock },
  mode: Mode,
): Promise<void> {
  if (mode.RequireConsistent || mode.AllowStale) {
    await state.consistent().catch((error: unknown) => {
      throw endpointError('NO_CLUSTER_LEADER', {}, error)
    })
    return
  }
  const waitMs = SILENT_MS - (freshness?.lastContactMs() ?? 0)
  // Whoever follows the store asks it again and again; a question more from every read would only pile up.
  if (waitMs <= 0) return
  const done = new AbortController()
  const answered = state.consistent().catch(() => {})
  await Promise.race([answered, sleep(clock, waitMs, done.signal).catch(() => {})])
  done.abort()
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
