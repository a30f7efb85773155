/**
 * The end of a server's port: who calls is asked to go elsewhere, and what was called is answered, before anything that
 * answers is taken down. So a server that is restarted fails no call that another one can do.
 */
import { type Clock, sleep } from '#base'
import type { ServerPort } from '#net'

/** How long calls may go on; those that wait for a change are asked again elsewhere. */
const DRAIN_LIMIT_MS = 500
/** A call that was sent before its sender heard of it arrives within this. */
const GRACE_MS = 100
const LOOK_MS = 10

export class Drain {
  #calls = 0

  /** Counts a call until it is answered. */
  async count<T>(call: Promise<T>): Promise<T> {
    this.#calls++
    try {
      return await call
    } finally {
      this.#calls--
    }
  }

  async run(port: Pick<ServerPort, 'goAway' | 'connectionCount'>, clock: Clock): Promise<void> {
    port.goAway()
    if (port.connectionCount === 0) return
    const startedMs = clock.nowMs()
    const passedMs = () => clock.nowMs() - startedMs
    while (passedMs() < GRACE_MS || (this.#calls > 0 && passedMs() < DRAIN_LIMIT_MS)) await sleep(clock, LOOK_MS)
  }
}
