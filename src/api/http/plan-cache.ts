/**
 * Plans of reads, by raw URL. Those of blocking reads, whose URLs change with every index, have a place of their own, so
 * that they do not push out the ones that are asked all the time.
 */
import type { ReadPlan } from './read-plan.ts'
import type { RequestTimes } from './request-times.ts'

/** Plans kept in each of the two places; the oldest goes first. */
export const MAX_PLANS = 2048
/** Longest URL that is kept with its plan. */
const MAX_URL_CHARACTERS = 1024
/** Plans are forgotten all at once when they hold more bytes of answers than this. */
const MAX_HELD_BYTES = 64 * 1024 * 1024
/** What plans hold is added up after this many look-ups. */
const LOOKUPS_PER_COUNT = 1024

export interface Planned {
  readonly plan: ReadPlan
  readonly times: RequestTimes
}

export class PlanCache {
  readonly #plain = new Map<string, Planned>()
  readonly #blocking = new Map<string, Planned>()
  #lookups = 0

  get size(): number {
    return this.#plain.size + this.#blocking.size
  }

  get(url: string): Planned | undefined {
    if (++this.#lookups % LOOKUPS_PER_COUNT === 0) this.#bound()
    return this.#plain.get(url) ?? this.#blocking.get(url)
  }

  /** URLs with a token are not kept: a secret has no place in a cache. */
  keep(url: string, planned: Planned): void {
    if (url.length > MAX_URL_CHARACTERS || url.includes('token=')) return
    const plans = url.includes('index=') ? this.#blocking : this.#plain
    if (plans.size >= MAX_PLANS) {
      const oldest = plans.keys().next().value
      if (oldest !== undefined) plans.delete(oldest)
    }
    plans.set(url, planned)
  }

  #bound(): void {
    let held = 0
    for (const plans of [this.#plain, this.#blocking]) for (const { plan } of plans.values()) held += plan.heldBytes
    if (held <= MAX_HELD_BYTES) return
    this.#plain.clear()
    this.#blocking.clear()
  }
}
