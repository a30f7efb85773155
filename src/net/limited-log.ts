/**
 * A log that strangers cannot fill: at most one line per subject and interval, with the number of those left out.
 */
import { type Clock, type LogFields, type Logger, systemClock } from '#base'

export const LOG_INTERVAL_MS = 10_000
/** Subjects remembered at once; beyond it all share one. */
export const MAX_SUBJECTS = 256
const OTHERS = 'others'

export class LimitedLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #subjects = new Map<string, { untilMs: number; suppressed: number }>()

  constructor(log: Logger, clock: Clock = systemClock) {
    this.#log = log
    this.#clock = clock
  }

  /** Warns unless the same subject was warned about less than ten seconds ago. */
  warn(subject: string, message: string, fields: LogFields = {}): void {
    const nowMs = this.#clock.nowMs()
    const full = this.#subjects.size >= MAX_SUBJECTS && !this.#subjects.has(subject)
    if (full) this.#forgetOld(nowMs)
    const key = this.#subjects.size >= MAX_SUBJECTS && !this.#subjects.has(subject) ? OTHERS : subject
    const known = this.#subjects.get(key)
    if (known && nowMs < known.untilMs) {
      known.suppressed++
      return
    }
    const suppressed = known?.suppressed
    this.#subjects.set(key, { untilMs: nowMs + LOG_INTERVAL_MS, suppressed: 0 })
    this.#log.warn(message, suppressed ? { ...fields, suppressed } : fields)
  }

  #forgetOld(nowMs: number): void {
    for (const [subject, { untilMs }] of this.#subjects) if (nowMs >= untilMs) this.#subjects.delete(subject)
  }
}
