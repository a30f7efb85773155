/**
 * The built-in mesh gateway: the data path, fed with routes by whoever knows the datacenter.
 *
 * A source gives snapshots, one after another. When it fails, the last good routes stay in use and the source is asked
 * again, after growing pauses: a gateway must outlive its servers' restarts.
 */
import { type Clock, type Logger, messageOf, silentLogger, sleep, systemClock } from '#base'
import { SniGateway, type SniGatewayOptions } from './gateway.ts'
import { type GatewaySnapshot, routesFor } from './routes.ts'

/** Gives a snapshot now and at every change, until the signal is aborted; throws when it cannot. */
export type GatewaySource = (signal: AbortSignal) => AsyncIterable<GatewaySnapshot>

const RETRY_MIN_MS = 50
const RETRY_GROWTH = 1.5
export const SOURCE_RETRY_MAX_MS = 10_000

export interface MeshGatewayOptions extends SniGatewayOptions {
  readonly source: GatewaySource
}

export interface MeshGatewayStatus {
  /** Whether any snapshot has arrived; before that every connection is refused. */
  readonly ready: boolean
  /** Why the source does not deliver now; undefined while it does. */
  readonly sourceError: string | undefined
  readonly updates: number
}

export class MeshGateway {
  readonly gateway: SniGateway
  readonly #options: MeshGatewayOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #stop = new AbortController()
  #updates = 0
  #sourceError: string | undefined

  constructor(options: MeshGatewayOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.gateway = new SniGateway(options)
  }

  /**
   * Listens and begins to follow the source.
   *
   * @throws LISTEN_IN_USE, LISTEN_FAILED
   */
  async start(): Promise<void> {
    await this.gateway.listen()
    void this.#follow()
  }

  get status(): MeshGatewayStatus {
    return { ready: this.#updates > 0, sourceError: this.#sourceError, updates: this.#updates }
  }

  /** Stops following, stops listening and cuts every connection. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.gateway.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    for (let retryMs = RETRY_MIN_MS; !signal.aborted; retryMs = Math.min(retryMs * RETRY_GROWTH, SOURCE_RETRY_MAX_MS)) {
      const before = this.#updates
      try {
        for await (const snapshot of this.#options.source(signal)) {
          if (signal.aborted) return
          this.gateway.setRoutes(routesFor(snapshot))
          this.#updates++
          this.#sourceError = undefined
        }
        this.#sourceError = 'the source ended'
      } catch (error) {
        this.#sourceError = messageOf(error)
      }
      if (signal.aborted) return
      if (this.#updates > before) retryMs = RETRY_MIN_MS
      const routes = this.#updates > 0 ? 'last good' : 'none yet'
      // Once for a server that is away, however long that lasts.
      const say = retryMs === RETRY_MIN_MS ? 'warn' : 'debug'
      this.#log[say]('routes are not updated', { routes, error: this.#sourceError })
      await sleep(this.#clock, retryMs, signal).catch(() => {})
    }
  }
}
