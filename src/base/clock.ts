/**
 * Time as a value that can be handed in: wall time, monotonic time and timers.
 *
 * Nothing outside base/ reads the process clock. Protocol cores take `now` as an argument; their drivers take a Clock,
 * so that simulations and tests run the same code on a clock that they move themselves.
 */

/** A pending timer. `cancel()` may be called at any time and more than once. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall time in milliseconds since 1970, for stamps that people and other machines read. */
  wallMs(): number
  /** Monotonic time in milliseconds, for deadlines and ages. Its zero is arbitrary. */
  nowMs(): number
  /** Runs `task` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, task: () => void): Timer
  /** Runs `task` every `periodMs`. The timer does not keep the process alive. */
  every(periodMs: number, task: () => void): Timer
}

/** The process clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, delayMs)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  every(periodMs, task) {
    const handle = setInterval(task, periodMs)
    handle.unref()
    return { cancel: () => clearInterval(handle) }
  },
}

/** Waits `delayMs`, or rejects with the signal's reason as soon as it is aborted. Keeps no process alive. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Resolves when the signal is aborted; at once when it is already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A clock that stands still until `advance()` moves it; due timers run in the order of their deadlines. */
export class ManualClock implements Clock {
  #now: number
  #sequence = 0
  readonly #timers = new Map<number, { at: number; period: number | null; task: () => void }>()
  readonly #wallOffsetMs: number

  constructor(startMs = 0, wallMs = 1_700_000_000_000) {
    this.#now = startMs
    this.#wallOffsetMs = wallMs - startMs
  }

  wallMs(): number {
    return this.#now + this.#wallOffsetMs
  }

  nowMs(): number {
    return this.#now
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#add(delayMs, null, task)
  }

  every(periodMs: number, task: () => void): Timer {
    return this.#add(periodMs, periodMs, task)
  }

  #add(delayMs: number, period: number | null, task: () => void): Timer {
    const id = ++this.#sequence
    this.#timers.set(id, { at: this.#now + Math.max(0, delayMs), period, task })
    return { cancel: () => this.#timers.delete(id) }
  }

  /** Moves time forward by `ms`, running what falls due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      let dueId = -1
      let dueAt = Number.POSITIVE_INFINITY
      for (const [id, timer] of this.#timers) {
        if (timer.at <= end && timer.at < dueAt) {
          dueId = id
          dueAt = timer.at
        }
      }
      const due = this.#timers.get(dueId)
      if (!due) break
      this.#now = Math.max(this.#now, due.at)
      if (due.period === null) this.#timers.delete(dueId)
      else due.at += due.period
      due.task()
    }
    this.#now = end
  }
}
