/**
 * Status.Ping to every other datacenter: seldom while it answers, often while it does not, at once when something has
 * changed on the way there.
 *
 * It is how a way that was shut is seen to open again without a user's call waiting for it, and where "silent for"
 * comes from.
 */
import { type Clock, codeOf, sleep } from '#base'
import { EmptyReadRequest, encode } from '#codec'
import type { Reachability } from './reachability.ts'
import type { WanRouter } from './router.ts'

/** What is asked of the router. */
export interface ProbedRouter {
  readonly datacenter: string
  servers(): readonly { readonly datacenter: string }[]
  forward(...request: Parameters<WanRouter['forward']>): Promise<unknown>
}

const ANSWERING_MS = 5_000
/** After a failure, doubled with each further one. */
const SILENT_MIN_MS = 50
const SILENT_MAX_MS = 1_000
const TICK_MS = 250
const PING_TIMEOUT_MS = 3_000

export class Probe {
  readonly #router: ProbedRouter
  readonly #reachability: Reachability
  readonly #clock: Clock
  readonly #stop = new AbortController()
  /** Datacenter → when it is due, monotonic. */
  readonly #due = new Map<string, number>()
  readonly #running = new Set<string>()
  /** Datacenter → pings that failed one after another. */
  readonly #failures = new Map<string, number>()

  constructor(modules: { router: ProbedRouter; reachability: Reachability; clock: Clock }) {
    this.#router = modules.router
    this.#reachability = modules.reachability
    this.#clock = modules.clock
  }

  start(): void {
    const cancel = this.#reachability.onChange((datacenter, reachable) => {
      // A call has found it silent: the next ping is not due when it would be of one that answers.
      if (!reachable) this.#failed(datacenter)
    })
    this.#stop.signal.addEventListener('abort', cancel, { once: true })
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('the server is stopping'))
  }

  /** Pings a datacenter now: gossip has just seen something of it, or other gateways lead there. */
  now(datacenter: string): void {
    this.#failures.delete(datacenter)
    this.#due.set(datacenter, 0)
    this.#tick()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#tick()
      await sleep(this.#clock, TICK_MS, signal).catch(() => undefined)
    }
  }

  #tick(): void {
    if (this.#stop.signal.aborted) return
    const names = new Set(this.#router.servers().map((server) => server.datacenter))
    names.delete(this.#router.datacenter)
    for (const known of this.#due.keys()) {
      if (names.has(known)) continue
      this.#due.delete(known)
      this.#failures.delete(known)
    }
    for (const name of names) {
      if (this.#running.has(name) || (this.#due.get(name) ?? 0) > this.#clock.nowMs()) continue
      this.#running.add(name)
      void this.#ping(name).finally(() => {
        this.#running.delete(name)
        if (this.#reachability.way(name)?.reachable) {
          this.#failures.delete(name)
          this.#due.set(name, this.#clock.nowMs() + ANSWERING_MS)
        } else this.#failed(name)
      })
    }
  }

  #failed(datacenter: string): void {
    const failures = this.#failures.get(datacenter) ?? 0
    this.#failures.set(datacenter, failures + 1)
    const delayMs = Math.min(SILENT_MAX_MS, SILENT_MIN_MS * 2 ** Math.min(failures, 10))
    this.#due.set(datacenter, this.#clock.nowMs() + delayMs)
    if (delayMs < TICK_MS) this.#clock.after(delayMs, () => this.#tick())
  }

  async #ping(datacenter: string): Promise<void> {
    const body = encode(EmptyReadRequest, EmptyReadRequest.of())
    const { signal } = this.#stop
    try {
      await this.#router.forward({
        datacenter,
        method: 'Status.Ping',
        body,
        timeoutMs: PING_TIMEOUT_MS,
        signal,
        probe: true,
      })
    } catch (error) {
      // The router has noted it; a server's own error to a ping is an answer too.
      if (codeOf(error) === 'RPC_REMOTE') this.#reachability.succeeded(datacenter)
    }
  }
}
