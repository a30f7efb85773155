/**
 * Routes: a pattern, the methods it has, and what each does. A pattern that ends in "/" takes all paths below it.
 */
import type { ServerResponse } from 'node:http'
import type { Answer } from './answer.ts'
import type { ReadPlan } from './read-plan.ts'
import type { ApiRequest } from './request.ts'

/** A read of the endpoints: planned once per URL, answered from shared bytes. */
export interface ReadHandler {
  readonly kind: 'read'
  /** @throws HanseError for parameters that are wrong */
  plan(request: PlanRequest): ReadPlan
}

/** Anything else that ends in one answer. */
export interface CallHandler {
  readonly kind: 'call'
  run(request: ApiRequest): Answer | Promise<Answer>
}

/** An answer that goes on until the caller leaves. */
export interface StreamHandler {
  readonly kind: 'stream'
  /** A promise that rejects answers with the error. */
  run(request: ApiRequest, response: ServerResponse): void | Promise<void>
}

export type Handler = ReadHandler | CallHandler | StreamHandler

/** What a plan is made of: nothing that differs between two requests for the same URL. */
export interface PlanRequest {
  readonly rest: string
  readonly query: URLSearchParams
  readonly datacenter: string
  readonly pretty: boolean
  /** Who asks. A plan with a token is not kept. */
  readonly token: string
}

export interface Route {
  readonly pattern: string
  readonly methods: Readonly<Record<string, Handler>>
  /** What of `ns` and `partition` is refused, as recorded per endpoint; both where it is not said. */
  readonly refuses?: 'namespace and partition' | 'partition' | 'nothing'
}

export const call = (run: CallHandler['run']): CallHandler => ({ kind: 'call', run })

export interface RouteMatch {
  readonly route: Route
  readonly rest: string
}

/** Finds the route of a path: exact ones first, then the longest prefix. */
export class RouteTable {
  readonly #exact = new Map<string, Route>()
  readonly #prefixes: Route[]

  constructor(routes: readonly Route[]) {
    for (const route of routes) if (!route.pattern.endsWith('/')) this.#exact.set(route.pattern, route)
    this.#prefixes = routes
      .filter((route) => route.pattern.endsWith('/'))
      .sort((left, right) => right.pattern.length - left.pattern.length)
  }

  match(path: string): RouteMatch | undefined {
    const exact = this.#exact.get(path)
    if (exact !== undefined) return { route: exact, rest: '' }
    for (const route of this.#prefixes) {
      if (path.startsWith(route.pattern)) return { route, rest: path.slice(route.pattern.length) }
    }
    return undefined
  }
}

/** The `Allow` header of a route. */
export function allowOf(route: Route): string {
  return ['OPTIONS', ...Object.keys(route.methods)].join(',')
}
