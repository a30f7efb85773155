/**
 * Runs the checks of an agent: probes at their interval, time limits of TTLs, and thresholds before a status counts.
 *
 * Probes start soon after registration, at a random moment within it, and run a bounded number at a time.
 */
import { type Clock, messageOf, type Random, type Timer } from '#base'
import { type ProbeResult, probeHttp, probeTcp } from './check-probes.ts'
import type { CheckSpec } from './local-definitions.ts'

/** Probes that run at the same time; further ones wait for a place. */
export const MAX_PROBES_AT_ONCE = 64
const NS_PER_MS = 1e6
/** Shortest time between two probes of a check. */
const MIN_INTERVAL_MS = 1_000
/** The first probe runs within this, so that a service is seen healthy soon. */
const FIRST_PROBE_MS = 100

export interface RunnerModules {
  readonly clock: Clock
  readonly random: Random
  readonly onResult: (checkId: string, result: ProbeResult) => void
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
  readonly #waiting: (() => void)[] = []
  #probes = 0

  constructor(modules: RunnerModules) {
    this.#modules = modules
  }

  /** Begins, or begins anew with another definition. Alias checks are not run here. */
  start(spec: CheckSpec): void {
    this.stop(spec.id)
    const running: Running = { spec, stop: new AbortController(), timer: undefined, successes: 0, failures: 0 }
    this.#running.set(spec.id, running)
    if (spec.kind === 'ttl') this.#armTtl(running)
    else if (spec.kind !== 'alias') this.#probeAfter(running, this.#modules.random.int(FIRST_PROBE_MS))
  }

  stop(id: string): void {
    const running = this.#running.get(id)
    if (!running) return
    this.#running.delete(id)
    running.timer?.cancel()
    running.stop.abort()
  }

  stopAll(): void {
    for (const id of [...this.#running.keys()]) this.stop(id)
    this.#waiting.length = 0
  }

  /** A TTL check has been heard of. @param remainingMs - what is left of its time after a restart */
  touch(id: string, remainingMs?: number): void {
    const running = this.#running.get(id)
    if (running?.spec.kind === 'ttl') this.#armTtl(running, remainingMs)
  }

  #armTtl(running: Running, remainingMs?: number): void {
    running.timer?.cancel()
    const ttlMs = running.spec.type.TTL / NS_PER_MS
    running.timer = this.#modules.clock.after(remainingMs ?? ttlMs, () => {
      this.#modules.onResult(running.spec.id, { status: 'critical', output: 'TTL expired' })
    })
  }

  #probeAfter(running: Running, delayMs: number): void {
    running.timer = this.#modules.clock.after(delayMs, () => void this.#probe(running))
  }

  async #probe(running: Running): Promise<void> {
    const { spec, stop } = running
    await this.#place()
    try {
      if (stop.signal.aborted) return
      const probe = spec.kind === 'http' ? probeHttp : probeTcp
      const result = await probe(spec.type, stop.signal)
      if (!stop.signal.aborted) this.#count(running, result)
    } catch (error) {
      if (!stop.signal.aborted) this.#count(running, { status: 'critical', output: messageOf(error) })
    } finally {
      this.#probes--
      this.#waiting.shift()?.()
    }
    if (!stop.signal.aborted) this.#probeAfter(running, Math.max(MIN_INTERVAL_MS, spec.type.Interval / NS_PER_MS))
  }

  #place(): Promise<void> {
    if (this.#probes < MAX_PROBES_AT_ONCE) {
      this.#probes++
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#probes++
        resolve()
      })
    })
  }

  /** Thresholds: a status counts after as many results in a row as the check asks for. */
  #count(running: Running, result: ProbeResult): void {
    const { type } = running.spec
    if (result.status === 'passing' || result.status === 'warning') {
      running.failures = 0
      running.successes++
      if (running.successes < type.SuccessBeforePassing) return
      this.#modules.onResult(running.spec.id, result)
      return
    }
    running.successes = 0
    running.failures++
    const beforeCritical = type.FailuresBeforeCritical
    const beforeWarning = type.FailuresBeforeWarning > 0 ? type.FailuresBeforeWarning : beforeCritical
    if (running.failures >= beforeCritical) this.#modules.onResult(running.spec.id, result)
    else if (running.failures >= beforeWarning)
      this.#modules.onResult(running.spec.id, { ...result, status: 'warning' })
  }
}
