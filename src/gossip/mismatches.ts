/**
 * Reports what keeps nodes apart, each finding once a minute, so that an operator can be told which setting to change.
 */
import type { MismatchEvent } from './api.ts'
import type { CoreRuntime } from './runtime.ts'

/** The same finding is reported at most this often. */
export const MISMATCH_INTERVAL_MS = 60_000
/** Most findings remembered; beyond it the oldest is forgotten (and may be reported again). */
export const MAX_MISMATCHES = 1000
/** Times someone must claim our name, after we refuted, before it counts as another node and not as old news. */
const FOREIGN_CLAIMS = 3

export class Mismatches {
  readonly #runtime: CoreRuntime
  readonly #reported = new Map<string, number>()
  #claims: number[] = []

  constructor(runtime: CoreRuntime) {
    this.#runtime = runtime
  }

  report(finding: Omit<MismatchEvent, 'type'>): void {
    const now = this.#runtime.nowMs
    const key = `${finding.kind}/${finding.node ?? ''}/${finding.address ?? ''}`
    const before = this.#reported.get(key)
    if (before !== undefined && now - before < MISMATCH_INTERVAL_MS) return
    this.#reported.delete(key)
    this.#reported.set(key, now)
    if (this.#reported.size > MAX_MISMATCHES) {
      for (const oldest of this.#reported.keys()) {
        this.#reported.delete(oldest)
        break
      }
    }
    this.#runtime.count('hanse.gossip.mismatch')
    const { kind, node, address, detail } = finding
    this.#runtime.log('warn', detail, { kind, node, address })
    this.#runtime.emit({ kind: 'event', event: { type: 'mismatch', ...finding } })
  }

  /** Someone else uses our name. Returns whether it happens so often that it cannot be our own past. */
  claimOnOurName(): boolean {
    const now = this.#runtime.nowMs
    this.#claims = [...this.#claims.filter((at) => now - at < MISMATCH_INTERVAL_MS), now].slice(-FOREIGN_CLAIMS)
    return this.#claims.length >= FOREIGN_CLAIMS
  }
}
