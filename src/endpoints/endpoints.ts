/**
 * The one way in for every operation: where it runs, how consistent and how fresh its answer is, who may ask.
 *
 * In this order: decode (from the wire) → route (here, or forwarded to another datacenter) → authorize → barrier for
 * consistent reads → answer, waiting for a change if asked to → facts about the answer. Nothing else in Hanse does
 * any of these steps.
 *
 * Source: RPC wire notes §6 to §9.
 */
import { type Clock, codeOf, type Logger, type Metrics, messageOf, type Random } from '#base'
import { decode, encode, type QueryMeta } from '#codec'
import { UnknownMethodError } from '#net'
import type { ReadTx, State } from '#state'
import { type AclPort, NO_ACLS } from './acl-port.ts'
import {
  datacenterOf,
  type Judged,
  judgedBy,
  type Placed,
  remoteCode,
  serviceOf,
  tokenOf,
  withToken,
} from './addressing.ts'
import { distancesFrom } from './distances.ts'
import { endpointError } from './errors.ts'
import { type Forwarded, Forwarder } from './forwarder.ts'
import { ALWAYS_FRESH, type Contact, catchUp, contactOf, freshEnough, stamped } from './freshness.ts'
import { LIVE_LIMITS, type LiveAnswer, LiveAnswers, type LiveLimits, type Question } from './live-answers.ts'
import type {
  AnyOperation,
  CallContext,
  CallOperation,
  ReadArgs,
  ReadContext,
  ReadOperation,
  RoutedArgs,
  Scope,
} from './operation.ts'
import { allOperations } from './operations.ts'
import type { Ports, Router } from './ports.ts'
import { askerOf, questionKey } from './question-key.ts'
import { ALL_RIGHTS, type Facts, type Rights } from './rights.ts'
import { DEFAULT_MIN_TTL_MS } from './session.ts'
import { Snapshots } from './snapshots.ts'
import { TokenResolver } from './token-resolver.ts'
import { cappedWaitMs, DEFAULT_WAITS, WAIT_JITTER_FRACTION, type Waits } from './waits.ts'

/** Longest time for the leader's answer, the wait for an election included. */
const LEADER_TIMEOUT_MS = 20_000

export interface EndpointsOptions {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly state: State
  readonly router: Router
  readonly ports: Ports
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
  readonly limits?: Partial<LiveLimits>
  /** The shortest TTL that a session may have. */
  readonly minSessionTtlMs?: number
  /** `default_query_time`, `max_query_time`, `limits.rpc_client_timeout`. */
  readonly waits?: Waits
  /** Access control; without it everyone may do everything. */
  readonly acl?: AclPort
  /** Operations that other parts bring, beside those of this folder. */
  readonly operations?: readonly AnyOperation[]
}

export interface CallOptions {
  /** Ends the call with its caller. */
  readonly signal?: AbortSignal | undefined
  /** The server asks for itself: it may do everything here. Elsewhere only `Token` counts. */
  readonly internal?: boolean
  /** Who asks, where the arguments do not say it. */
  readonly token?: string
}

export class Endpoints {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly #options: EndpointsOptions
  readonly acl: AclPort
  readonly snapshots: Snapshots
  readonly #tokens: TokenResolver
  readonly #forwarder: Forwarder
  readonly #waits: Waits
  readonly #facts: Facts
  readonly #answers: LiveAnswers
  readonly #readContext: ReadContext
  /** What can be called by its name, and the services (the part before the dot) that these belong to. */
  readonly #operations: ReadonlyMap<string, AnyOperation>
  readonly #services: ReadonlySet<string>

  constructor(options: EndpointsOptions) {
    this.datacenter = options.datacenter
    this.primaryDatacenter = options.primaryDatacenter
    this.#options = options
    this.acl = options.acl ?? NO_ACLS
    this.#facts = { acl: this.acl, look: (query) => options.state.read(query).value }
    this.#waits = options.waits ?? DEFAULT_WAITS
    this.#forwarder = new Forwarder(options.router, this.#waits)
    this.#tokens = new TokenResolver({
      ...options,
      acl: this.acl,
      askPrimary: (secret) => this.#forwarder.askAboutToken(secret, options.primaryDatacenter),
    })
    this.snapshots = new Snapshots({
      ...options,
      log: options.log.named('snapshot'),
      directory: options.ports.spoolDirectory,
      rightsOf: (token) => this.rightsOf(token),
      forwarded: (token) => this.#tokens.forwarded(token),
    })
    this.#answers = new LiveAnswers({ ...options, limits: { ...LIVE_LIMITS, ...options.limits } })
    const served = [...allOperations, ...(options.operations ?? [])]
    this.#operations = new Map(served.map((each) => [each.name, each]))
    this.#services = new Set(served.map(({ name }) => serviceOf(name)))
    const { datacenter, primaryDatacenter, state, clock } = options
    this.#readContext = {
      datacenter,
      primaryDatacenter,
      wallMs: () => clock.wallMs(),
      distancesFrom: (source) => distancesFrom(state, datacenter, source),
    }
  }

  /**
   * Does an operation where it belongs and gives its reply. A read with `MinQueryIndex` waits for a higher index.
   *
   * @throws HanseError of the operation; REMOTE_ERROR with the other datacenter's text; NO_PATH_TO_DATACENTER,
   *   DATACENTER_UNREACHABLE, TOO_MANY_WAITERS, REQUEST_CANCELLED
   */
  call<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    options?: CallOptions,
  ): Promise<R>
  call<A extends RoutedArgs, R>(operation: CallOperation<A, R>, args: A, options?: CallOptions): Promise<R>
  call(operation: AnyOperation, args: RoutedArgs, options: CallOptions = {}): Promise<unknown> {
    // The overloads pair a read with a read's arguments.
    const asked = withToken(args, options.token)
    if (operation.access === 'read') return this.#callRead(operation, asked as ReadArgs, options)
    return this.#callOther(operation, asked, options)
  }

  /**
   * The shared answer to a read of this datacenter; `MinQueryIndex` is left to its `next()`.
   *
   * @returns undefined where the answer cannot be shared (another datacenter, a read that must be fresher than what is
   *   here, one sorted by distance) or the primary has to say who asks: use call()
   * @throws HanseError of the operation
   */
  live<A extends ReadArgs, R extends QueryMeta>(operation: ReadOperation<A, R>, args: A): LiveAnswer<R> | undefined {
    if (!this.fresh(args) || askerOf(args) !== '' || this.#elsewhere(operation, args) !== undefined) return undefined
    const rights = this.#tokens.now(judgedBy(operation, args))
    if (rights === undefined) return undefined
    operation.authorize?.(args, rights, this.#facts)
    return this.#answers.get(this.#question(operation, args, rights))
  }

  /** Whether an operation changes something, by its name on the wire. */
  isWrite(method: string): boolean {
    return this.#operations.get(method)?.access === 'write'
  }

  /** Whether what is here may answer such a read, without asking the store. */
  fresh(args: Pick<ReadArgs, 'RequireConsistent' | 'AllowStale' | 'MaxStaleDuration'>): boolean {
    return freshEnough(this.#options.ports.freshness, args)
  }

  /** What an answer of this moment says of its freshness. */
  contact(): Contact {
    return contactOf(this.#options.ports.freshness)
  }

  /**
   * Who bears a token, for parts that decide themselves (an agent's own services).
   *
   * @throws HanseError ACL_NOT_FOUND
   */
  rightsOf(token: string): Rights | Promise<Rights> {
    return this.#tokens.resolve(token)
  }

  /**
   * Calls back once when the rights of a token may have become others, or none, since rightsOf() told them.
   *
   * @returns cancels
   */
  onRightsChange(token: string, callback: () => void): () => void {
    return this.#tokens.onChange(token, callback)
  }

  /**
   * One call from the wire: encoded arguments → encoded reply.
   *
   * @param context.remote - who calls, for the log
   * @throws UnknownMethodError and codec errors, after which the stream is to be closed; otherwise the operation's
   *   error, whose message travels as it is
   */
  async handle(
    method: string,
    body: Buffer,
    context: { signal?: AbortSignal | undefined; remote: string },
  ): Promise<Buffer> {
    const operation = this.#operations.get(method)
    if (operation === undefined) {
      throw new UnknownMethodError(method, this.#services.has(serviceOf(method)) ? 'method' : 'service')
    }
    this.#options.metrics.count('consul.rpc.request')
    try {
      return operation.access === 'read'
        ? await this.#handleRead(operation, decode(operation.args, body), context)
        : await this.#handleOther(operation, decode(operation.args, body), context)
    } catch (error) {
      this.#options.log.debug('RPC call failed', { method, from: context.remote, error: messageOf(error) })
      throw error
    }
  }

  async #callRead<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    options: CallOptions,
  ): Promise<R> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) {
      return decode(operation.reply, await this.#forward(operation, args, target, options.signal))
    }
    return stamped((await this.#answer(operation, args, options)).reply, this.contact())
  }

  async #callOther<A extends RoutedArgs, R>(operation: CallOperation<A, R>, args: A, options: CallOptions): Promise<R> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) {
      return decode(operation.reply, await this.#forward(operation, args, target, options.signal))
    }
    const leaders = this.#onLeader(operation, options)
    if (leaders) return decode(operation.reply, await leaders(encode(operation.args, args)))
    return this.#run(operation, args, options)
  }

  /** What has the leader do it, where only that can and we are not it. */
  #onLeader(
    { name, onLeader }: Pick<AnyOperation, 'name' | 'onLeader'>,
    options: CallOptions,
  ): ((body: Buffer) => Promise<Buffer>) | undefined {
    const { servers } = this.#options.ports
    if (!onLeader || !servers || servers.leading) return undefined
    return async (body) => {
      const { signal } = options
      try {
        return await servers.askLeader(name, body, { timeoutMs: LEADER_TIMEOUT_MS, ...(signal && { signal }) })
      } catch (error) {
        if (codeOf(error) !== 'RPC_REMOTE') throw error
        const text = messageOf(error)
        throw endpointError(remoteCode(text), { text }, error)
      }
    }
  }

  async #handleRead<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    options: CallOptions,
  ): Promise<Buffer> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) return this.#forward(operation, args, target, options.signal)
    const answer = await this.#answer(operation, args, { signal: options.signal })
    const contact = this.contact()
    if (contact !== ALWAYS_FRESH) return encode(operation.reply, stamped(answer.reply, contact))
    return answer.bytes('msgpack', (reply) => encode(operation.reply, reply))
  }

  async #handleOther<A extends RoutedArgs, R>(
    operation: CallOperation<A, R>,
    args: A,
    options: CallOptions,
  ): Promise<Buffer> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) {
      this.#refuseAsPrimary(operation, args)
      return this.#forward(operation, args, target, options.signal)
    }
    const leaders = this.#onLeader(operation, options)
    if (leaders) return leaders(encode(operation.args, args))
    return encode(operation.reply, await this.#run(operation, args, { signal: options.signal }))
  }

  async #run<A extends RoutedArgs, R>(operation: CallOperation<A, R>, args: A, options: CallOptions): Promise<R> {
    const known = this.#rights(operation, args, options)
    const rights = known instanceof Promise ? await known : known
    operation.authorize?.(args, rights, this.#facts)
    return operation.run(this.#callContext(options, rights), args)
  }

  /** Who asks. @throws HanseError ACL_NOT_FOUND */
  #rights<A extends RoutedArgs>(operation: Judged<A>, args: A, { internal }: CallOptions): Rights | Promise<Rights> {
    return internal ? ALL_RIGHTS : this.#tokens.resolve(judgedBy(operation, args))
  }

  #forward<A extends RoutedArgs>(
    operation: Forwarded<A>,
    args: A,
    datacenter: string,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const seen = 'Token' in args ? { ...args, Token: this.#tokens.forwarded(tokenOf(args)) } : args
    return this.#forwarder.forward(operation, seen, datacenter, signal)
  }

  /** The datacenter that has to do it, if it is not this one. */
  #elsewhere<A extends RoutedArgs>(operation: Placed<A>, args: A): string | undefined {
    const { scope, route } = operation
    if (scope === 'here') return undefined
    const named = route === undefined ? datacenterOf(args) : route.get(args)
    const wanted = scope === 'primary' ? this.primaryDatacenter : named
    if (wanted !== '' && wanted !== this.datacenter) return wanted
    if (this.datacenter === this.primaryDatacenter || !operation.inPrimary?.(args, this.#facts)) return undefined
    return this.primaryDatacenter
  }

  /** Whoever sends us what belongs to the primary takes us for it; passed on, it could go round for ever. */
  #refuseAsPrimary({ name, scope }: { readonly name: string; readonly scope: Scope }, args: object): void {
    if (scope !== 'primary' || datacenterOf(args) !== this.datacenter) return
    const { datacenter, primaryDatacenter } = this
    throw endpointError('NOT_PRIMARY', { operation: name, datacenter, primaryDatacenter })
  }

  async #answer<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    options: CallOptions,
  ): Promise<LiveAnswer<R>> {
    const known = this.#rights(operation, args, options)
    const rights = known instanceof Promise ? await known : known
    operation.authorize?.(args, rights, this.#facts)
    const question = this.#question(operation, args, rights)
    if (!this.fresh(args)) {
      const { state, clock, ports } = this.#options
      await catchUp({ state, clock, freshness: ports.freshness }, args)
    }
    const now = this.#answers.get(question)
    this.#options.metrics.count('consul.rpc.query')
    if (args.MinQueryIndex === 0 || now.index > args.MinQueryIndex) return now
    const timeoutMs = this.waitMs(args.MaxQueryTime)
    const next = await this.#answers.next(question, args.MinQueryIndex, { timeoutMs, signal: options.signal })
    return this.#checkedAgain(operation, args, next, rights, options)
  }

  /** What the caller may see can have become less while it waited. */
  async #checkedAgain<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    answer: LiveAnswer<R>,
    before: Rights,
    options: CallOptions,
  ): Promise<LiveAnswer<R>> {
    const rights = await this.#rights(operation, args, options)
    if (rights === before) return answer
    operation.authorize?.(args, rights, this.#facts)
    return rights.key === before.key ? answer : this.#answers.get(this.#question(operation, args, rights))
  }

  /**
   * How long someone waits for a change, without jitter.
   *
   * @param maxQueryTimeNs - as asked for; 0 for the default
   */
  cappedWaitMs(maxQueryTimeNs: number): number {
    return cappedWaitMs(this.#waits, maxQueryTimeNs)
  }

  /** The same, stretched by chance, so that many do not end together. */
  waitMs(maxQueryTimeNs: number): number {
    const askedMs = this.cappedWaitMs(maxQueryTimeNs)
    return askedMs + this.#options.random.float() * askedMs * WAIT_JITTER_FRACTION
  }

  #question<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    rights: Rights,
  ): Question<R> {
    operation.check?.(args)
    const { state } = this.#options
    const key = questionKey(operation, args)
    const answer = (tx: ReadTx): R => {
      const reply = operation.query(tx, args, this.#readContext)
      if (rights === ALL_RIGHTS || operation.filter === undefined) return reply
      const kept = operation.filter(reply, rights, args)
      return kept.filtered ? { ...kept.reply, ResultsFilteredByACLs: rights.authenticated } : kept.reply
    }
    return {
      // Those with equal rights share an answer, everyone where nothing depends on them.
      key: operation.filter === undefined || rights.key === '' ? key : `${key} ${rights.key}`,
      operation: operation.name,
      volatile: askerOf(args) !== '',
      run: () => state.read(answer),
    }
  }

  #callContext(options: CallOptions, rights: Rights): CallContext {
    const { state, router, ports, clock, random, log, minSessionTtlMs = DEFAULT_MIN_TTL_MS } = this.#options
    const signal = () => options.signal
    const ask: CallContext['ask'] = (wire, args, to) => this.#forwarder.ask(wire, args, to, options.signal)
    const acl = this.acl
    return { ...this.#readContext, state, router, ports, clock, random, log, minSessionTtlMs, rights, acl, signal, ask }
  }
}
