/**
 * Gossip as the main thread sees it: starts the thread, mirrors the members, sends requests, carries WAN bytes.
 */
import type { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { messageOf, silentLogger } from '#base'
import type { Gossip, GossipOptions, PoolName, WanCarrier } from './api.ts'
import { gossipError } from './errors.ts'
import { PoolMirror } from './pool-mirror.ts'
import {
  type FromThread,
  fromErrorMessage,
  ownBytes,
  type PoolReply,
  type PoolRequest,
  type ThreadOptions,
  type ToThread,
  toBuffer,
} from './thread-messages.ts'
import { WanStreams } from './wan-streams.ts'

/** Most requests that wait for the thread; further ones are refused. */
export const MAX_PENDING_REQUESTS = 10_000

/**
 * Starts gossip in a thread of its own and waits until its ports are bound.
 *
 * @throws HanseError GOSSIP_BIND, GOSSIP_ADVERTISE, GOSSIP_KEY, GOSSIP_KEYRING_FILE, GOSSIP_TAGS_TOO_LONG
 */
export async function startGossip(options: GossipOptions): Promise<Gossip> {
  const client = new ThreadClient(options)
  return client.start()
}

/** The thread makes little garbage; without a limit the runtime sets aside several times as much memory for it. */
const YOUNG_GENERATION_MB = 3

interface Pending {
  resolve(reply: PoolReply): void
  reject(error: Error): void
}

class ThreadClient {
  readonly #options: GossipOptions
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #mirrors = new Map<PoolName, PoolMirror>()
  readonly #streams: WanStreams
  readonly #carrier: WanCarrier | undefined
  #nextId = 1
  #stopped: string | undefined
  #onStopped: () => void = () => {}
  #stopping = false
  readonly #ended = Promise.withResolvers<string | undefined>()

  constructor(options: GossipOptions) {
    this.#options = options
    this.#carrier = options.wan?.carrier
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), {
      workerData: threadOptions(options),
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    })
    this.#streams = new WanStreams((message) => this.#post(message), this.#carrier)
  }

  start(): Promise<Gossip> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromThread) => {
        if (message.kind === 'ready') resolve(this.#ready(message))
        else if (message.kind === 'startFailed') reject(fromErrorMessage(message.error))
        else this.#receive(message)
      })
      this.#worker.on('error', (thrown) => {
        this.#fail(messageOf(thrown))
        reject(thrown)
      })
      this.#worker.on('exit', () => this.#fail('its thread has ended'))
    })
  }

  #ready(message: FromThread & { kind: 'ready' }): Gossip {
    const mirror = (name: PoolName, facts: typeof message.lan) => {
      const made = new PoolMirror(name, facts, (request) => this.#call(name, request))
      this.#mirrors.set(name, made)
      return made
    }
    const lan = mirror('lan', message.lan)
    const wan = message.wan && mirror('wan', message.wan)
    this.#readyYet = true
    for (const early of this.#early.splice(0)) this.#receive(early)
    return {
      lan,
      wan,
      receiveWanPacket: (bytes) => this.#post({ kind: 'wanPacket', bytes: ownBytes(bytes) }),
      acceptWanStream: (stream: Duplex) => this.#streams.accept(stream),
      ended: this.#ended.promise,
      shutdown: () => this.#shutdown(),
    }
  }

  // The pools' first members arrive before `ready` does.
  readonly #early: FromThread[] = []
  #readyYet = false

  #receive(message: FromThread): void {
    if (!this.#readyYet && (message.kind === 'members' || message.kind === 'event' || message.kind === 'coordinates')) {
      this.#early.push(message)
      return
    }
    switch (message.kind) {
      case 'reply':
        this.#pending.get(message.id)?.resolve(message.reply)
        this.#pending.delete(message.id)
        return
      case 'refused':
        this.#pending.get(message.id)?.reject(fromErrorMessage(message.error))
        this.#pending.delete(message.id)
        return
      case 'members':
        this.#mirrors.get(message.pool)?.update(message.changed, message.removed)
        return
      case 'coordinates':
        this.#mirrors.get(message.pool)?.updateCoordinates(message.entries)
        return
      case 'event':
        this.#mirrors.get(message.pool)?.emit(message.event)
        return
      case 'log': {
        const log = this.#options.log ?? silentLogger
        log.named(`serf.${message.pool}`)[message.level](message.message, message.fields)
        return
      }
      case 'counts':
        for (const [metric, by] of message.entries) this.#options.metrics?.count(metric, by)
        return
      case 'carryPacket':
        this.#carrier?.sendPacket(message.node, message.datacenter, toBuffer(message.bytes))
        return
      case 'streamDial':
        return void this.#streams.dial(message.stream, message.node, message.datacenter)
      case 'streamData':
      case 'streamEnd':
      case 'streamClose':
        this.#streams.receive(message)
        return
      case 'stopped':
        this.#onStopped()
        return
    }
  }

  #call(pool: PoolName, request: PoolRequest): Promise<PoolReply> {
    return new Promise((resolve, reject) => {
      const reason = this.#pending.size >= MAX_PENDING_REQUESTS ? 'too many requests wait' : this.#stopped
      if (reason !== undefined) return reject(gossipError('GOSSIP_STOPPED', { reason }))
      const id = this.#nextId++
      this.#pending.set(id, { resolve, reject })
      this.#post({ kind: 'request', id, pool, request })
    })
  }

  #post(message: ToThread): void {
    if (this.#stopped === undefined) this.#worker.postMessage(message)
  }

  async #shutdown(): Promise<void> {
    if (this.#stopping || this.#stopped !== undefined) {
      await this.#ended.promise
      return
    }
    this.#stopping = true
    const stopped = new Promise<void>((resolve) => {
      this.#onStopped = resolve
      this.#worker.once('exit', () => resolve())
    })
    this.#post({ kind: 'shutdown' })
    await stopped
    this.#fail('it was shut down')
    await this.#worker.terminate()
  }

  #fail(reason: string): void {
    this.#stopped ??= reason
    this.#ended.resolve(this.#stopping ? undefined : reason)
    this.#streams.closeAll()
    for (const { reject } of this.#pending.values()) reject(gossipError('GOSSIP_STOPPED', { reason }))
    this.#pending.clear()
  }
}

function threadOptions(options: GossipOptions): ThreadOptions {
  const { nodeName, datacenter, nodeId, lan, wan, keyrings = {}, dataDir } = options
  const { disableKeyringFile = false, rejoinAfterLeave = false } = options
  const pools = { lan, wan: wan && wanThreadOptions(wan) }
  return { nodeName, datacenter, nodeId, ...pools, keyrings, dataDir, disableKeyringFile, rejoinAfterLeave }
}

/** The carrier stays on this side: functions do not cross threads. */
function wanThreadOptions({ carrier, ...pool }: NonNullable<GossipOptions['wan']>): ThreadOptions['wan'] {
  return { ...pool, carried: carrier !== undefined }
}
