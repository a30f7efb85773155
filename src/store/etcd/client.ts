/**
 * Calls to etcd's members: one after the other is asked until one answers, within a time that the caller sets.
 *
 * Every call that goes through here may be sent twice: reads change nothing, and writes carry comparisons by which a
 * second sending has no effect (see commits.ts). So an answer that was lost is asked for again, and callers never have
 * to wonder which member is alive.
 *
 * The first answer says which etcd it is. A member of another one, or one that has gone back to an older state, is passed
 * over; where all are such, the call fails with STORE_OTHER_ETCD.
 */
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { type Clock, codeOf, messageOf, sleep } from '#base'
import type { ProtobufMessage } from '#codec'
import { storeError } from '../errors.ts'
import { type EtcdHeader, type EtcdMethod, status as statusMethod } from './methods.ts'

/** How long one member is given for an answer, before the next is asked; doubled from attempt to attempt. */
const ATTEMPT_MS = 2_000
/** Between two attempts; the first comes at once when there is another member to ask. */
const RETRY_MS = 50
const MAX_RETRY_MS = 500
/** How long a member may take to say whether it leads. */
const LEADER_MS = 1_000
/** The largest answer: a page of records, or what a watch has to catch up with. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024

/** PEM texts for mutual TLS with etcd. */
export interface EtcdIdentity {
  /** Undefined: the CAs that the system trusts. */
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  /** The name that the members' certificates must have; undefined: that of the endpoint's host. */
  readonly serverName?: string
}

export interface EtcdClientOptions {
  /** "https://10.0.0.1:2379", or "http://…" where no identity is given; the nearest first. */
  readonly endpoints: readonly string[]
  /** What it returns is used for new connections. */
  readonly identity: () => EtcdIdentity | undefined
  readonly clock: Clock
}

export interface CallLimits {
  /** How long all attempts together may take, in milliseconds. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** It must not be sent twice: one member is asked, once. */
  readonly once?: boolean
}

/** One member of etcd, as it is reached. */
interface Member {
  readonly endpoint: string
  client: Client | undefined
  identity: EtcdIdentity | undefined
}

/** Answers that another attempt, or another member, may change. */
const RETRIED: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
  status.ABORTED,
])

export class EtcdClient {
  readonly #options: EtcdClientOptions
  #members: readonly Member[]
  #current = 0
  /** The one that led when it was last asked. */
  #leader: Member | undefined
  #closed = false
  /** The etcd that was reached first, and a revision that it has reached. */
  #cluster: bigint | undefined
  #revision = 0

  constructor(options: EtcdClientOptions) {
    this.#options = options
    this.#members = options.endpoints.map(memberOf)
  }

  /** For errors: which etcd it is. */
  get place(): string {
    return this.#members.map(({ endpoint }) => endpoint).join(',')
  }

  /** Replaces the members that are asked. Calls that are under way finish where they are. */
  useEndpoints(endpoints: readonly string[]): void {
    if (endpoints.join() === this.#members.map(({ endpoint }) => endpoint).join()) return
    const known = new Map(this.#members.map((member) => [member.endpoint, member]))
    const current = this.#members[this.#current]?.endpoint
    this.#members = endpoints.map((endpoint) => known.get(endpoint) ?? memberOf(endpoint))
    this.#current = Math.max(0, endpoints.indexOf(current ?? ''))
    this.#leader = this.#members.find((member) => member === this.#leader)
    for (const [endpoint, member] of known) if (!endpoints.includes(endpoint)) member.client?.close()
  }

  /**
   * Asks until a member answers.
   *
   * @throws STORE_UNREACHABLE when none did in time, STORE_OTHER_ETCD, STORE_FULL, STORE_REFUSED, STORE_CLOSED; the reason of the signal
   */
  async call<Q, R>(method: EtcdMethod<Q, R>, request: Q, { timeoutMs, signal, once = false }: CallLimits): Promise<R> {
    const { clock } = this.#options
    const deadline = clock.nowMs() + timeoutMs
    let others = 0
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      if (this.#closed) throw storeError('STORE_CLOSED', { path: this.place })
      const leftMs = deadline - clock.nowMs()
      const member = (method.byLeader && this.#leader) || this.#member()
      try {
        return await this.#once(member, method, request, Math.min(leftMs, ATTEMPT_MS * 2 ** attempt), signal)
      } catch (error) {
        const other = codeOf(error) === 'STORE_OTHER_ETCD'
        if (!other && !isServiceError(error)) throw error
        if (isServiceError(error) && (!isRetried(error) || signal?.aborted)) throw this.#refused(error, attempt > 0)
        this.#avoid(member)
        if (other && ++others >= this.#members.length) throw error
        const round = Math.floor((attempt + 1) / this.#members.length)
        const pauseMs = round === 0 ? 0 : Math.min(RETRY_MS * 2 ** (round - 1), MAX_RETRY_MS)
        if (once || clock.nowMs() + pauseMs >= deadline) throw other ? error : this.#unreachable(error)
        await sleep(clock, pauseMs, signal)
      }
    }
  }

  /** Asks all members which of them leads; what goes to the leader goes there from then on, until it fails. */
  async findLeader(): Promise<void> {
    if (this.#closed) return
    const asked = this.#members.map(async (member) => {
      const { header, leader } = await this.#once(member, statusMethod, {}, LEADER_MS)
      return header?.cluster === this.#cluster && header?.member === leader ? member : undefined
    })
    const answers = await Promise.allSettled(asked)
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' && answer.value ? [answer.value] : []))
    // Two say so while one of them has not heard of the other yet.
    this.#leader = found.length === 1 ? this.#members.find((member) => member === found[0]) : undefined
  }

  /** Takes note of a revision at which etcd certainly was the one that is followed. */
  saw(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
  }

  /** Throws where an answer is not from the etcd that was reached first. @param least - what it must have reached */
  check({ cluster, revision }: EtcdHeader, least = 0): void {
    this.#cluster ??= cluster
    if (cluster !== this.#cluster) {
      const reason = `it is cluster ${cluster.toString(16)}, not ${this.#cluster.toString(16)}`
      throw storeError('STORE_OTHER_ETCD', { path: this.place, reason })
    }
    if (revision < least) {
      const reason = `it is at revision ${revision}, and was at ${least} before`
      throw storeError('STORE_OTHER_ETCD', { path: this.place, reason })
    }
  }

  /** Opens a stream at the member that answered last. Whoever has it ends it, and calls `avoid()` when it broke. */
  stream<Q, R>(method: EtcdMethod<Q, R>): { stream: ClientDuplexStream<Q, R>; avoid: () => void } {
    if (this.#closed) throw storeError('STORE_CLOSED', { path: this.place })
    const member = this.#member()
    const { path, encode, decode } = wire(method)
    const stream = this.#connected(member).makeBidiStreamRequest(path, encode, decode, requireLeader())
    return { stream, avoid: () => this.#avoid(member) }
  }

  #member(): Member {
    const member = this.#members[this.#current]
    if (member === undefined) throw storeError('STORE_UNREACHABLE', { path: '', reason: 'no member is known' })
    return member
  }

  #avoid(member: Member): void {
    if (member === this.#leader) this.#leader = undefined
    const at = this.#members.indexOf(member)
    if (at === this.#current) this.#current = (at + 1) % this.#members.length
  }

  /** A new connection where there is none, or where the identity has changed since. */
  #connected(member: Member): Client {
    const identity = this.#options.identity()
    if (member.client !== undefined && member.identity === identity) return member.client
    const outdated = member.client
    member.identity = identity
    member.client = connect(member.endpoint, identity)
    // Streams and calls that run on the old connection finish first.
    outdated?.close()
    return member.client
  }

  #once<Q, R>(member: Member, method: EtcdMethod<Q, R>, request: Q, timeoutMs: number, signal?: AbortSignal) {
    const { path, encode, decode } = wire(method)
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    // Everything that was seen before this is sent must be in its answer.
    const least = this.#revision
    const options = { deadline: this.#options.clock.wallMs() + Math.max(1, timeoutMs) }
    const done = (error: ServiceError | null, reply?: R) => {
      if (error) reject(error)
      else if (reply === undefined) reject(new Error('etcd answered nothing'))
      else {
        try {
          const header = method.newest?.(reply)
          if (header) this.check(header, least)
          resolve(reply)
        } catch (other) {
          reject(other)
        }
      }
    }
    const client = this.#connected(member)
    const call = withoutStack(() =>
      client.makeUnaryRequest(path, encode, decode, request, new Metadata(), options, done),
    )
    const cancel = () => call.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    return promise.finally(() => signal?.removeEventListener('abort', cancel))
  }

  #unreachable(error: unknown): Error {
    const reason = isServiceError(error) && error.details ? error.details : messageOf(error)
    return storeError('STORE_UNREACHABLE', { path: this.place, reason }, error)
  }

  /** @param triedBefore - whether it was sent before, and may have happened then */
  #refused(error: ServiceError, triedBefore: boolean): Error {
    const facts = { path: this.place, reason: error.details || error.message }
    if (error.code === status.RESOURCE_EXHAUSTED && /space/.test(facts.reason)) {
      return storeError(triedBefore ? 'STORE_UNREACHABLE' : 'STORE_FULL', facts, error)
    }
    return storeError('STORE_REFUSED', facts, error)
  }

  close(): void {
    this.#closed = true
    for (const { client } of this.#members) client?.close()
  }
}

function isRetried({ code, details }: ServiceError): boolean {
  // One that is behind with what it has agreed on asks to wait.
  return RETRIED.has(code) || (code === status.RESOURCE_EXHAUSTED && /too many requests/.test(details))
}

function memberOf(endpoint: string): Member {
  return { endpoint, client: undefined, identity: undefined }
}

function connect(endpoint: string, identity: EtcdIdentity | undefined): Client {
  const { host, protocol } = new URL(endpoint)
  const options: ClientOptions = {
    'grpc.max_receive_message_length': MAX_REPLY_BYTES,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // etcd refuses more than one ping in five seconds.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.service_config_disable_resolution': 1,
    // Its environment variables are for HTTP proxies on the way to the internet.
    'grpc.enable_http_proxy': 0,
    ...(identity?.serverName ? { 'grpc.ssl_target_name_override': identity.serverName } : {}),
  }
  return new Client(host, credentialsFor(protocol, identity), options)
}

function credentialsFor(protocol: string, identity: EtcdIdentity | undefined): ChannelCredentials {
  if (protocol !== 'https:') return ChannelCredentials.createInsecure()
  return credentials.createSsl(identity?.ca ?? null, identity?.key ?? null, identity?.cert ?? null)
}

/** A member that has lost its leader ends the stream, instead of keeping silent. */
function requireLeader(): Metadata {
  const metadata = new Metadata()
  metadata.set('hasleader', 'true')
  return metadata
}

/** The library takes a picture of the stack for each call, a tenth of its cost; its errors say what failed without it. */
function withoutStack<T>(begin: () => T): T {
  const frames = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return begin()
  } finally {
    Error.stackTraceLimit = frames
  }
}

function wire<Q, R>({ path, request, reply }: EtcdMethod<Q, R>) {
  return {
    path,
    encode: (value: Q) => encodeWith(request, value),
    decode: (bytes: Buffer) => reply.decode(bytes),
  }
}

function encodeWith<Q>(message: ProtobufMessage<Q>, value: Q): Buffer {
  return message.encode(value)
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error
}
