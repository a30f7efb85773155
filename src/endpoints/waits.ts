/**
 * How long calls wait: reads for a change, calls to other datacenters for their answer.
 */

/** The limits of waits, as the configuration sets them. */
export interface Waits {
  /** `default_query_time`: a read without MaxQueryTime waits this long. */
  readonly defaultMs: number
  /** `max_query_time`: the longest wait; what is asked above it is cut. */
  readonly maxMs: number
  /** `limits.rpc_client_timeout`: the longest time for a call to another datacenter that does not wait for a change. */
  readonly callMs: number
}

export const DEFAULT_WAITS: Waits = { defaultMs: 300_000, maxMs: 600_000, callMs: 60_000 }
/** A wait is stretched by up to this part of itself, so that many do not end together. */
export const WAIT_JITTER_FRACTION = 1 / 16
/** Added to the wait when another datacenter is asked: time for the way there and back. */
const FORWARD_HOLD_MS = 7_000
const NS_PER_MS = 1_000_000

/** The asked wait in milliseconds: default and cap applied, jitter not. */
export function cappedWaitMs({ defaultMs, maxMs }: Waits, maxQueryTimeNs: number): number {
  const askedMs = maxQueryTimeNs / NS_PER_MS
  return Math.min(askedMs > 0 ? askedMs : defaultMs, maxMs)
}

/** What another datacenter is asked, and how long it may take: longer for a read that waits for a change. */
export function forwardedWait<A extends object>(
  waits: Waits,
  args: A,
): { readonly args: A; readonly timeoutMs: number } {
  const blocks = 'MinQueryIndex' in args && args.MinQueryIndex !== 0
  if (!blocks || !('MaxQueryTime' in args) || typeof args.MaxQueryTime !== 'number') {
    return { args, timeoutMs: waits.callMs }
  }
  const waitMs = cappedWaitMs(waits, args.MaxQueryTime)
  return {
    // The wait is said, so that it ends there when we expect it to: the other datacenter has defaults of its own.
    args: { ...args, MaxQueryTime: Math.round(waitMs * NS_PER_MS) },
    timeoutMs: waitMs * (1 + WAIT_JITTER_FRACTION) + FORWARD_HOLD_MS,
  }
}
