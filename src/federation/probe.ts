/**
 * Status.Ping to every other datacenter: seldom while it answers, often while it does not.
 *
 * It is how a way that was shut is seen to open again without a user's call waiting for it, and where "silent for"
 * comes from.
 */
import { type Clock, codeOf, sleep } from '#base'
import { EmptyReadRequest, encode } from '#codec'
import type { Reachability } from './reachability.ts'
import type { WanRouter } from './router.ts'

const ANSWERING_MS = 10_000
const SILENT_MS = 1_000
const PING_TIMEOUT_MS = 5_000

export class Probe {
  readonly #router: WanRouter
  readonly #reachability: Reachability
  readonly #clock: Clock
  readonly #stop = new AbortController()
  /** Datacenter → when it is due, monotonic. */
  readonly #due = new Map<string, number>()
  readonly #running = new Set<string>()

  constructor(modules: { router: WanRouter; reachability: Reachability; clock: Clock }) {
    this.#router = modules.router
    this.#reachability = modules.reachability
    this.#clock = modules.clock
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('the server is stopping'))
  }

  /** Pings a datacenter now: gossip has just seen something of it. */
  now(datacenter: string): void {
    this.#due.set(datacenter, 0)
    this.#tick()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#tick()
      await sleep(this.#clock, 250, signal).catch(() => undefined)
    }
  }

  #tick(): void {
    const names = new Set(this.#router.servers().map((server) => server.datacenter))
    names.delete(this.#router.datacenter)
    for (const known of this.#due.keys()) if (!names.has(known)) this.#due.delete(known)
    for (const name of names) {
      if (this.#running.has(name) || (this.#due.get(name) ?? 0) > this.#clock.nowMs()) continue
      this.#running.add(name)
      void this.#ping(name).finally(() => {
        this.#running.delete(name)
        const answering = this.#reachability.way(name)?.reachable ?? false
        this.#due.set(name, this.#clock.nowMs() + (answering ? ANSWERING_MS : SILENT_MS))
      })
    }
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
