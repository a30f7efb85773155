/**
 * Drives one pool: sockets, time, chance and files in; effects out. Runs in the gossip thread.
 *
 * Everything that decides is in the core; this file carries out what it says.
 */
import type { Duplex } from 'node:stream'
import { type Clock, formatHostPort, messageOf, type Random, type Timer } from '#base'
import type { JoinResult, PoolName } from './api.ts'
import type { Destination, Effect, Input } from './effects.ts'
import { resolveJoinAddress } from './join-address.ts'
import type { PacketLayers } from './packet.ts'
import { PoolCore, type PoolCoreOptions } from './pool-core.ts'
import type { SnapshotFile } from './snapshot-file.ts'
import { networkErrorText, readMessage } from './stream-io.ts'
import type { FromThread, PoolReply, PoolRequest } from './thread-messages.ts'
import type { Transport } from './transport.ts'
import { wanRoute } from './wan-route.ts'

/** Streams that others have open to us at once; further ones are closed. */
export const MAX_INCOMING_STREAMS = 128

export interface PoolModules {
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly snapshot: SnapshotFile | undefined
  /** Absent: every member is reached directly. */
  readonly carrier?: {
    sendPacket(node: string, datacenter: string, bytes: Buffer): void
    dial(node: string, datacenter: string): Duplex
  }
  post(message: FromThread): void
  count(metric: string, by: number): void
  saveKeyring(keysBase64: readonly string[]): void
}

export class Pool {
  readonly core: PoolCore
  readonly name: PoolName
  readonly #layers: PacketLayers
  readonly #datacenter: string
  readonly #tcpTimeoutMs: number
  readonly #defaultPort: number
  readonly #modules: PoolModules
  readonly #streams = new Map<number, Duplex>()
  #nextStream = 1
  #timer: Timer | undefined
  #timerDueMs = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(options: PoolCoreOptions & { defaultPort: number }, modules: PoolModules) {
    const { clock, random, snapshot } = modules
    this.name = options.identity.pool
    this.#layers = options.layers
    this.#datacenter = options.identity.datacenter
    this.#tcpTimeoutMs = options.timing.tcpTimeoutMs
    this.#defaultPort = options.defaultPort
    this.#modules = modules
    this.core = new PoolCore(options, { random, nowMs: clock.nowMs(), restored: snapshot?.state })
  }

  /** Lets the core act for the first time. */
  start(): void {
    this.step({ kind: 'tick' })
  }

  step(input: Input): void {
    this.#apply(this.core.step(input, this.#modules.clock.nowMs()))
  }

  #act(request: (core: PoolCore) => void): void {
    this.#apply(this.core.act(this.#modules.clock.nowMs(), request))
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect)
    this.#schedule()
  }

  #schedule(): void {
    const dueMs = this.core.nextDueMs()
    if (this.#stopped || dueMs === this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    const { clock } = this.#modules
    this.#timer = clock.after(Math.max(0, Math.ceil(dueMs - clock.nowMs())), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY
      this.step({ kind: 'tick' })
    })
  }

  #carryOut(effect: Effect): void {
    const { post, count, snapshot, saveKeyring } = this.#modules
    switch (effect.kind) {
      case 'send':
        this.#send(effect.to, effect.bytes)
        return
      case 'exchange':
        return void this.#exchange(effect)
      case 'answer':
        this.#answer(effect.stream, effect.bytes)
        return
      case 'members':
        post({ ...effect, pool: this.name })
        return
      case 'coordinate':
        post({ kind: 'coordinates', pool: this.name, entries: [[effect.node, effect.coordinate]] })
        return
      case 'event':
        post({ kind: 'event', pool: this.name, event: effect.event })
        return
      case 'record':
        snapshot?.record(effect.line)
        return
      case 'saveKeyring':
        saveKeyring(effect.keysBase64)
        return
      case 'count':
        count(effect.metric, effect.by)
        return
      case 'log':
        post({ ...effect, pool: this.name })
        return
    }
  }

  #route(to: Destination) {
    return wanRoute(to, this.#datacenter, this.#modules.carrier !== undefined)
  }

  #send(to: Destination, bytes: Buffer): void {
    const route = this.#route(to)
    if (route.kind === 'direct' && to.address !== '') this.#modules.transport.send(bytes, to.address, to.port)
    else if (route.kind === 'carried') this.#modules.carrier?.sendPacket(route.node, route.datacenter, bytes)
    else this.#modules.count('hanse.gossip.unroutable', 1)
  }

  async #exchange({ exchange, to, bytes, timeoutMs }: Effect & { kind: 'exchange' }): Promise<void> {
    const route = this.#route(to)
    if (route.kind === 'none' || (route.kind === 'direct' && to.address === '')) {
      const error = route.kind === 'none' ? route.reason : 'no address is known'
      this.step({ kind: 'failed', exchange, error })
      return
    }
    const { carrier, transport, clock } = this.#modules
    const direct = route.kind === 'direct' || carrier === undefined
    const stream = direct ? transport.dial(to.address, to.port) : carrier.dial(route.node, route.datacenter)
    stream.write(bytes)
    const outcome = await readMessage(stream, { layers: this.#layers, writer: 'responder', timeoutMs, clock })
    stream.destroy()
    if (this.#stopped) return
    if ('message' in outcome) return this.step({ kind: 'answered', exchange, message: outcome.message })
    const unreached = direct && (outcome.error.startsWith('connect: ') || outcome.error === 'i/o timeout')
    const error = unreached ? `dial tcp ${formatHostPort(to.address, to.port)}: ${outcome.error}` : outcome.error
    this.step({ kind: 'failed', exchange, error, problem: outcome.problem })
  }

  /** Serves a stream that another node opened. */
  async accept(stream: Duplex, address: string): Promise<void> {
    if (this.#streams.size >= MAX_INCOMING_STREAMS) {
      stream.destroy()
      this.#modules.count('hanse.gossip.streams_refused', 1)
      return
    }
    const id = this.#nextStream++
    this.#streams.set(id, stream)
    stream.on('close', () => this.#streams.delete(id))
    const options = { layers: this.#layers, writer: 'initiator', timeoutMs: this.#tcpTimeoutMs } as const
    const outcome = await readMessage(stream, { ...options, clock: this.#modules.clock })
    if (this.#stopped) return
    if ('message' in outcome) this.step({ kind: 'request', stream: id, message: outcome.message, address })
    else if (stream.writable && !stream.readableEnded)
      this.step({ kind: 'badRequest', stream: id, address, ...outcome })
    else this.#answer(id, undefined)
  }

  #answer(id: number, bytes: Buffer | undefined): void {
    const stream = this.#streams.get(id)
    if (!stream) return
    stream.on('error', () => {})
    // Reading on is what notices that the other side has closed.
    stream.resume()
    if (bytes) stream.end(bytes)
    else stream.end()
    this.#modules.clock.after(this.#tcpTimeoutMs, () => stream.destroy())
  }

  /** Handles a request of the main thread. */
  async request(request: PoolRequest): Promise<PoolReply> {
    switch (request.op) {
      case 'join':
        return { op: 'join', value: await this.join(request.addresses, request.ignoreOld) }
      case 'leave':
        await this.#wait((core, done) => core.leave(done))
        await this.#modules.snapshot?.flush()
        return { op: 'leave', value: null }
      case 'forceLeave':
        await this.#wait((core, done) => core.forceLeave(request.name, request.prune, done))
        return { op: 'forceLeave', value: null }
      case 'setTags':
        this.#act((core) => core.setTags(request.tags))
        return { op: 'setTags', value: null }
      case 'userEvent':
        this.#act((core) => core.userEvent(request.name, Buffer.from(request.payload), request.coalesce))
        return { op: 'userEvent', value: null }
      case 'query': {
        const { name, payload, options } = request
        return {
          op: 'query',
          value: await this.#ask((core, done) => core.query(name, Buffer.from(payload), options, done)),
        }
      }
      case 'respond':
        this.#act((core) => core.respond(request.query, Buffer.from(request.payload)))
        return { op: 'respond', value: null }
      case 'keys': {
        const { operation, relayFactor } = request
        const key = Buffer.from(request.key, 'base64')
        return { op: 'keys', value: await this.#ask((core, done) => core.keys(operation, key, relayFactor, done)) }
      }
      case 'stats':
        return { op: 'stats', value: this.core.stats() }
    }
  }

  #ask<T>(start: (core: PoolCore, done: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        this.#act((core) => start(core, resolve))
      } catch (thrown) {
        reject(thrown)
      }
    })
  }

  #wait(start: (core: PoolCore, done: () => void) => void): Promise<void> {
    return this.#ask<void>((core, done) => start(core, () => done()))
  }

  async join(addresses: readonly string[], ignoreOld: boolean): Promise<JoinResult> {
    const targets: Destination[] = []
    const errors: string[] = []
    for (const text of addresses) {
      try {
        targets.push(...(await resolveJoinAddress(text, this.#defaultPort)))
      } catch (thrown) {
        errors.push(`Failed to resolve ${text}: ${networkErrorText(thrown)}`)
      }
    }
    const result = await this.#ask<JoinResult>((core, done) => core.join(targets, ignoreOld, done))
    return { joined: result.joined, errors: [...errors, ...result.errors] }
  }

  /** Tries the members of an earlier life, one after the other, until one answers. */
  async rejoin(alive: ReadonlyMap<string, string>): Promise<void> {
    for (const [name, address] of alive) {
      if (this.#stopped) return
      const { joined, errors } = await this.join([`${name}/${address}`], false)
      const fields = joined > 0 ? { node: name, address } : { node: name, address, error: errors.join('; ') }
      const message = joined > 0 ? 're-joined to previously known node' : 'failed to re-join a previously known node'
      this.#modules.post({ kind: 'log', pool: this.name, level: 'info', message, fields })
      if (joined > 0) return
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#modules.transport.close()
    for (const stream of this.#streams.values()) stream.destroy()
    try {
      await this.#modules.snapshot?.close()
    } catch (thrown) {
      const fields = { error: messageOf(thrown) }
      this.#modules.post({ kind: 'log', pool: this.name, level: 'error', message: 'snapshot is lost', fields })
    }
  }
}
