/**
 * The end of a server's port: who calls is asked to go elsewhere, and what was called is answered, before anything that
 * answers is taken down. So a server that is restarted fails no call that another one can do.
 */
import { type Clock, sleep } from '#base'
import type { ServerPort } from '#net'

/** How long questions may go on; those that wait for a change are asked again elsewhere. */
const DRAIN_LIMIT_MS = 500
/** How long writes may go on, which nobody may send a second time: as long as the store may take. */
const WRITE_LIMIT_MS = 10_000
/** A call that was sent before its sender heard of it arrives within this. */
const GRACE_MS = 100
const LOOK_MS = 10

export class Drain {
  #calls = 0
  #writes = 0

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

  async run(port: Pick<ServerPort, 'goAway' | 'connectionCount'>, clock: Clock): Promise<void> {
    port.goAway()
    if (port.connectionCount === 0) return
    const startedMs = clock.nowMs()
    const passedMs = () => clock.nowMs() - startedMs
    const goesOn = () =>
      passedMs() < GRACE_MS ||
      (this.#calls > 0 && passedMs() < DRAIN_LIMIT_MS) ||
      (this.#writes > 0 && passedMs() < WRITE_LIMIT_MS)
    while (goesOn()) await sleep(clock, LOOK_MS)
  }
}
