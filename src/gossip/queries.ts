/**
 * Queries: a question that gossip spreads to all members, answered straight to the asker.
 *
 * Answers may be copied through other members (relay) where packets get lost. Questions with names that begin with
 * `_serf_` are the library's own (key-queries.ts answers those).
 *
 * Source: gossip wire notes §10, §11.
 */
import { bytesToIp, ipToBytes } from '#base'
import type { QueryOptions } from './api.ts'
import type { Deadline } from './deadlines.ts'
import type { Destination } from './effects.ts'
import { gossipError } from './errors.ts'
import { MESSAGE } from './messages.ts'
import type { SerfContext } from './serf-context.ts'
import {
  encodeSerf,
  filtersMatch,
  nodeFilter,
  QUERY_FLAG_ACK,
  QUERY_FLAG_NO_BROADCAST,
  RelayHeader,
  SERF_MESSAGE,
  SerfQuery,
  SerfQueryResponse,
  splitRelay,
  tagFilter,
} from './serf-messages.ts'

/** Longest encoded query, and longest encoded answer. */
export const MAX_QUERY_BYTES = 1024
export const MAX_QUERY_RESPONSE_BYTES = 1024
/** Lamport times whose queries are remembered. */
export const QUERY_BUFFER_SLOTS = 512
/** Most queries remembered for one Lamport time. */
export const MAX_QUERIES_PER_SLOT = 256
/** Most queries of ours that wait for answers, and most of others' that wait for ours. */
export const MAX_OPEN_QUERIES = 1024
export const MAX_RELAY_FACTOR = 5
const QUERY_TIMEOUT_MULT = 16
/** Since which memberlist protocol (`max`) a member passes relayed answers on. */
const RELAY_VERSION = 5
const INTERNAL_PREFIX = '_serf_'
const NO_BYTES = Buffer.alloc(0)

export interface QueryAnswer {
  readonly from: string
  readonly payload: Buffer
}
export interface QueryOutcome {
  readonly acks: readonly string[]
  readonly responses: readonly QueryAnswer[]
}

interface Asked {
  readonly id: number
  readonly acks: Set<string>
  readonly responses: Map<string, Buffer>
  readonly finish: () => void
  readonly enough: number
}

interface Incoming {
  readonly message: SerfQuery
  readonly expiry: Deadline
}

export interface QueriesModules {
  tags(): Readonly<Record<string, string>>
  /** The answer to one of the library's own questions; undefined: none. */
  answerInternal(name: string, payload: Buffer, fits: (answer: Buffer) => boolean): Buffer | undefined
}

export class Queries {
  minTime = 0
  readonly #context: SerfContext
  readonly #modules: QueriesModules
  readonly #slots: { ltime: number; ids: Set<number> }[] = []
  readonly #asked = new Map<string, Asked>()
  readonly #incoming = new Map<number, Incoming>()
  #nextIncoming = 1

  constructor(context: SerfContext, modules: QueriesModules) {
    this.#context = context
    this.#modules = modules
  }

  /** Time that answers have, by the size of the pool. */
  defaultTimeoutMs(): number {
    const { timing, swim } = this.#context
    return timing.gossipIntervalMs * QUERY_TIMEOUT_MULT * Math.ceil(Math.log10(swim.context.nodes.liveCount() + 1))
  }

  /**
   * Asks everyone.
   *
   * @param enough - ends the wait early when so many have answered
   * @throws HanseError GOSSIP_QUERY_TOO_LARGE
   */
  ask(
    name: string,
    payload: Buffer,
    options: QueryOptions & { enough?: number },
    done: (o: QueryOutcome) => void,
  ): void {
    const { runtime, queryClock, queries } = this.#context
    const timeoutMs = options.timeoutMs ?? this.defaultTimeoutMs()
    const message = this.#question(name, payload, options, timeoutMs)
    const encoded = encodeSerf(SERF_MESSAGE.query, SerfQuery, message)
    if (encoded.length > MAX_QUERY_BYTES || this.#asked.size >= MAX_OPEN_QUERIES) {
      throw gossipError('GOSSIP_QUERY_TOO_LARGE', { limit: MAX_QUERY_BYTES })
    }
    queryClock.increment()
    const key = `${message.LTime}/${message.ID}`
    const finish = () => {
      if (!this.#asked.delete(key)) return
      expiry.cancel()
      const responses = [...asked.responses].map(([from, answer]) => ({ from, payload: answer }))
      done({ acks: [...asked.acks], responses })
    }
    const expiry = runtime.after(timeoutMs, finish)
    const enough = options.enough ?? Number.POSITIVE_INFINITY
    const asked: Asked = { id: message.ID, acks: new Set(), responses: new Map(), finish, enough }
    this.#asked.set(key, asked)
    this.receive(message)
    queries.add({ message: encoded })
  }

  #question(name: string, payload: Buffer, options: QueryOptions, timeoutMs: number): SerfQuery {
    const { queryClock, runtime, swim } = this.#context
    const filters = Object.entries(options.filterTags ?? {}).map(([tag, expression]) => tagFilter(tag, expression))
    if (options.filterNodes && options.filterNodes.length > 0) filters.push(nodeFilter(options.filterNodes))
    return {
      LTime: queryClock.time,
      ID: runtime.random.int(0x7fff_ffff),
      Addr: ipToBytes(swim.context.address) ?? NO_BYTES,
      Port: swim.context.port,
      SourceNode: swim.context.name,
      Filters: filters.length === 0 ? null : filters,
      Flags: options.wantAck ? QUERY_FLAG_ACK : 0,
      RelayFactor: Math.min(Math.max(options.relayFactor ?? 0, 0), MAX_RELAY_FACTOR),
      Timeout: Math.round(timeoutMs * 1e6),
      Name: name,
      Payload: payload,
    }
  }

  /** @returns whether it was news that others should hear too */
  receive(message: SerfQuery): boolean {
    const { queryClock, name, runtime } = this.#context
    queryClock.witness(message.LTime)
    if (message.LTime < this.minTime || message.LTime < queryClock.time - QUERY_BUFFER_SLOTS) return false
    if (!this.#remember(message.LTime, message.ID)) return false
    const passOn = (message.Flags & QUERY_FLAG_NO_BROADCAST) === 0
    if (!filtersMatch(message.Filters ?? [], { name, tags: this.#modules.tags() })) return passOn
    runtime.count('consul.serf.queries')
    if ((message.Flags & QUERY_FLAG_ACK) !== 0) this.#reply(message, QUERY_FLAG_ACK, null)
    if (message.Name.startsWith(INTERNAL_PREFIX)) this.#answerInternal(message)
    else this.#deliver(message)
    return passOn
  }

  #remember(ltime: number, id: number): boolean {
    const index = ltime % QUERY_BUFFER_SLOTS
    const slot = this.#slots[index]
    if (slot?.ltime !== ltime) {
      this.#slots[index] = { ltime, ids: new Set([id]) }
      return true
    }
    if (slot.ids.has(id) || slot.ids.size >= MAX_QUERIES_PER_SLOT) return false
    slot.ids.add(id)
    return true
  }

  #answerInternal(message: SerfQuery): void {
    const payload = message.Payload ?? NO_BYTES
    const fits = (answer: Buffer) => this.#response(message, 0, answer).length <= MAX_QUERY_RESPONSE_BYTES
    const answer = this.#modules.answerInternal(message.Name.slice(INTERNAL_PREFIX.length), payload, fits)
    if (answer) this.#reply(message, 0, answer)
  }

  #deliver(message: SerfQuery): void {
    if (this.#incoming.size >= MAX_OPEN_QUERIES) return
    const id = this.#nextIncoming++
    const { runtime } = this.#context
    const expiry = runtime.after(message.Timeout / 1e6, () => this.#incoming.delete(id))
    this.#incoming.set(id, { message, expiry })
    const { Name: name, LTime: ltime, SourceNode: from } = message
    const payload = Buffer.from(message.Payload ?? NO_BYTES)
    runtime.emit({ kind: 'event', event: { type: 'query', name, payload, ltime, from, id } })
  }

  /** Answers a query that was delivered as an event; too late or twice does nothing. */
  respond(id: number, payload: Buffer): void {
    const incoming = this.#incoming.get(id)
    if (!incoming) return
    if (this.#response(incoming.message, 0, payload).length > MAX_QUERY_RESPONSE_BYTES) {
      throw gossipError('GOSSIP_QUERY_TOO_LARGE', { limit: MAX_QUERY_RESPONSE_BYTES })
    }
    incoming.expiry.cancel()
    this.#incoming.delete(id)
    this.#reply(incoming.message, 0, payload)
  }

  #response({ LTime, ID }: SerfQuery, flags: number, payload: Buffer | null): Buffer {
    const response = { LTime, ID, From: this.#context.name, Flags: flags, Payload: payload }
    return encodeSerf(SERF_MESSAGE.queryResponse, SerfQueryResponse, response)
  }

  #reply(query: SerfQuery, flags: number, payload: Buffer | null): void {
    const address = bytesToIp(query.Addr ?? NO_BYTES)
    if (address === undefined) return
    if (query.SourceNode === this.#context.name) {
      this.response({ LTime: query.LTime, ID: query.ID, From: this.#context.name, Flags: flags, Payload: payload })
      return
    }
    const to = { name: query.SourceNode, address, port: query.Port }
    const response = this.#response(query, flags, payload)
    this.#sendUser(to, response)
    this.#relay(query.RelayFactor, to, response)
  }

  #relay(factor: number, to: Destination, response: Buffer): void {
    const { nodes } = this.#context.swim.context
    if (factor === 0 || nodes.liveCount() < factor + 1) return
    const header = { DestAddr: { IP: ipToBytes(to.address) ?? null, Port: to.port, Zone: '' }, DestName: to.name }
    const relay = Buffer.concat([encodeSerf(SERF_MESSAGE.relay, RelayHeader, header), response])
    const helpers = nodes.pick(Math.min(factor, MAX_RELAY_FACTOR), (node) => {
      const suitable = node.name !== this.#context.name && node.name !== to.name
      return suitable && node.state === 'alive' && (node.versions[1] ?? 0) >= RELAY_VERSION
    })
    for (const helper of helpers) this.#sendUser(helper, relay)
  }

  #sendUser(to: Destination, serfMessage: Buffer): void {
    const crc = this.#context.swim.context.nodes.get(to.name) !== undefined
    this.#context.swim.sender.send(to, Buffer.concat([Buffer.from([MESSAGE.user]), serfMessage]), { crc })
  }

  /** Passes an answer on for someone. */
  relayed(body: Buffer): void {
    const { header, inner } = splitRelay(body)
    const address = bytesToIp(header.DestAddr.IP ?? NO_BYTES)
    if (address !== undefined) this.#sendUser({ name: header.DestName, address, port: header.DestAddr.Port }, inner)
  }

  /** An answer to a query of ours. */
  response(message: SerfQueryResponse): void {
    const asked = this.#asked.get(`${message.LTime}/${message.ID}`)
    if (!asked) return
    if ((message.Flags & QUERY_FLAG_ACK) !== 0) asked.acks.add(message.From)
    else if (!asked.responses.has(message.From)) {
      asked.responses.set(message.From, Buffer.from(message.Payload ?? NO_BYTES))
    }
    // In a step of its own: our own answer arrives while the question is still being asked.
    if (asked.responses.size >= asked.enough) this.#context.runtime.after(0, asked.finish)
  }
}
