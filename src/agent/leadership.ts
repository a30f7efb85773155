/**
 * Leadership: which server of the datacenter has the duties that only one may have at a time.
 *
 * It is a lease of the store, held for as long as its signal is not aborted. Any server serves everything; what is left
 * to one is what nobody asks for: replication, reaping, renewal. A duty is a function that starts it and returns what
 * stops it; duties begin in the order they were given when the lease is gained, and end the other way round when it is
 * lost or given up. Two servers that both believe to lead for a moment (a paused process) do no harm: every write of a
 * duty is a compare-and-set.
 *
 * The lease's holder text names the leader, so that any server can say who leads and where it is reached.
 */
import { aborted, type Clock, type Logger, type Metrics, messageOf, sleep } from '#base'
import type { Engine, Lease } from '#store'

const LEASE = 'leader'
/** A leader that died is replaced after this long, and what the store needs to notice. */
export const LEASE_TTL_MS = 2_000
/** How often a follower looks who leads. */
const LOOK_INTERVAL_MS = 500
/** A leader that could not be looked up for this long is not known any more. */
const FORGET_MS = 2 * LEASE_TTL_MS
const RETRY_MS = 500
/** Between two attempts of a duty to start. */
const DUTY_RETRY_MS = 1_000
/** How long the end of a term waits for duties that do not end. */
const STOP_LIMIT_MS = 2_000
/** A start goes on without a leader after this long: one may be elected while users are served what is there. */
const START_LIMIT_MS = 10_000
const START_LOOK_MS = 50

/** The leader, as every server can find it. */
export interface LeaderServer {
  /** "ip:port" of its server port. */
  readonly address: string
  readonly nodeId: string
  readonly name: string
}

/** Ends a duty; it may take its time, the next one waits for it. */
export type StopDuty = () => void | Promise<void>

export type StartDuty = (signal: AbortSignal) => StopDuty | Promise<StopDuty>

/** The name comes last: it may hold spaces. */
export function holderText({ address, nodeId, name }: LeaderServer): string {
  return `${address} ${nodeId} ${name}`
}

/** @returns undefined for a text that is no server's */
export function parseHolder(text: string): LeaderServer | undefined {
  const match = /^(\S+:\d+) (\S+) (.+)$/.exec(text)
  const [, address, nodeId, name] = match ?? []
  return address && nodeId && name ? { address, nodeId, name } : undefined
}

export interface LeadershipModules {
  readonly engine: Pick<Engine, 'lease'>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Tells the LAN pool that we lead. */
  readonly announce: () => void
}

interface Duty {
  readonly name: string
  readonly start: StartDuty
}

interface RunningDuty {
  /** Resolves when the first attempt to start is over. */
  readonly tried: Promise<void>
  stop(): Promise<void>
}

export class Leadership {
  readonly #self: LeaderServer
  readonly #modules: LeadershipModules
  readonly #lease: Lease
  readonly #duties: Duty[] = []
  readonly #running: RunningDuty[] = []
  readonly #listeners = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #settled = Promise.withResolvers<void>()
  /** Ends this term, or the wait for the next one. */
  #term = new AbortController()
  /** Set while we lead. */
  #duty: AbortSignal | undefined
  #seen: { readonly leader: LeaderServer; readonly atMs: number } | undefined
  #holdOffUntilMs = 0
  #loops: Promise<unknown> = Promise.resolve()
  #stopping: Promise<void> | undefined
  #ending: Promise<void> = Promise.resolve()

  constructor(self: LeaderServer, modules: LeadershipModules) {
    this.#self = self
    this.#modules = modules
    this.#lease = modules.engine.lease(LEASE, { ttlMs: LEASE_TTL_MS, holder: holderText(self) })
  }

  get leading(): boolean {
    return this.#duty !== undefined
  }

  /** Who leads, as far as this server knows. */
  get leader(): LeaderServer | undefined {
    if (this.leading) return this.#self
    const fresh = this.#seen && this.#modules.clock.nowMs() - this.#seen.atMs < FORGET_MS
    return fresh ? this.#seen?.leader : undefined
  }

  /** Calls back when another server leads, or none. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Gives the leader one more duty; at once where we lead. Resolves when it was tried. */
  async duty(name: string, start: StartDuty): Promise<void> {
    const duty = { name, start }
    this.#duties.push(duty)
    if (this.#duty) await this.#begin(duty, this.#duty).tried
  }

  /** Resolves when we lead and the duties have begun, or another server leads. */
  async start(): Promise<void> {
    const { clock } = this.#modules
    this.#modules.metrics.gauge('consul.server.isLeader', 0)
    this.#loops = Promise.all([this.#run(), this.#follow()])
    const startedMs = clock.nowMs()
    let settled = false
    void this.#settled.promise.then(() => {
      settled = true
    })
    // Where the store has one process the lease is ours at once, and no time is lost.
    while (!this.#stop.signal.aborted && clock.nowMs() - startedMs < START_LIMIT_MS) {
      await Promise.race([this.#settled.promise, sleep(clock, START_LOOK_MS, this.#stop.signal).catch(() => undefined)])
      if (settled) return
      if (!this.leading && (await this.look())) return
    }
  }

  /** Asks the store who leads. */
  async look(): Promise<LeaderServer | undefined> {
    const { clock, log } = this.#modules
    if (this.leading) return this.#self
    try {
      const leader = parseHolder((await this.#lease.holder()) ?? '')
      if (this.leading) return this.#self
      // A term of ours that the store has not forgotten yet: nobody does the duties.
      const other = leader && holderText(leader) !== holderText(this.#self) ? leader : undefined
      const before = this.#seen?.leader.name
      this.#seen = other && { leader: other, atMs: clock.nowMs() }
      if (other && other.name !== before) log.info('new leader elected', { leader: other.name, address: other.address })
      if (other?.name !== before) this.#tell()
      return other
    } catch (error) {
      log.debug('who leads could not be read', { error: messageOf(error) })
      return this.leader
    }
  }

  /** Gives the lead up, or the wait for it, and stays out of it for a while: another server is to have it. */
  async standDown(holdOffMs: number): Promise<void> {
    this.#holdOffUntilMs = this.#modules.clock.nowMs() + holdOffMs
    this.#term.abort(new DOMException('the lead was given up', 'AbortError'))
    await this.#endTerm()
    await this.#lease.release().catch(() => undefined)
  }

  /** Ends the duties, then gives the lease up, so that another server takes over at once. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#stop.abort(new DOMException('the server is stopping', 'AbortError'))
      await this.#endTerm()
      await this.#lease.release().catch((error: unknown) => {
        this.#modules.log.warn('the lead could not be given up', { error: messageOf(error) })
      })
      await this.#loops
    })()
    return this.#stopping
  }

  /** Waits for the lease, leads while it lasts, and again. */
  async #run(): Promise<void> {
    const { clock, log } = this.#modules
    const { signal: stop } = this.#stop
    while (!stop.aborted) {
      this.#term = new AbortController()
      const signal = AbortSignal.any([stop, this.#term.signal])
      try {
        const holdOffMs = this.#holdOffUntilMs - clock.nowMs()
        if (holdOffMs > 0) await sleep(clock, holdOffMs, signal)
        await this.#lead(await this.#lease.acquire(signal), signal)
      } catch (error) {
        if (signal.aborted) continue
        log.warn('the lead could not be asked for, trying again', { error: messageOf(error) })
        await sleep(clock, RETRY_MS, stop).catch(() => undefined)
      }
    }
  }

  async #lead(lease: AbortSignal, ended: AbortSignal): Promise<void> {
    const { log, metrics, announce } = this.#modules
    if (ended.aborted) return void (await this.#lease.release())
    const signal = AbortSignal.any([lease, ended])
    this.#duty = signal
    this.#seen = undefined
    log.info('cluster leadership acquired', { leader: this.#self.name })
    metrics.count('consul.raft.state.leader')
    metrics.gauge('consul.server.isLeader', 1)
    announce()
    this.#tell()
    for (const duty of [...this.#duties]) {
      if (signal.aborted) break
      await this.#begin(duty, signal).tried
    }
    this.#settled.resolve()
    await aborted(signal)
    await this.#endTerm()
    if (ended.aborted) return
    log.warn('cluster leadership lost', { leader: this.#self.name })
    void this.look()
  }

  /** Ends the duties, the last one first. What is called while it runs waits for the same end. */
  async #endTerm(): Promise<void> {
    if (this.#duty) {
      this.#duty = undefined
      this.#modules.metrics.gauge('consul.server.isLeader', 0)
      this.#tell()
    }
    const running = this.#running.splice(0).reverse()
    this.#ending = this.#ending.then(async () => {
      for (const duty of running) await duty.stop()
    })
    // What hangs on a store that is gone must not keep us from asking for the lead again.
    await Promise.race([this.#ending, sleep(this.#modules.clock, STOP_LIMIT_MS)])
  }

  #begin({ name, start }: Duty, signal: AbortSignal): RunningDuty {
    const { clock, log } = this.#modules
    const tried = Promise.withResolvers<void>()
    const stopped = new AbortController()
    const ended = AbortSignal.any([signal, stopped.signal])
    const work = (async () => {
      for (let failures = 0; !ended.aborted; failures++) {
        try {
          const stop = await start(ended)
          tried.resolve()
          await aborted(stopped.signal)
          await stop()
          return
        } catch (error) {
          tried.resolve()
          if (stopped.signal.aborted) return log.debug('a duty ended badly', { duty: name, error: messageOf(error) })
          if (signal.aborted) return
          if (failures === 0)
            log.error('a duty of the leader failed, trying again', { duty: name, error: messageOf(error) })
          await sleep(clock, DUTY_RETRY_MS, ended).catch(() => undefined)
        }
      }
    })()
    const running: RunningDuty = {
      tried: tried.promise,
      stop: () => {
        stopped.abort(new DOMException('the duty has ended', 'AbortError'))
        tried.resolve()
        return work
      },
    }
    this.#running.push(running)
    return running
  }

  /** Keeps a follower informed who leads. */
  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(this.#modules.clock, LOOK_INTERVAL_MS, signal).catch(() => undefined)
      if (!this.leading && !signal.aborted) await this.look()
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
