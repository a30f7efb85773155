/**
 * The core of one gossip pool as a value that takes inputs and returns effects.
 *
 * No socket, clock, disk or chance of its own: pool.ts drives it in production, simulations drive hundreds of them.
 * Requests (join, leave, queries) answer through a callback, within this step or a later one.
 *
 * Source: gossip wire notes §8, §11.
 */
import { formatHostPort, HanseError, messageOf, type Random } from '#base'
import type { JoinResult, KeyringResult, Member, QueryOptions } from './api.ts'
import type { Coordinate } from './coordinates.ts'
import type { Destination, Effect, Input } from './effects.ts'
import { PROBLEM_TEXT, packetProblem } from './encryption-problem.ts'
import { gossipError } from './errors.ts'
import { encodeKeyRequest, type KeyOperation, summarizeKeyAnswers } from './key-queries.ts'
import { openPacket } from './packet.ts'
import type { QueryOutcome } from './queries.ts'
import { CoreRuntime } from './runtime.ts'
import { Serf, type SerfOptions } from './serf.ts'
import { encodeTags, MAX_META_BYTES } from './serf-messages.ts'
import { clockLine, LEAVE_LINE, type SnapshotState } from './snapshot.ts'
import type { StreamProblem } from './stream.ts'

/** How often the clocks are noted in the snapshot, and the queues' lengths checked. */
const CLOCK_RECORD_INTERVAL_MS = 500
const QUEUE_CHECK_INTERVAL_MS = 30_000
const MIN_QUEUE_DEPTH = 4096

export interface PoolCoreOptions extends SerfOptions {
  readonly tags: Readonly<Record<string, string>>
}

export class PoolCore {
  readonly #runtime: CoreRuntime
  readonly #serf: Serf
  readonly #options: PoolCoreOptions
  readonly #leaveWaiters: (() => void)[] = []
  readonly #recorded = { clock: 0, 'event-clock': 0, 'query-clock': 0 }

  /** @throws HanseError GOSSIP_TAGS_TOO_LONG */
  constructor(options: PoolCoreOptions, modules: { random: Random; nowMs: number; restored?: SnapshotState }) {
    this.#options = options
    this.#runtime = new CoreRuntime(modules.random, modules.nowMs)
    this.#serf = new Serf(options, { runtime: this.#runtime })
    if (modules.restored) this.#restore(modules.restored)
    this.#start(metaOf(options.tags))
  }

  #restore(restored: SnapshotState): void {
    const { clock, eventClock, queryClock } = this.#serf.context
    clock.witness(restored.clock)
    eventClock.witness(restored.eventClock)
    queryClock.witness(restored.queryClock)
    this.#serf.events.minTime = restored.eventClock + 1
    this.#serf.queries.minTime = restored.queryClock + 1
  }

  #start(meta: Buffer): void {
    const { timing } = this.#options
    this.#serf.tags = this.#options.tags
    this.#serf.swim.start(meta)
    const every = (ms: number, task: () => void) => this.#runtime.repeat(() => ms, task)
    every(timing.reapIntervalMs, () => this.#serf.members.reap())
    every(timing.reconnectIntervalMs, () => this.#reconnect())
    every(CLOCK_RECORD_INTERVAL_MS, () => this.#recordClocks())
    every(QUEUE_CHECK_INTERVAL_MS, () => this.#pruneQueues())
  }

  /** When `step` with a tick is due next, in the time that steps are given. */
  nextDueMs(): number {
    return this.#runtime.deadlines.nextMs()
  }

  /** Handles one input. Bytes from outside never throw: bad ones are counted and dropped. */
  step(input: Input, nowMs: number): readonly Effect[] {
    return this.act(nowMs, () => this.#handle(input))
  }

  /** Runs a request at a given time and returns the effects. What the request throws goes through. */
  act(nowMs: number, request: (core: this) => void): readonly Effect[] {
    this.#runtime.nowMs = nowMs
    this.#runtime.deadlines.runDue(nowMs)
    request(this)
    this.#runtime.deadlines.runDue(nowMs)
    const effects = this.#runtime.drain()
    const changes = this.#serf.members.drainChanges()
    return changes ? [{ kind: 'members', ...changes }, ...effects] : effects
  }

  #handle(input: Input): void {
    const { swim } = this.#serf
    switch (input.kind) {
      case 'tick':
        return
      case 'datagram':
        this.#receive(input.bytes, { name: '', address: input.address, port: input.port })
        return
      case 'request':
        this.#tolerant(input.address, () => swim.pushPull.answer(input.stream, input.message, input.address))
        return
      case 'badRequest':
        this.#reportProblem(input.problem, input.address)
        swim.pushPull.refuse(input.stream, input.error)
        return
      case 'answered':
        this.#tolerant('', () => swim.exchanges.close(input.exchange, { message: input.message }))
        return
      case 'failed': {
        const { error, problem } = input
        const to = swim.exchanges.destination(input.exchange)
        this.#reportProblem(problem, to && formatHostPort(to.address, to.port), to?.name)
        swim.exchanges.close(input.exchange, { error, problem })
      }
    }
  }

  #receive(bytes: Buffer, from: Destination): void {
    const { layers } = this.#options
    this.#tolerant(from.address, () => {
      try {
        this.#serf.swim.receive(openPacket(bytes, layers), from)
      } catch (thrown) {
        const address = from.address === '' ? undefined : formatHostPort(from.address, from.port)
        this.#reportProblem(packetProblem(bytes, layers, thrown), address)
        throw thrown
      }
    })
  }

  /** Drops and counts what cannot be read. Errors that are not about bytes go through: they are mistakes of ours. */
  #tolerant(address: string, task: () => void): void {
    try {
      task()
    } catch (thrown) {
      if (!(thrown instanceof HanseError)) throw thrown
      this.#runtime.count('hanse.gossip.dropped')
      this.#runtime.log('debug', 'dropped gossip that cannot be read', { from: address, error: messageOf(thrown) })
    }
  }

  #reportProblem(kind: StreamProblem | undefined, address: string | undefined, node?: string): void {
    if (kind === undefined) return
    this.#serf.mismatches.report({ kind, node: node || undefined, address, detail: PROBLEM_TEXT[kind] })
  }

  // Requests.

  /** Push/pulls with each address in turn. */
  join(targets: readonly Destination[], ignoreOld: boolean, done: (result: JoinResult) => void): void {
    if (this.#serf.state !== 'alive') {
      done({ joined: 0, errors: ['this node has left the pool'] })
      return
    }
    const errors: string[] = []
    let joined = 0
    const next = (index: number) => {
      const target = targets[index]
      if (!target) {
        if (joined > 0) this.#serf.members.broadcastJoin()
        done({ joined, errors })
        return
      }
      this.#serf.swim.pushPull.exchange(target, { join: true, ignoreOldEvents: ignoreOld }, (error) => {
        if (error === undefined) joined++
        else errors.push(`Failed to join ${formatHostPort(target.address, target.port)}: ${error}`)
        next(index + 1)
      })
    }
    next(0)
  }

  leave(done: () => void): void {
    const serf = this.#serf
    if (serf.state === 'left') {
      done()
      return
    }
    this.#leaveWaiters.push(done)
    if (serf.state === 'alive') this.#beginLeave()
  }

  /** First the intent, so that others know it is no failure; then SWIM's own message; then time for both to spread. */
  #beginLeave(): void {
    const serf = this.#serf
    const { timing, name } = this.#options
    const alone = serf.members.count('alive') <= 1
    serf.state = 'leaving'
    this.#runtime.emit({ kind: 'record', line: LEAVE_LINE })
    const finish = () => {
      serf.state = 'left'
      for (const waiting of this.#leaveWaiters.splice(0)) waiting()
    }
    const afterIntent = this.#once(timing.leaveBroadcastMs, () => {
      serf.swim.leave(alone ? finish : () => this.#runtime.after(timing.leavePropagateDelayMs, finish))
    })
    serf.members.broadcastLeave(name, false, afterIntent)
    if (alone) afterIntent()
  }

  /** Runs `task` once: when the returned function is called, or after `ms`; always in a step of its own. */
  #once(ms: number, task: () => void): () => void {
    let done = false
    const run = () => {
      if (done) return
      done = true
      task()
    }
    this.#runtime.after(ms, run)
    return () => void this.#runtime.after(0, run)
  }

  /** @throws HanseError GOSSIP_UNKNOWN_NODE */
  forceLeave(name: string, prune: boolean, done: () => void): void {
    if (!this.#serf.members.get(name)) throw gossipError('GOSSIP_UNKNOWN_NODE', { name })
    const sent = this.#once(this.#options.timing.leaveBroadcastMs, done)
    this.#serf.members.broadcastLeave(name, prune, sent)
    if (this.#serf.members.count('alive') <= 1) sent()
  }

  /** @throws HanseError GOSSIP_TAGS_TOO_LONG */
  setTags(tags: Readonly<Record<string, string>>): void {
    const meta = metaOf(tags)
    this.#serf.tags = tags
    this.#serf.swim.membership.announce(meta)
  }

  /** @throws HanseError GOSSIP_EVENT_TOO_LARGE */
  userEvent(name: string, payload: Buffer, coalesce: boolean): void {
    this.#serf.events.fire(name, payload, coalesce)
  }

  /** @throws HanseError GOSSIP_QUERY_TOO_LARGE */
  query(name: string, payload: Buffer, options: QueryOptions, done: (outcome: QueryOutcome) => void): void {
    this.#serf.queries.ask(name, payload, options, done)
  }

  /** @throws HanseError GOSSIP_QUERY_TOO_LARGE */
  respond(query: number, payload: Buffer): void {
    this.#serf.queries.respond(query, payload)
  }

  /** @param key - raw bytes; empty for list-keys */
  keys(operation: KeyOperation, key: Buffer, relayFactor: number, done: (result: KeyringResult) => void): void {
    const numNodes = this.#serf.swim.context.nodes.liveCount()
    const options = { relayFactor, enough: numNodes }
    this.#serf.queries.ask(`_serf_${operation}`, encodeKeyRequest(key), options, ({ responses }) =>
      done(summarizeKeyAnswers(responses, numNodes)),
    )
  }

  members(): readonly Member[] {
    return this.#serf.members.all()
  }

  coordinate(): Coordinate {
    return this.#serf.coordinates.coordinate
  }

  /** What `info` shows of a pool. */
  stats(): Record<string, string> {
    const { members, coordinates, context, swim } = this.#serf
    return {
      coordinate_resets: String(coordinates.resets),
      encrypted: String(this.#options.layers.keyring !== undefined),
      event_queue: String(context.events.length),
      event_time: String(context.eventClock.time),
      failed: String(members.count('failed')),
      health_score: String(swim.context.awareness.score),
      intent_queue: String(context.intents.length),
      left: String(members.count('left')),
      member_time: String(context.clock.time),
      members: String(members.count()),
      query_queue: String(context.queries.length),
      query_time: String(context.queryClock.time),
    }
  }

  // Upkeep.

  /** Now and then tries one failed member again, the rarer the more of them there are. */
  #reconnect(): void {
    const failed = this.#serf.members.names('failed')
    if (failed.length === 0 || this.#serf.state !== 'alive') return
    const probability = failed.length / Math.max(1, this.#serf.members.count('alive'))
    if (this.#runtime.random.float() > probability) return
    const member = this.#serf.members.get(failed[this.#runtime.random.int(failed.length)] ?? '')
    if (!member) return
    const { name, address, port } = member
    this.#serf.swim.pushPull.exchange({ name, address, port }, { join: true }, (error) => {
      this.#runtime.log('debug', 'tried to reconnect', { node: name, error })
    })
  }

  #recordClocks(): void {
    const { clock, eventClock, queryClock } = this.#serf.context
    const times = { clock: clock.time - 1, 'event-clock': eventClock.time - 1, 'query-clock': queryClock.time - 1 }
    for (const kind of ['clock', 'event-clock', 'query-clock'] as const) {
      if (this.#recorded[kind] === times[kind]) continue
      this.#recorded[kind] = times[kind]
      this.#runtime.emit({ kind: 'record', line: clockLine(kind, times[kind]) })
    }
  }

  #pruneQueues(): void {
    const { intents, events, queries } = this.#serf.context
    const depth = Math.max(MIN_QUEUE_DEPTH, 2 * this.#serf.members.count())
    for (const queue of [intents, events, queries]) queue.prune(depth)
  }
}

/** @throws HanseError GOSSIP_TAGS_TOO_LONG */
function metaOf(tags: Readonly<Record<string, string>>): Buffer {
  const meta = encodeTags(tags)
  if (meta.length <= MAX_META_BYTES) return meta
  throw gossipError('GOSSIP_TAGS_TOO_LONG', { bytes: meta.length, limit: MAX_META_BYTES })
}
