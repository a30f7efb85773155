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
import { decode, encode, type QueryMeta, type Struct } from '#codec'
import { UnknownMethodError } from '#net'
import type { State } from '#state'
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

/** Decides whether the bearer of `Token` may do it; throws if not. */
export type Authorize = (operation: AnyOperation, args: RoutedArgs) => void

/** Everyone may do everything: the only rule until there are ACLs. */
export const noAcls: Authorize = () => {}

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
  readonly authorize?: Authorize
  /** Operations that other parts bring, beside those of this folder. */
  readonly operations?: readonly AnyOperation[]
}

export interface CallOptions {
  /** Ends the call with its caller. */
  readonly signal?: AbortSignal | undefined
}

export class Endpoints {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly #options: EndpointsOptions
  readonly #authorize: Authorize
  readonly #answers: LiveAnswers
  readonly #readContext: ReadContext
  /** What can be called by its name, and the services (the part before the dot) that these belong to. */
  readonly #operations: ReadonlyMap<string, AnyOperation>
  readonly #services: ReadonlySet<string>

  constructor(options: EndpointsOptions) {
    this.datacenter = options.datacenter
    this.primaryDatacenter = options.primaryDatacenter
    this.#options = options
    this.#authorize = options.authorize ?? noAcls
    this.#answers = new LiveAnswers({ ...options, limits: { ...LIVE_LIMITS, ...options.limits } })
    const served = [...allOperations, ...(options.operations ?? [])]
    this.#operations = new Map(served.map((each) => [each.name, each]))
    this.#services = new Set(served.map(({ name }) => serviceOf(name)))
    const { datacenter, primaryDatacenter, state } = options
    this.#readContext = {
      datacenter,
      primaryDatacenter,
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
    if (operation.access === 'read') return this.#callRead(operation, args as ReadArgs, options.signal)
    return this.#callOther(operation, args, options.signal)
  }

  /**
   * The shared answer to a read of this datacenter; `MinQueryIndex` is left to its `next()`.
   *
   * @returns undefined where the answer cannot be shared (another datacenter, a consistent read, one sorted by
   *   distance): use call()
   * @throws HanseError of the operation
   */
  live<A extends ReadArgs, R extends QueryMeta>(operation: ReadOperation<A, R>, args: A): LiveAnswer<R> | undefined {
    if (args.RequireConsistent || askerOf(args) !== '' || this.#elsewhere(operation, args) !== undefined)
      return undefined
    this.#authorize(operation, args)
    return this.#answers.get(this.#question(operation, args))
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
        ? await this.#handleRead(operation, decode(operation.args, body), context.signal)
        : await this.#handleOther(operation, decode(operation.args, body), context.signal)
    } catch (error) {
      this.#options.log.debug('RPC call failed', { method, from: context.remote, error: messageOf(error) })
      throw error
    }
  }

  async #callRead<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) return decode(operation.reply, await this.#forward(operation, args, target, signal))
    return (await this.#answer(operation, args, signal)).reply
  }

  async #callOther<A extends RoutedArgs, R>(
    operation: CallOperation<A, R>,
    args: A,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) return decode(operation.reply, await this.#forward(operation, args, target, signal))
    this.#authorize(operation, args)
    return operation.run(this.#callContext(signal), args)
  }

  async #handleRead<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) return this.#forward(operation, args, target, signal)
    const answer = await this.#answer(operation, args, signal)
    return answer.bytes('msgpack', (reply) => encode(operation.reply, reply))
  }

  async #handleOther<A extends RoutedArgs, R>(
    operation: CallOperation<A, R>,
    args: A,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const target = this.#elsewhere(operation, args)
    if (target !== undefined) {
      this.#refuseAsPrimary(operation, args)
      return this.#forward(operation, args, target, signal)
    }
    this.#authorize(operation, args)
    return encode(operation.reply, await operation.run(this.#callContext(signal), args))
  }

  /** The datacenter that has to do it, if it is not this one. */
  #elsewhere<A extends RoutedArgs>(
    { scope, route }: { readonly scope: Scope; readonly route?: Route<A> },
    args: A,
  ): string | undefined {
    if (scope === 'here') return undefined
    const named = route === undefined ? datacenterOf(args) : route.get(args)
    const wanted = scope === 'primary' ? this.primaryDatacenter : named
    return wanted === '' || wanted === this.datacenter ? undefined : wanted
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
    const there = operation.route?.with(args, datacenter) ?? { ...args, Datacenter: datacenter }
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
      throw endpointError('REMOTE_ERROR', { text: HOP_PREFIX + messageOf(error) }, error)
    }
  }

  async #answer<A extends ReadArgs, R extends QueryMeta>(
    operation: ReadOperation<A, R>,
    args: A,
    signal: AbortSignal | undefined,
  ): Promise<LiveAnswer<R>> {
    this.#authorize(operation, args)
    const question = this.#question(operation, args)
    if (args.RequireConsistent) await this.#options.state.consistent()
    const now = this.#answers.get(question)
    this.#options.metrics.count('consul.rpc.query')
    if (args.MinQueryIndex === 0 || now.index > args.MinQueryIndex) return now
    return this.#answers.next(question, args.MinQueryIndex, { timeoutMs: this.waitMs(args.MaxQueryTime), signal })
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

  #question<A extends ReadArgs, R extends QueryMeta>(operation: ReadOperation<A, R>, args: A): Question<R> {
    operation.check?.(args)
    const { state } = this.#options
    return {
      key: questionKey(operation, args),
      operation: operation.name,
      volatile: askerOf(args) !== '',
      run: () => state.read((tx) => operation.query(tx, args, this.#readContext)),
    }
  }

  #callContext(signal: AbortSignal | undefined): CallContext {
    const { state, router, ports, clock, log } = this.#options
    const ask = async <A, R>(
      { name, args: shape, reply }: WireCall<A, R>,
      args: A,
      to: { datacenter: string; timeoutMs: number },
    ): Promise<R> => {
      const request = { ...to, method: name, body: encode(shape, args), ...(signal && { signal }) }
      return decode(reply, await this.#send(request))
    }
    return { ...this.#readContext, state, router, ports, clock, log, signal, ask }
  }
}

/** The asked wait in milliseconds: default and cap applied, jitter not. */
function cappedWaitMs(maxQueryTimeNs: number): number {
  const askedMs = maxQueryTimeNs / NS_PER_MS
  return askedMs > 0 ? Math.min(askedMs, MAX_WAIT_MS) : DEFAULT_WAIT_MS
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
