/**
 * A read, planned once per URL: the operation, its arguments, and how its reply looks in HTTP.
 *
 * As long as nothing that the answer read has changed, serving it again is one check and the same bytes. Blocking reads
 * wait on the shared answer. What cannot be shared (another datacenter, a consistent read) is called each time.
 */
import { type Clock, HanseError, type Random } from '#base'
import type { QueryMeta, QueryOptions } from '#codec'
import { ALWAYS_FRESH, type Contact, type Endpoints, type LiveAnswer, type ReadOperation } from '#endpoints'
import {
  type Answer,
  API_HEADERS,
  errorAnswer,
  GZIP_MIN_BYTES,
  gzipBytes,
  gzipHeaders,
  type HeaderList,
} from './answer.ts'
import { jsonBytes } from './json-bytes.ts'
import { type ParkedCount, ParkedReads, type WaitEnd, type Waiting } from './parked-reads.ts'

type ReadArgs = QueryOptions & { readonly Datacenter: string }

/** How a reply looks: a JSON value, other bytes, or a bare status. */
export type Presented =
  | { readonly kind: 'json'; readonly value: () => unknown }
  | { readonly kind: 'bytes'; readonly status?: number; readonly headers: HeaderList; readonly body: Buffer }
  | { readonly kind: 'bare'; readonly status: number; readonly meta: boolean }

export const asJson = (value: () => unknown): Presented => ({ kind: 'json', value })

/** What routes say of a read, besides operation and arguments. */
export interface ReadTraits {
  /** Errors of the operation carry index 1 and no known leader, as recorded for the catalog. */
  readonly metaOnError?: boolean
  /** `X-Consul-Effective-Consistency` is shown. */
  readonly showsConsistency?: boolean
  /** Index, leader and contact are shown; not by the few reads that have no index. */
  readonly showsMeta?: boolean
}

/** What a plan is served with. */
export interface PlanPorts {
  readonly endpoints: Endpoints
  readonly clock: Clock
  readonly random: Random
  /** Counts all who wait. */
  readonly parked: ParkedCount
}

/** Who asks. */
export interface Caller extends Waiting {
  /** Ends with the caller; made only when needed. */
  readonly signal: AbortSignal
  /** Takes an answer that was not there at once. */
  deliver(answer: Answer): void
}

export interface ReadPlan {
  /** The answer where it is known at once, else undefined: it is delivered later. Never throws: errors are answers. */
  serve(gzip: boolean, caller: Caller): Answer | undefined
  /** Bytes of body that the plan holds. */
  readonly heldBytes: number
}

/** A wait is stretched by up to this part of itself, so that many do not end together. */
const JITTER_PARTS = 16
/** In so many steps: the runtime keeps timers of one length together, and thousands of lengths are dear. */
const JITTER_STEPS = 16
const NS_PER_MS = 1_000_000
const ERROR_META: HeaderList = [
  'X-Consul-Index',
  '1',
  'X-Consul-Knownleader',
  'false',
  'X-Consul-Lastcontact',
  '0',
  'X-Consul-Query-Backend',
  'blocking-query',
]

/** Something was left out that the caller's token may not see. */
export const FILTERED_HEADER: HeaderList = ['X-Consul-Results-Filtered-By-Acls', 'true']

interface Prepared<R> {
  readonly live: LiveAnswer<R>
  readonly plain: Answer
  zipped: Answer | undefined
}

export interface ReadPlanOptions<A, R> extends ReadTraits {
  readonly ports: PlanPorts
  readonly operation: ReadOperation<A & ReadArgs, R & QueryMeta>
  readonly args: A & ReadArgs
  readonly pretty: boolean
  /** Tells apart routes that show one reply in different ways. */
  readonly format: string
  readonly present: (reply: R & QueryMeta) => Presented
}

export function readPlan<A, R>(options: ReadPlanOptions<A, R>): ReadPlan {
  return new Plan(options)
}

class Plan<A, R> implements ReadPlan {
  readonly #options: ReadPlanOptions<A, R>
  readonly #consistency: HeaderList
  readonly #minIndex: number
  readonly #cached: boolean
  readonly #parked: ParkedReads<R & QueryMeta>
  #prepared: Prepared<R & QueryMeta> | undefined

  constructor(options: ReadPlanOptions<A, R>) {
    this.#options = options
    const { args } = options
    this.#consistency = options.showsConsistency ? consistencyHeader(args) : []
    this.#minIndex = args.MinQueryIndex
    this.#cached = args.UseCache
    this.#parked = new ParkedReads({ ...options.ports, minIndex: args.MinQueryIndex })
  }

  get heldBytes(): number {
    return (this.#prepared?.plain.body.length ?? 0) + (this.#prepared?.zipped?.body.length ?? 0)
  }

  serve(gzip: boolean, caller: Caller): Answer | undefined {
    const prepared = this.#prepared
    if (
      prepared !== undefined &&
      !prepared.live.fired &&
      this.#options.ports.endpoints.fresh(this.#options.args) &&
      (this.#minIndex === 0 || prepared.live.index > this.#minIndex)
    ) {
      return this.#answer(prepared, gzip, true)
    }
    this.#prepared = undefined
    return this.#fresh(gzip, caller)
  }

  #fresh(gzip: boolean, caller: Caller): Answer | undefined {
    const { ports, operation, args } = this.#options
    try {
      const live = ports.endpoints.live(operation, args)
      const waits = this.#minIndex > 0 && live !== undefined && live.index <= this.#minIndex
      // What a token may see can change while it waits: the endpoints look again.
      if (live === undefined || (waits && ports.endpoints.acl.enabled)) {
        void this.#call(gzip, caller).then((answer) => caller.deliver(answer))
        return undefined
      }
      if (!waits) return this.#answer(this.#prepare(live), gzip, false)
      this.#parked.wait(live, this.#waitMs(), caller, new ParkedCaller(this, live, gzip, caller))
      return undefined
    } catch (thrown) {
      return this.#error(thrown)
    }
  }

  /** The answer after a wait: the one that changed, or the current one. */
  afterWait(changed: LiveAnswer<R & QueryMeta> | undefined, past: LiveAnswer<R & QueryMeta>, gzip: boolean): Answer {
    try {
      const { endpoints } = this.#options.ports
      const next = changed ?? endpoints.live(this.#options.operation, this.#options.args) ?? past
      const held = this.#prepared
      return this.#answer(held?.live === next ? held : this.#prepare(next), gzip, false)
    } catch (thrown) {
      return this.#error(thrown)
    }
  }

  failedWait(thrown: unknown): Answer {
    return this.#error(thrown)
  }

  async #call(gzip: boolean, caller: Caller): Promise<Answer> {
    const { ports, operation, args, present, pretty } = this.#options
    try {
      const reply = await ports.endpoints.call(operation, args, { signal: caller.signal })
      // Woken with others: the same bytes for all who may see the same.
      const shared = ports.endpoints.acl.enabled ? ports.endpoints.live(operation, args) : undefined
      if (shared?.index === reply.Index) return this.#answer(this.#prepare(shared), gzip, false)
      const presented = present(reply)
      const body = presented.kind === 'json' ? jsonBytes(presented.value(), pretty) : undefined
      const answer = this.#compose(presented, reply, body)
      return gzip && answer.body.length >= GZIP_MIN_BYTES
        ? { status: answer.status, headers: gzipHeaders(answer.headers), body: gzipBytes(answer.body) }
        : answer
    } catch (thrown) {
      return this.#error(thrown)
    }
  }

  #prepare(live: LiveAnswer<R & QueryMeta>): Prepared<R & QueryMeta> {
    const { present, pretty } = this.#options
    const presented = present(live.reply)
    const body =
      presented.kind === 'json' ? live.bytes(this.#format(), () => jsonBytes(presented.value(), pretty)) : undefined
    const prepared = { live, plain: this.#compose(presented, live.reply, body), zipped: undefined }
    this.#prepared = prepared
    return prepared
  }

  #format(): string {
    return this.#options.pretty ? `${this.#options.format} pretty` : this.#options.format
  }

  #answer(prepared: Prepared<R & QueryMeta>, gzip: boolean, known: boolean): Answer {
    const { plain } = prepared
    const shared = gzip && plain.body.length >= GZIP_MIN_BYTES ? this.#zip(prepared) : plain
    const contact = this.#options.ports.endpoints.contact()
    const answer = contact === ALWAYS_FRESH ? shared : withContact(shared, contact)
    if (!this.#cached) return answer
    const cache = known ? ['Age', '0', 'X-Cache', 'HIT'] : ['X-Cache', 'MISS']
    return { status: answer.status, headers: [...cache, ...answer.headers], body: answer.body }
  }

  #zip(prepared: Prepared<R & QueryMeta>): Answer {
    const { plain, live } = prepared
    prepared.zipped ??= {
      status: plain.status,
      headers: gzipHeaders(plain.headers),
      body: live.bytes(`${this.#format()} gzip ${plain.status}`, () => gzipBytes(plain.body)),
    }
    return prepared.zipped
  }

  #compose(presented: Presented, reply: QueryMeta, body: Buffer | undefined): Answer {
    const meta = this.#options.showsMeta === false ? [] : this.#meta(reply)
    if (presented.kind === 'bare') {
      return {
        status: presented.status,
        headers: [...API_HEADERS, ...(presented.meta ? meta : [])],
        body: Buffer.alloc(0),
      }
    }
    const type = presented.kind === 'json' ? ['Content-Type', 'application/json'] : presented.headers
    const bytes = presented.kind === 'json' ? (body ?? Buffer.alloc(0)) : presented.body
    const status = presented.kind === 'bytes' ? (presented.status ?? 200) : 200
    return { status, headers: [...type, ...API_HEADERS, ...meta], body: bytes }
  }

  #meta(reply: QueryMeta): string[] {
    return [...this.#consistency, ...factHeaders(reply)]
  }

  #waitMs(): number {
    const { ports, args } = this.#options
    const wait = ports.endpoints.cappedWaitMs(args.MaxQueryTime)
    const step = ports.random.int(JITTER_STEPS) / JITTER_STEPS
    return Math.ceil(wait + (wait / JITTER_PARTS) * step)
  }

  #error(thrown: unknown): Answer {
    // What is not there says nothing of the answer, as recorded.
    const missing = thrown instanceof HanseError && thrown.status === 404
    return errorAnswer(thrown, this.#options.metaOnError && !missing ? ERROR_META : [])
  }
}

/** Someone who waits with a plan, until the wait ends. */
class ParkedCaller<A, R> implements WaitEnd<R & QueryMeta> {
  readonly #plan: Plan<A, R>
  readonly #past: LiveAnswer<R & QueryMeta>
  readonly #gzip: boolean
  readonly #caller: Caller

  constructor(plan: Plan<A, R>, past: LiveAnswer<R & QueryMeta>, gzip: boolean, caller: Caller) {
    this.#plan = plan
    this.#past = past
    this.#gzip = gzip
    this.#caller = caller
  }

  ended(changed: LiveAnswer<R & QueryMeta> | undefined): void {
    this.#caller.deliver(this.#plan.afterWait(changed, this.#past, this.#gzip))
  }

  failed(error: unknown): void {
    this.#caller.deliver(this.#plan.failedWait(error))
  }
}

function consistencyHeader(args: Pick<ReadArgs, 'RequireConsistent' | 'AllowStale'>): HeaderList {
  const level = args.RequireConsistent ? 'consistent' : args.AllowStale ? 'stale' : 'leader'
  return ['X-Consul-Effective-Consistency', level]
}

function factHeaders(reply: QueryMeta): HeaderList {
  return [
    'X-Consul-Index',
    String(Math.max(1, reply.Index)),
    'X-Consul-Knownleader',
    String(reply.KnownLeader),
    'X-Consul-Lastcontact',
    String(Math.round(reply.LastContact / NS_PER_MS)),
    'X-Consul-Query-Backend',
    'blocking-query',
    ...(reply.ResultsFilteredByACLs ? FILTERED_HEADER : []),
  ]
}

/** The same bytes, with what is to be said of their freshness at this moment. */
function withContact(answer: Answer, { knownLeader, lastContactMs }: Contact): Answer {
  const headers = [...answer.headers]
  const put = (name: string, value: string) => {
    const at = headers.indexOf(name)
    if (at >= 0) headers[at + 1] = value
  }
  put('X-Consul-Knownleader', String(knownLeader))
  put('X-Consul-Lastcontact', String(lastContactMs))
  return { status: answer.status, headers, body: answer.body }
}

/** What the answer to a read shows of itself, for reads that are no plan. */
export function metaHeaders(reply: QueryMeta, args: Pick<ReadArgs, 'RequireConsistent' | 'AllowStale'>): HeaderList {
  return [...consistencyHeader(args), ...factHeaders(reply)]
}
