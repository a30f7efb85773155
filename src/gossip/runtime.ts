/**
 * What one step of a pool's core has at hand: the time it was given, chance, deadlines, and the outbox for its effects.
 */
import type { LogFields, LogLevel, Random } from '#base'
import { type Deadline, Deadlines } from './deadlines.ts'
import type { Effect } from './effects.ts'

export class CoreRuntime {
  nowMs: number
  readonly random: Random
  readonly deadlines = new Deadlines()
  #outbox: Effect[] = []

  constructor(random: Random, nowMs: number) {
    this.random = random
    this.nowMs = nowMs
  }

  emit(effect: Effect): void {
    this.#outbox.push(effect)
  }

  /** The effects since the last call. */
  drain(): readonly Effect[] {
    const effects = this.#outbox
    this.#outbox = []
    return effects
  }

  after(delayMs: number, task: () => void): Deadline {
    return this.deadlines.schedule(this.nowMs + delayMs, task)
  }

  /** Repeats after a random stagger below the interval, so that nodes started together do not act together. */
  repeat(intervalMs: () => number, task: () => void): void {
    const next = () => {
      this.after(intervalMs(), next)
      task()
    }
    this.after(this.random.float() * intervalMs() + intervalMs(), next)
  }

  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.emit({ kind: 'log', level, message, fields })
  }

  count(metric: string, by = 1): void {
    this.emit({ kind: 'count', metric, by })
  }
}
