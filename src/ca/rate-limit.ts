/**
 * How many certificates are signed per second: a bucket that fills with time and is emptied by requests.
 *
 * Signing costs CPU of the server that everything else runs on; after a change of root every proxy of a datacenter asks
 * at once. Refused askers come again, spread over time (leaf-manager.ts). Pure: time comes in.
 */

export interface RateLimit {
  /** 0: no limit. */
  readonly perSecond: number
  readonly tokens: number
  readonly atMs: number
}

/** A full bucket. It holds what one second brings, at least one. */
export function rateLimit(perSecond: number, nowMs: number): RateLimit {
  return { perSecond, tokens: capacity(perSecond), atMs: nowMs }
}

function capacity(perSecond: number): number {
  return Math.max(1, perSecond)
}

/** Takes one token, if there is one. A clock that went back brings nothing and takes nothing away. */
export function takeToken(limit: RateLimit, nowMs: number): { limit: RateLimit; allowed: boolean } {
  if (limit.perSecond === 0) return { limit, allowed: true }
  const brought = (Math.max(0, nowMs - limit.atMs) / 1000) * limit.perSecond
  const tokens = Math.min(capacity(limit.perSecond), limit.tokens + brought)
  const allowed = tokens >= 1
  return { limit: { ...limit, tokens: allowed ? tokens - 1 : tokens, atMs: nowMs }, allowed }
}
