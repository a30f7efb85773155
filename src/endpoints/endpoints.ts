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
import { ACLTokenGetRequest, ACLTokenResponse, decode, encode, type QueryMeta, type Struct } from '#codec'
import { UnknownMethodError } from '#net'
import type { ReadTx, State } from '#state'
import { type AclPort, NO_ACLS } from './acl-port.ts'
import { distancesFrom } from './distances.ts'
import { endpointError } from './errors.ts'
import { LIVE_LIMITS, type LiveAnswer, LiveAnswers, type LiveLimits, type Question } from './live-answers.ts'
import type {
  AnyOperation,
  CallContext,
  CallOperation,
  ReadArgs,
  ReadContext,
  ReadOperation,
  Route,
  RoutedArgs,
  Scope,
  WireCall,
} from './operation.ts'
import { allOperations } from './operations.ts'
import type { ForwardRequest, Ports, Router } from './ports.ts'
import { askerOf, questionKey } from './question-key.ts'
import { ALL_RIGHTS, type Facts, type Rights } from './rights.ts'
import { TokenResolver } from './token-resolver.ts'

/** A read without MaxQueryTime waits this long. */
export const DEFAULT_WAIT_MS = 300_000
/** Longest wait; what is asked above it is cut. */
export const MAX_WAIT_MS = 600_000
/** A wait is stretched by up to this part of itself, so that many do not end together. */
export const WAIT_JITTER_FRACTION = 1 / 16
/** Added to the wait when another datacenter is asked: time for the way there and back. */
const FORWARD_HOLD_MS = 7_000
/** Longest time for a call to another datacenter that does not wait for a change. */
const FORWARD_TIMEOUT_MS = 60_000
const NS_PER_MS = 1_000_000
/** Added to the error of another datacenter, once per hop. */
const HOP_PREFIX = 'rpc error making call: '

/** What the primary is asked about a token that is not here. */
const TOKEN_READ: WireCall<ACLTokenGetRequest, ACLTokenResponse> = {
  name: 'ACL.TokenRead',
  args: ACLTokenGetRequest,
  reply: ACLTokenResponse,
}
const TOKEN_READ_TIMEOUT_MS = 10_000

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
  readonly #tokens: TokenResolver
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
    this.#tokens = this.#resolver()
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
   * @returns undefined where the answer cannot be shared (another datacenter, a consistent read, one sorted by
   *   distance) or the primary has to say who asks: use call()
   * @throws HanseError of the operation
   */
  live<A extends ReadArgs, R extends QueryMeta>(operation: ReadOperation<A, R>, args: A): LiveAnswer<R> | undefined {
    if (args.RequireConsistent || askerOf(args) !== '' || this.#elsewhere(operation, args) !== undefined)
      return undefined
    const rights = this.#tokens.now(judgedBy(operation, args))
    if (rights === undefined) return undefined
    operation.authorize?.(args, rights, this.#facts)
    return this.#answers.get(this.#question(operation, args, rights))
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
    return (await this.#answer(operation, args, options)).reply
  }

  async #callOther<A extends RoutedArgs, R>(operation: CallOperation<A, R>, args: A, options: CallOptions): Promise<R> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) {
      return decode(operation.reply, await this.#forward(operation, args, target, options.signal))
    }
    return this.#run(operation, args, options)
  }

  async #handleRead<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    options: CallOptions,
  ): Promise<Buffer> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) return this.#forward(operation, args, target, options.signal)
    const answer = await this.#answer(operation, args, { signal: options.signal })
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
    return encode(operation.reply, await this.#run(operation, args, { signal: options.signal }))
  }

  async #run<A extends RoutedArgs, R>(operation: CallOperation<A, R>, args: A, options: CallOptions): Promise<R> {
    const known = this.#rights(operation, args, options)
    const rights = known instanceof Promise ? await known : known
    operation.authorize?.(args, rights, this.#facts)
    return operation.run(this.#callContext(options.signal, rights), args)
  }

  /** Who asks. @throws HanseError ACL_NOT_FOUND */
  #rights<A extends RoutedArgs>(operation: Judged<A>, args: A, { internal }: CallOptions): Rights | Promise<Rights> {
    return internal ? ALL_RIGHTS : this.#tokens.resolve(judgedBy(operation, args))
  }

  #resolver(): TokenResolver {
    const { datacenter, primaryDatacenter, state, clock, log } = this.#options
    const askPrimary = (secret: string) => {
      const args = ACLTokenGetRequest.of({
        Datacenter: primaryDatacenter,
        TokenID: secret,
        TokenIDType: 'secret',
        Expanded: true,
        AllowStale: true,
      })
      return this.#ask(TOKEN_READ, args, { datacenter: primaryDatacenter, timeoutMs: TOKEN_READ_TIMEOUT_MS })
    }
    return new TokenResolver({ datacenter, primaryDatacenter, acl: this.acl, state, clock, log, askPrimary })
  }

  async #ask<A, R>(
    { name, args: shape, reply }: WireCall<A, R>,
    args: A,
    to: { datacenter: string; timeoutMs: number },
    signal?: AbortSignal,
  ): Promise<R> {
    const request = { ...to, method: name, body: encode(shape, args), ...(signal && { signal }) }
    return decode(reply, await this.#send(request))
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

  async #forward<A extends RoutedArgs>(
    operation: {
      readonly name: string
      readonly access: string
      readonly args: Struct<A>
      readonly route?: Route<A>
    },
    args: A,
    datacenter: string,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const seen = 'Token' in args ? { ...args, Token: this.#tokens.forwarded(tokenOf(args)) } : args
    const there = operation.route?.with(seen, datacenter) ?? { ...seen, Datacenter: datacenter }
    const body = encode(operation.args, there)
    const timeoutMs = forwardTimeoutMs(args)
    const repeatable = operation.access === 'read'
    return this.#send({ datacenter, method: operation.name, body, timeoutMs, repeatable, ...(signal && { signal }) })
  }

  /** To another datacenter; the text of its error gets the prefix of a hop. */
  async #send(request: ForwardRequest): Promise<Buffer> {
    try {
      return await this.#options.router.forward(request)
    } catch (error) {
      if (codeOf(error) !== 'RPC_REMOTE') throw error
      const text = HOP_PREFIX + messageOf(error)
      throw endpointError(remoteCode(text), { text }, error)
    }
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
    if (args.RequireConsistent) await this.#options.state.consistent()
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
   * How long a read waits for a change, jitter included.
   *
   * @param maxQueryTimeNs - as asked for; 0 for the default
   */
  waitMs(maxQueryTimeNs: number): number {
    const askedMs = cappedWaitMs(maxQueryTimeNs)
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

  #callContext(signal: AbortSignal | undefined, rights: Rights): CallContext {
    const { state, router, ports, clock, random, log } = this.#options
    const ask: CallContext['ask'] = (wire, args, to) => this.#ask(wire, args, to, signal)
    return { ...this.#readContext, state, router, ports, clock, random, log, rights, acl: this.acl, signal, ask }
  }
}

/** The asked wait in milliseconds: default and cap applied, jitter not. */
function cappedWaitMs(maxQueryTimeNs: number): number {
  const askedMs = maxQueryTimeNs / NS_PER_MS
  return askedMs > 0 ? Math.min(askedMs, MAX_WAIT_MS) : DEFAULT_WAIT_MS
}

/** What finding out who asks looks at. */
interface Judged<A> {
  bearer?(args: A): string
  readonly anyone?: string
}

/** What everyone may do is not judged by a token, good or bad, unless it says so. */
function judgedBy<A extends object>({ bearer, anyone }: Judged<A>, args: A): string {
  if (bearer !== undefined) return bearer(args)
  return anyone === undefined ? tokenOf(args) : ''
}

/** What routing looks at. */
interface Placed<A> {
  readonly scope: Scope
  readonly route?: Route<A>
  inPrimary?(args: A, facts: Facts): boolean
}

const NOT_FOUND_THERE =
  /Cannot find \w[\w ]* to delete|^[^"]*Requested [\w ]+ does not exist: ACL not found|Intention not found$/

/** HTTP has a status of its own for what another datacenter says of tokens, and of objects that are not there. */
function remoteCode(text: string): 'REMOTE_ERROR' | 'REMOTE_REFUSED' | 'REMOTE_NOT_FOUND' {
  if (NOT_FOUND_THERE.test(text)) return 'REMOTE_NOT_FOUND'
  return /Permission denied|ACL not found/.test(text) ? 'REMOTE_REFUSED' : 'REMOTE_ERROR'
}

function tokenOf(args: object): string {
  return 'Token' in args && typeof args.Token === 'string' ? args.Token : ''
}

function withToken<A extends object>(args: A, token: string | undefined): A {
  return token && 'Token' in args && args.Token === '' ? { ...args, Token: token } : args
}

function datacenterOf(args: object): string {
  return 'Datacenter' in args && typeof args.Datacenter === 'string' ? args.Datacenter : ''
}

/** Longer for a read that waits for a change. */
function forwardTimeoutMs(args: object): number {
  const waits = 'MinQueryIndex' in args && args.MinQueryIndex !== 0
  if (!waits || !('MaxQueryTime' in args) || typeof args.MaxQueryTime !== 'number') return FORWARD_TIMEOUT_MS
  return cappedWaitMs(args.MaxQueryTime) * (1 + WAIT_JITTER_FRACTION) + FORWARD_HOLD_MS
}

/** `Catalog.ListNodes` → `Catalog`. */
function serviceOf(method: string): string {
  return method.slice(0, Math.max(0, method.lastIndexOf('.')))
}
