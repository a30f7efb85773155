/**
 * How a secondary gets into the WAN pool, and back into it.
 *
 * The first contact goes to a member that does not exist, "*" of the primary: its gateway hands that to any server.
 * Tried at once and again soon, with growing pauses, until a server of the primary is alive in our pool; and again
 * whenever none is, or when the primary has answered again after a silence: it may have been started anew and know
 * nobody. Waiting for a fixed tick is what makes others take half a minute for this.
 *
 * Source: federation wire notes §2.
 */
import { type Clock, type Logger, messageOf, sleep } from '#base'
import type { GossipPool } from '#gossip'

const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 5_000
/** How often a joined secondary looks whether it still is. */
const WATCH_MS = 1_000
/** An address of the documentation range that is never dialled: the carrier routes by name. */
const PLACEHOLDER_ADDRESS = '192.0.2.2:8302'

export interface WanJoinModules {
  readonly wan: Pick<GossipPool, 'join'>
  readonly clock: Clock
  readonly log: Logger
  /** Whether the pool has the datacenter in it. */
  readonly joined: () => boolean
}

/** Keeps one datacenter in our pool: the primary, in a secondary. */
export class WanJoin {
  readonly #datacenter: string
  readonly #modules: WanJoinModules
  readonly #stop = new AbortController()
  #wake: () => void = () => {}
  /** Whether to join although a server of the primary is alive in our pool. */
  #again = false
  /** Why the last attempt failed; empty once joined. */
  lastError = ''

  constructor(datacenter: string, modules: WanJoinModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('the server is stopping'))
  }

  /** Tries now: a way to the primary has opened. */
  wake(): void {
    this.#wake()
  }

  /** Joins once more: the primary may have forgotten us. */
  again(): void {
    this.#again = true
    this.#wake()
  }

  async #run(): Promise<void> {
    const { wan, log, joined } = this.#modules
    const { signal } = this.#stop
    let failures = 0
    while (!signal.aborted) {
      if (joined() && !this.#again) {
        failures = 0
        this.lastError = ''
        await this.#pause(WATCH_MS, signal)
        continue
      }
      try {
        const result = await wan.join([`*.${this.#datacenter}/${PLACEHOLDER_ADDRESS}`], { ignoreOld: true })
        if (result.joined > 0) {
          this.#again = false
          log.info('joined the WAN pool', { datacenter: this.#datacenter })
        } else this.lastError = result.errors.join('; ')
      } catch (error) {
        this.lastError = messageOf(error)
      }
      if (joined() && !this.#again) continue
      if (failures === 0) {
        log.warn('the WAN pool could not be joined, trying again', {
          datacenter: this.#datacenter,
          error: this.lastError,
        })
      }
      failures++
      await this.#pause(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10)), signal)
    }
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    return sleep(this.#modules.clock, delayMs, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  }
}
