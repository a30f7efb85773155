/**
 * Runs the checks of an agent: probes at their interval, time limits of TTLs, and thresholds before a status counts.
 *
 * Probes start soon after registration, at a random moment within it, and run a bounded number at a time. Alias checks
 * are not run: they follow other checks (alias-checks.ts).
 */
import { type Clock, messageOf, type Random, type Timer } from '#base'
import { probeHttp, probeTcp } from './check-probes.ts'
import { DEFAULT_OUTPUT_BYTES, MAX_TIMER_MS, NS_PER_MS, type ProbeResult } from './check-results.ts'
import type { CheckSpec } from './local-definitions.ts'

/** Probes that run at the same time; further ones wait for a place. */
export const MAX_PROBES_AT_ONCE = 512
/** Shortest time between two probes of a check. */
const MIN_INTERVAL_MS = 1_000
/** The first probe runs within this, so that a service is seen healthy soon. */
const FIRST_PROBE_MS = 100

export interface RunnerModules {
  readonly clock: Clock
  readonly random: Random
  readonly onResult: (checkId: string, result: ProbeResult) => void
  /** `check_output_max_size`. */
  readonly maxOutputBytes?: number | undefined
}

interface Running {
  readonly spec: CheckSpec
  readonly stop: AbortController
  timer: Timer | undefined
  successes: number
  failures: number
}

export class CheckRunner {
  readonly #modules: RunnerModules
  readonly #running = new Map<string, Running>()
  /** Probes that are due and wait for a place, in the order in which they fell due. */
  readonly #waiting = new Set<Running>()
  #probes = 0

  constructor(modules: RunnerModules) {
    this.#modules = modules
  }

  /** Probes that run now. */
  get probes(): number {
    return this.#probes
  }

  /** Begins, or begins anew with another definition. */
  start(spec: CheckSpec): void {
    this.stop(spec.id)
    if (spec.kind === 'alias') return
    const running: Running = { spec, stop: new AbortController(), timer: undefined, successes: 0, failures: 0 }
    this.#running.set(spec.id, running)
    if (spec.kind === 'ttl') this.#armTtl(running, spec.type.TTL / NS_PER_MS)
    else this.#probeAfter(running, this.#modules.random.int(FIRST_PROBE_MS))
  }

  stop(id: string): void {
    const running = this.#running.get(id)
    if (!running) return
    this.#running.delete(id)
    this.#waiting.delete(running)
    running.timer?.cancel()
    running.stop.abort()
  }

  stopAll(): void {
    for (const id of [...this.#running.keys()]) this.stop(id)
  }

  /** A TTL check has been heard of. @param remainingMs - what is left of its time after a restart */
  touch(id: string, remainingMs?: number): void {
    const running = this.#running.get(id)
    if (running?.spec.kind !== 'ttl') return
    const ttlMs = running.spec.type.TTL / NS_PER_MS
    this.#armTtl(running, Math.min(ttlMs, remainingMs ?? ttlMs))
  }

  #armTtl(running: Running, remainingMs: number): void {
    running.timer?.cancel()
    const delayMs = Math.min(remainingMs, MAX_TIMER_MS)
    running.timer = this.#modules.clock.after(delayMs, () => {
      if (remainingMs > delayMs) this.#armTtl(running, remainingMs - delayMs)
      else this.#modules.onResult(running.spec.id, { status: 'critical', output: 'TTL expired' })
    })
  }

  #probeAfter(running: Running, delayMs: number): void {
    running.timer = this.#modules.clock.after(Math.min(delayMs, MAX_TIMER_MS), () => {
      this.#waiting.add(running)
      this.#fillPlaces()
    })
  }

  #fillPlaces(): void {
    for (const running of this.#waiting) {
      if (this.#probes >= MAX_PROBES_AT_ONCE) return
      this.#waiting.delete(running)
      this.#probes++
      void this.#probe(running)
    }
  }

  async #probe(running: Running): Promise<void> {
    const { spec, stop } = running
    const probe = spec.kind === 'http' ? probeHttp : probeTcp
    let result: ProbeResult
    try {
      const { clock, maxOutputBytes = DEFAULT_OUTPUT_BYTES } = this.#modules
      result = await probe(spec.type, { clock, signal: stop.signal, maxOutputBytes })
    } catch (error) {
      result = { status: 'critical', output: messageOf(error) }
    }
    this.#probes--
    if (!stop.signal.aborted) {
      this.#probeAfter(running, Math.max(MIN_INTERVAL_MS, spec.type.Interval / NS_PER_MS))
      this.#count(running, result)
    }
    this.#fillPlaces()
  }

  /** Thresholds: a status counts after as many results in a row as the check asks for. */
  #count(running: Running, result: ProbeResult): void {
    const { id, type } = running.spec
    if (result.status !== 'critical') {
      running.failures = 0
      if (++running.successes >= type.SuccessBeforePassing) this.#modules.onResult(id, result)
      return
    }
    running.successes = 0
    running.failures++
    const beforeWarning = type.FailuresBeforeWarning > 0 ? type.FailuresBeforeWarning : type.FailuresBeforeCritical
    if (running.failures >= type.FailuresBeforeCritical) this.#modules.onResult(id, result)
    else if (running.failures >= beforeWarning) this.#modules.onResult(id, { ...result, status: 'warning' })
  }
}
