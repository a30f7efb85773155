/**
 * Connections to other servers for RPC calls: one yamux session per target, its idle streams used again.
 *
 * Bounded everywhere: connections, idle streams per connection, the time to dial, the time for a call. A call that is
 * given up resets its stream. A dead or departing session is left; the next call dials anew. How to dial (gateway or
 * direct, TLS or not) is the caller's function; RPC semantics (forwarding, retries) are above this.
 *
 * Source: RPC wire notes §5 (pool), §13 (timeouts).
 */
import type { Duplex } from 'node:stream'
import { type Clock, type Metrics, systemClock, type Timer } from '#base'
import { netError } from './errors.ts'
import { RpcCaller } from './rpc-caller.ts'
import { YamuxSession } from './yamux-session.ts'

/** The protocol a dialled connection must speak; the dialler writes byte 4 instead where no ALPN is used. */
export const RPC_MULTI_ALPN = 'consul/rpc-multi'

/** A server to call. */
export interface RpcTarget {
  readonly datacenter: string
  readonly node: string
  /** "host:port", where the own datacenter's servers are dialled directly. */
  readonly address?: string
}

export type RpcDial = (target: RpcTarget, alpn: string, signal: AbortSignal) => Promise<Duplex>

export interface RpcPoolLimits {
  readonly connections: number
  readonly idleStreamsPerConnection: number
  readonly dialTimeoutMs: number
  readonly callTimeoutMs: number
  readonly idleMs: number
}

export const RPC_POOL_LIMITS: RpcPoolLimits = {
  connections: 256,
  idleStreamsPerConnection: 64,
  dialTimeoutMs: 10_000,
  callTimeoutMs: 60_000,
  idleMs: 120_000,
}
const SWEEP_INTERVAL_MS = 15_000

export interface RpcPoolOptions {
  readonly dial: RpcDial
  readonly clock?: Clock
  readonly limits?: Partial<RpcPoolLimits>
  readonly metrics?: Metrics
}

export interface PoolCall {
  readonly target: RpcTarget
  readonly method: string
  /** The argument, raw msgpack. */
  readonly body: Buffer
  readonly signal?: AbortSignal
  /** 60 s unless given; blocking queries give theirs. */
  readonly timeoutMs?: number
}

/** One target's connection, from the dial on. */
class Connection {
  readonly key: string
  readonly label: string
  readonly ready: Promise<YamuxSession>
  readonly dialling = new AbortController()
  readonly idle: RpcCaller[] = []
  session: YamuxSession | undefined
  calls = 0
  lastUsedMs: number

  constructor(key: string, label: string, nowMs: number, dial: (signal: AbortSignal) => Promise<YamuxSession>) {
    this.key = key
    this.label = label
    this.lastUsedMs = nowMs
    this.ready = dial(this.dialling.signal).then((session) => {
      this.session = session
      return session
    })
    this.ready.catch(() => {})
  }

  get alive(): boolean {
    return this.session === undefined || this.session.usable
  }

  close(): void {
    this.dialling.abort(netError('RPC_POOL_CLOSED', { target: this.label }))
    this.ready.then(
      (session) => session.close(),
      () => {},
    )
  }
}

export class RpcConnectionPool {
  readonly #options: RpcPoolOptions
  readonly #clock: Clock
  readonly #limits: RpcPoolLimits
  readonly #connections = new Map<string, Connection>()
  readonly #sweeper: Timer
  #seq = 0
  #closed = false

  constructor(options: RpcPoolOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#limits = { ...RPC_POOL_LIMITS, ...options.limits }
    this.#sweeper = this.#clock.every(SWEEP_INTERVAL_MS, () => this.#sweep())
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /**
   * Calls a method of a server.
   *
   * @returns the reply, raw msgpack
   * @throws RpcRemoteError with the other side's text; RPC_TIMEOUT, RPC_ABORTED, RPC_CLOSED, RPC_POOL_FULL,
   *   RPC_POOL_CLOSED, RPC_MALFORMED, RPC_TOO_LARGE, YAMUX_…; what `dial` throws
   */
  async call(call: PoolCall): Promise<Buffer> {
    const target = `${call.target.node}.${call.target.datacenter}`
    const timeoutMs = call.timeoutMs ?? this.#limits.callTimeoutMs
    const controller = new AbortController()
    const { method } = call
    const onAbort = () => controller.abort(netError('RPC_ABORTED', { method, target }, call.signal?.reason))
    if (call.signal?.aborted) throw netError('RPC_ABORTED', { method, target }, call.signal.reason)
    call.signal?.addEventListener('abort', onAbort, { once: true })
    const timer = this.#clock.after(timeoutMs, () => {
      controller.abort(netError('RPC_TIMEOUT', { method, target, timeoutMs }))
    })
    try {
      return await this.#callOn(this.#connectionTo(call.target, target), call, target, controller.signal)
    } finally {
      timer.cancel()
      call.signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Drops the connection to a target, e.g. when its server was found failed; calls on it end with RPC_CLOSED. */
  drop(target: RpcTarget): void {
    const connection = this.#connections.get(keyOf(target))
    if (connection) this.#remove(connection)
  }

  /** Closes every connection; calls under way end with RPC_CLOSED. */
  close(): void {
    this.#closed = true
    this.#sweeper.cancel()
    for (const connection of [...this.#connections.values()]) this.#remove(connection)
  }

  async #callOn(connection: Connection, call: PoolCall, target: string, signal: AbortSignal): Promise<Buffer> {
    connection.calls++
    try {
      const session = await untilAborted(connection.ready, signal)
      const caller = idleCaller(connection) ?? this.#newCaller(connection, await session.openStream(signal), target)
      const reply = await caller.call(++this.#seq, call.method, call.body, signal)
      this.#release(connection, caller)
      return reply
    } finally {
      connection.calls--
      connection.lastUsedMs = this.#clock.nowMs()
      // Nobody waits for this dial any more, or the session was replaced: neither must live on alone.
      if (connection.calls === 0 && connection.session === undefined) this.#forget(connection)
      if (connection.calls === 0 && this.#connections.get(connection.key) !== connection) connection.close()
    }
  }

  #connectionTo(target: RpcTarget, label: string): Connection {
    if (this.#closed) throw netError('RPC_POOL_CLOSED', { target: label })
    const key = keyOf(target)
    const existing = this.#connections.get(key)
    if (existing?.alive) return existing
    if (existing) this.#connections.delete(key)
    if (existing?.calls === 0) existing.close()
    const limit = this.#limits.connections
    if (this.#connections.size >= limit) throw netError('RPC_POOL_FULL', { target: label, limit })
    const made: Connection = new Connection(key, label, this.#clock.nowMs(), (signal) =>
      this.#dial(target, signal, () => made),
    )
    this.#connections.set(key, made)
    return made
  }

  async #dial(target: RpcTarget, signal: AbortSignal, connection: () => Connection): Promise<YamuxSession> {
    const { dialTimeoutMs } = this.#limits
    const giveUp = new AbortController()
    const timedOut = netError('DIAL_TIMEOUT', {
      address: target.address ?? '',
      servername: `${target.node}.${target.datacenter}`,
      step: 'connection request',
      timeoutMs: dialTimeoutMs,
    })
    const timer = this.#clock.after(dialTimeoutMs, () => giveUp.abort(timedOut))
    const either = AbortSignal.any([signal, giveUp.signal])
    try {
      const dialled = this.#options.dial(target, RPC_MULTI_ALPN, either)
      dialled.then(
        (stream) => either.aborted && stream.destroy(),
        () => {},
      )
      const stream = await untilAborted(dialled, either)
      this.#options.metrics?.count('hanse.rpc.pool.dialled')
      return new YamuxSession(stream, {
        role: 'client',
        clock: this.#clock,
        onClose: () => this.#forget(connection()),
      })
    } catch (error) {
      this.#options.metrics?.count('hanse.rpc.pool.dial_failed')
      this.#forget(connection())
      throw error
    } finally {
      timer.cancel()
    }
  }

  #newCaller(connection: Connection, stream: Duplex, target: string): RpcCaller {
    const caller: RpcCaller = new RpcCaller(stream, {
      target,
      onClosed: () => {
        const at = connection.idle.indexOf(caller)
        if (at >= 0) connection.idle.splice(at, 1)
      },
    })
    return caller
  }

  #release(connection: Connection, caller: RpcCaller): void {
    const keep = caller.usable && connection.idle.length < this.#limits.idleStreamsPerConnection
    if (keep && this.#connections.get(connection.key) === connection) connection.idle.push(caller)
    else caller.close()
  }

  #forget(connection: Connection): void {
    if (this.#connections.get(connection.key) === connection) this.#connections.delete(connection.key)
  }

  #remove(connection: Connection): void {
    this.#forget(connection)
    connection.close()
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs()
    for (const connection of [...this.#connections.values()]) {
      if (connection.calls === 0 && nowMs - connection.lastUsedMs >= this.#limits.idleMs) this.#remove(connection)
    }
  }
}

function keyOf({ datacenter, node, address }: RpcTarget): string {
  return JSON.stringify([datacenter, node, address ?? ''])
}

function idleCaller(connection: Connection): RpcCaller | undefined {
  for (let caller = connection.idle.pop(); caller; caller = connection.idle.pop()) if (caller.usable) return caller
  return undefined
}

/** The promise, or the signal's reason as soon as it is aborted. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
