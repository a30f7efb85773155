/**
 * The end of a server's port: who calls is asked to go elsewhere, and what was called is answered, before anything that
 * answers is taken down. So a server that is restarted fails no call that another one can do.
 */
import { type Clock, sleep } from '#base'
import type { ServerPort } from '#net'

/** How long callers have to say that they heard of it, with the calls that they sent before: a slow way, no dead one. */
const HEARD_LIMIT_MS = 3_000
/** How long questions may go on from then on; those that wait for a change are asked again elsewhere. */
const DRAIN_LIMIT_MS = 500
/** How long writes may go on, which nobody may send a second time: as long as the store may take. */
const WRITE_LIMIT_MS = 10_000
const LOOK_MS = 10

export class Drain {
  #calls = 0
  #writes = 0
  #over = false

  /** No call that arrives from now on can be answered. */
  get over(): boolean {
    return this.#over
  }

  /** Counts a call until it is answered. */
  async count<T>(call: Promise<T>, writes: boolean): Promise<T> {
    this.#calls++
    if (writes) this.#writes++
    try {
      return await call
    } finally {
      this.#calls--
      if (writes) this.#writes--
    }
  }

  async run(port: Pick<ServerPort, 'goAway' | 'unheardCount'>, clock: Clock): Promise<void> {
    const passed = async (limitMs: number, goesOn: () => boolean) => {
      const startedMs = clock.nowMs()
      while (goesOn() && clock.nowMs() - startedMs < limitMs) await sleep(clock, LOOK_MS)
    }
    port.goAway()
    await passed(HEARD_LIMIT_MS, () => port.unheardCount > 0)
    await passed(DRAIN_LIMIT_MS, () => this.#calls > 0)
    await passed(WRITE_LIMIT_MS, () => this.#writes > 0)
    this.#over = true
  }
}
