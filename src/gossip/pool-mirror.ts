/**
 * A pool as the main thread holds it: the members as they were last reported, and requests to the thread.
 */
import type {
  GossipEvent,
  GossipPool,
  JoinResult,
  KeyOperations,
  KeyringResult,
  Member,
  PoolName,
  QueryOptions,
  QueryResult,
} from './api.ts'
import { type Coordinate, originCoordinate } from './coordinates.ts'
import type { CoreEvent } from './effects.ts'
import type { KeyOperation } from './key-queries.ts'
import { parseGossipKey } from './keyring.ts'
import {
  ownBytes,
  type PoolFacts,
  type PoolReplies,
  type PoolReply,
  type PoolRequest,
  toBuffer,
} from './thread-messages.ts'

type Call = (request: PoolRequest) => Promise<PoolReply>

export class PoolMirror implements GossipPool {
  readonly name: PoolName
  readonly localName: string
  readonly bindAddress: string
  readonly port: number
  readonly encrypted: boolean
  readonly keys: KeyOperations
  readonly #call: Call
  readonly #members = new Map<string, Member>()
  readonly #coordinates = new Map<string, Coordinate>()
  readonly #listeners = new Set<(event: GossipEvent) => void>()
  #sorted: readonly Member[] | undefined

  constructor(name: PoolName, facts: PoolFacts, call: Call) {
    this.name = name
    this.localName = facts.localName
    this.bindAddress = facts.bindAddress
    this.port = facts.port
    this.encrypted = facts.encrypted
    this.#call = call
    this.keys = {
      list: (options) => this.#keyOperation('list-keys', '', options),
      install: (key, options) => this.#keyOperation('install-key', key, options),
      use: (key, options) => this.#keyOperation('use-key', key, options),
      remove: (key, options) => this.#keyOperation('remove-key', key, options),
    }
  }

  members(): readonly Member[] {
    this.#sorted ??= Object.freeze([...this.#members.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
    return this.#sorted
  }

  update(changed: readonly Member[], removed: readonly string[]): void {
    for (const member of changed) this.#members.set(member.name, member)
    for (const name of removed) {
      this.#members.delete(name)
      this.#coordinates.delete(name)
    }
    this.#sorted = undefined
  }

  updateCoordinates(entries: readonly (readonly [string, Coordinate])[]): void {
    for (const [name, coordinate] of entries) this.#coordinates.set(name, coordinate)
  }

  emit(event: CoreEvent): void {
    const shown = this.#shown(event)
    for (const listener of this.#listeners) listener(shown)
  }

  /** Bytes crossed threads as plain arrays; queries get their way to answer. */
  #shown(event: CoreEvent): GossipEvent {
    if (event.type === 'user') return { ...event, payload: toBuffer(event.payload) }
    if (event.type !== 'query') return event
    const { type, name, payload, ltime, from, id } = event
    const respond = (answer: Buffer) => {
      // Too late or too large an answer is the thread's to drop; there is nobody here to tell.
      this.#call({ op: 'respond', query: id, payload: ownBytes(answer) }).catch(() => {})
    }
    return { type, name, payload: toBuffer(payload), ltime, from, respond }
  }

  on(listener: (event: GossipEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #ask<Op extends keyof PoolReplies>(request: PoolRequest & { op: Op }, op: Op): Promise<PoolReplies[Op]> {
    const reply = await this.#call(request)
    if (!isReplyTo(reply, op)) throw new TypeError(`gossip thread answered ${reply.op} to ${op}`)
    return reply.value
  }

  join(addresses: readonly string[], options?: { ignoreOld?: boolean }): Promise<JoinResult> {
    return this.#ask({ op: 'join', addresses, ignoreOld: options?.ignoreOld ?? false }, 'join')
  }

  async leave(): Promise<void> {
    await this.#ask({ op: 'leave' }, 'leave')
  }

  async forceLeave(name: string, options?: { prune?: boolean }): Promise<void> {
    await this.#ask({ op: 'forceLeave', name, prune: options?.prune ?? false }, 'forceLeave')
  }

  async setTags(tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask({ op: 'setTags', tags }, 'setTags')
  }

  async userEvent(name: string, payload: Buffer, coalesce: boolean): Promise<void> {
    await this.#ask({ op: 'userEvent', name, payload: ownBytes(payload), coalesce }, 'userEvent')
  }

  async query(name: string, payload: Buffer, options: QueryOptions = {}): Promise<QueryResult> {
    const { acks, responses } = await this.#ask({ op: 'query', name, payload: ownBytes(payload), options }, 'query')
    return { acks, responses: responses.map(({ from, payload }) => ({ from, payload: toBuffer(payload) })) }
  }

  async #keyOperation(
    operation: KeyOperation,
    key: string,
    options: { relayFactor?: number } = {},
  ): Promise<KeyringResult> {
    if (operation !== 'list-keys') parseGossipKey(key)
    return this.#ask({ op: 'keys', operation, key, relayFactor: options.relayFactor ?? 0 }, 'keys')
  }

  coordinate(): Coordinate {
    return this.#coordinates.get(this.localName) ?? originCoordinate()
  }

  coordinateOf(name: string): Coordinate | undefined {
    return name === this.localName ? this.coordinate() : this.#coordinates.get(name)
  }

  stats(): Promise<Readonly<Record<string, string>>> {
    return this.#ask({ op: 'stats' }, 'stats')
  }
}

function isReplyTo<Op extends keyof PoolReplies>(
  reply: PoolReply,
  op: Op,
): reply is PoolReply & { op: Op; value: PoolReplies[Op] } {
  return reply.op === op
}
