/**
 * One snapshot that is under way: its records on disk, its place among those at work, and the time it may stand still.
 */
import type { Clock } from '#base'
import type { Spool } from '#snapshot'

/** Whoever takes or brings nothing for so long is given up. */
export const IDLE_MS = 60_000

export class Run {
  readonly spool: Spool
  readonly #onEnd: () => void
  #ended = false

  constructor(spool: Spool, onEnd: () => void) {
    this.spool = spool
    this.#onEnd = onEnd
  }

  /** Gives place and disk free; once. */
  readonly end = (): void => {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd()
    // Nothing can be lost by it: the file has no name, and everything was read or given up.
    this.spool.close().catch(() => {})
  }
}

/** Passes chunks on, and calls back when one is not brought, or not taken, for too long. */
export async function* watched<T>(clock: Clock, chunks: AsyncIterable<T>, onIdle: () => void): AsyncGenerator<T> {
  let timer = clock.after(IDLE_MS, onIdle)
  try {
    for await (const chunk of chunks) {
      timer.cancel()
      timer = clock.after(IDLE_MS, onIdle)
      yield chunk
    }
  } finally {
    timer.cancel()
  }
}
