/**
 * How long calls wait: reads for a change, calls to other datacenters for their answer.
 */

/** A read without MaxQueryTime waits this long. */
export const DEFAULT_WAIT_MS = 300_000
/** Longest wait; what is asked above it is cut. */
export const MAX_WAIT_MS = 600_000
/** A wait is stretched by up to this part of itself, so that many do not end together. */
export const WAIT_JITTER_FRACTION = 1 / 16
/** Added to the wait when another datacenter is asked: time for the way there and back. */
const FORWARD_HOLD_MS = 7_000
/** Longest time for a call to another datacenter that does not wait for a change. */
const FORWARD_TIMEOUT_MS = 60_000
const NS_PER_MS = 1_000_000

/** The asked wait in milliseconds: default and cap applied, jitter not. */
export function cappedWaitMs(maxQueryTimeNs: number): number {
  const askedMs = maxQueryTimeNs / NS_PER_MS
  return askedMs > 0 ? Math.min(askedMs, MAX_WAIT_MS) : DEFAULT_WAIT_MS
}

/** Longer for a read that waits for a change. */
export function forwardTimeoutMs(args: object): number {
  const waits = 'MinQueryIndex' in args && args.MinQueryIndex !== 0
  if (!waits || !('MaxQueryTime' in args) || typeof args.MaxQueryTime !== 'number') return FORWARD_TIMEOUT_MS
  return cappedWaitMs(args.MaxQueryTime) * (1 + WAIT_JITTER_FRACTION) + FORWARD_HOLD_MS
}
