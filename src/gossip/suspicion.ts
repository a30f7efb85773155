/**
 * Suspicion: how long a node that stopped answering stays suspect before it is declared dead.
 *
 * The first accuser gives it the longest time; every further, independent accuser shortens that, so one slow observer
 * cannot kill a healthy node, and a real death is not drawn out. Pure: membership.ts owns the deadline.
 *
 * Source: Lifeguard, LHA-Suspicion (arXiv:1707.00788); gossip wire notes §8.
 */
import type { GossipTiming } from './timing.ts'

export interface SuspicionLimits {
  /** Confirmations that shorten the wait; 0: the wait is `minMs` from the start. */
  readonly wanted: number
  readonly minMs: number
  readonly maxMs: number
}

/** The limits for a pool of `nodes` known nodes. */
export function suspicionLimits(timing: GossipTiming, nodes: number): SuspicionLimits {
  const wanted = timing.suspicionMult - 2
  const nodeScale = Math.trunc(Math.max(1, Math.log10(Math.max(1, nodes))) * 1000) / 1000
  const minMs = timing.suspicionMult * nodeScale * timing.probeIntervalMs
  return { wanted: nodes - 2 < wanted ? 0 : wanted, minMs, maxMs: minMs * timing.suspicionMaxTimeoutMult }
}

/**
 * The whole time a suspect has, in milliseconds from the first accusation.
 *
 * @param confirmations - accusers beside the first one, ≥ 0
 */
export function suspicionTimeoutMs({ wanted, minMs, maxMs }: SuspicionLimits, confirmations: number): number {
  if (wanted < 1) return minMs
  const share = Math.log(confirmations + 1) / Math.log(wanted + 1)
  return Math.max(minMs, Math.floor(maxMs - (maxMs - minMs) * share))
}

/** One running suspicion: who accused, since when. */
export class Suspicion {
  readonly startedMs: number
  readonly limits: SuspicionLimits
  readonly #accusers: Set<string>
  #confirmations = 0

  constructor(limits: SuspicionLimits, firstAccuser: string, nowMs: number) {
    this.limits = limits
    this.startedMs = nowMs
    this.#accusers = new Set([firstAccuser])
  }

  /** Counts an accuser; false when it adds nothing (known already, or enough have confirmed). */
  confirm(accuser: string): boolean {
    if (this.#confirmations >= this.limits.wanted || this.#accusers.has(accuser)) return false
    this.#accusers.add(accuser)
    this.#confirmations++
    return true
  }

  /** When the suspect is declared dead. */
  get dueMs(): number {
    return this.startedMs + suspicionTimeoutMs(this.limits, this.#confirmations)
  }
}
