/**
 * The beginning of a chain: routes by request and splits by weight, down to resolvers.
 */
import {
  DiscoveryGraphNode,
  DiscoveryRoute,
  DiscoverySplit,
  HeaderModifiers,
  RouteDestination,
  RouteHttpMatch,
  RouteMatch,
  ServiceRoute,
  type ServiceSplit,
} from '#codec'
import type { ChainContext } from './chain-context.ts'
import type { ChainResolvers } from './chain-resolvers.ts'

/** Most destinations of one splitter, with those of the splitters it leads to. */
export const MAX_SPLITS = 1024
/** Most splitters in a row. */
export const MAX_SPLITTER_DEPTH = 64

export class ChainRoutes {
  readonly nodes = new Map<string, DiscoveryGraphNode>()
  readonly #context: ChainContext
  readonly #resolvers: ChainResolvers
  readonly #path: string[] = []

  constructor(context: ChainContext, resolvers: ChainResolvers) {
    this.#context = context
    this.#resolvers = resolvers
  }

  /** The first node of the chain; its key. */
  start(): string {
    const { service } = this.#context.request
    this.#context.visit(service)
    const entry = this.#routesOf('service-router', service)
    if (entry === undefined) return this.#splitterOrResolver(service)
    const routes = (entry.Routes ?? []).map((route) =>
      DiscoveryRoute.of({ Definition: route, NextNode: this.#next(service, route) }),
    )
    const key = `router:${service}.default.default`
    const rest = DiscoveryRoute.of({ Definition: restOf(service), NextNode: this.#splitterOrResolver(service) })
    this.nodes.set(key, node('router', service, { Routes: [...routes, rest] }))
    return key
  }

  #routesOf<K extends 'service-router' | 'service-splitter'>(kind: K, service: string) {
    const entry = this.#context.source.get(kind, service)
    if (entry === undefined || !this.#context.ignoresRoutes) return entry
    this.#context.routesIgnored()
    return undefined
  }

  #next(own: string, { Destination }: ServiceRoute): string {
    const service = Destination?.Service || own
    const subset = Destination?.ServiceSubset ?? ''
    return subset === '' ? this.#splitterOrResolver(service) : this.#resolvers.nodeFor(service, subset)
  }

  #splitterOrResolver(service: string): string {
    const entry = this.#routesOf('service-splitter', service)
    if (entry === undefined) return this.#resolvers.nodeFor(service, '')
    const key = `splitter:${service}.default.default`
    if (this.#path.includes(key)) {
      const circle = [...this.#path.slice(this.#path.indexOf(key)), key]
      this.#context.fail(`detected circular reference: [${circle.join(' -> ')}]`)
    }
    if (this.nodes.has(key)) return key
    if (this.#path.length >= MAX_SPLITTER_DEPTH) this.#context.tooLarge('splitters in a row', MAX_SPLITTER_DEPTH)
    this.#context.visit(service)
    this.#path.push(key)
    const splits = (entry.Splits ?? []).flatMap((split) => this.#splits(service, split))
    this.#path.pop()
    if (splits.length > MAX_SPLITS) this.#context.tooLarge('destinations of a splitter', MAX_SPLITS)
    this.nodes.set(key, node('splitter', service, { Splits: splits }))
    return key
  }

  /** One split, or those of the splitter that it leads to, by their share of it. */
  #splits(own: string, split: ServiceSplit): DiscoverySplit[] {
    const service = split.Service || own
    const direct = split.ServiceSubset !== '' || service === own
    const next = direct ? this.#resolvers.nodeFor(service, split.ServiceSubset) : this.#splitterOrResolver(service)
    const nested = this.nodes.get(next)
    if (nested === undefined) return [DiscoverySplit.of({ Definition: split, Weight: split.Weight, NextNode: next })]
    return (nested.Splits ?? []).flatMap((inner) =>
      inner === null
        ? []
        : [{ ...inner, Definition: withHeadersOf(split, inner.Definition), Weight: share(split.Weight, inner.Weight) }],
    )
  }
}

function node(type: string, service: string, rest: Partial<DiscoveryGraphNode>): DiscoveryGraphNode {
  return DiscoveryGraphNode.of({ Type: type, Name: `${service}.default.default`, ...rest })
}

/** Requests that no route matches go to the service itself. */
function restOf(service: string): ServiceRoute {
  return ServiceRoute.of({
    Match: RouteMatch.of({ HTTP: RouteHttpMatch.of({ PathPrefix: '/' }) }),
    Destination: RouteDestination.of({ Service: service, Namespace: 'default', Partition: 'default' }),
  })
}

/** A percentage of a percentage, in hundredths of a percent. */
const share = (outer: number, inner: number) => Math.fround(Math.round(outer * inner) / 100)

/** Headers that the outer split changes are changed for the inner one too; where both do, the inner one counts. */
function withHeadersOf(outer: ServiceSplit, inner: ServiceSplit | null): ServiceSplit | null {
  if (inner === null || (outer.RequestHeaders === null && outer.ResponseHeaders === null)) return inner
  return {
    ...inner,
    RequestHeaders: merged(outer.RequestHeaders, inner.RequestHeaders),
    ResponseHeaders: merged(outer.ResponseHeaders, inner.ResponseHeaders),
  }
}

function merged(outer: HeaderModifiers | null, inner: HeaderModifiers | null): HeaderModifiers | null {
  if (outer === null || inner === null) return inner ?? outer
  return HeaderModifiers.of({
    Add: { ...outer.Add, ...inner.Add },
    Set: { ...outer.Set, ...inner.Set },
    Remove: [...new Set([...(outer.Remove ?? []), ...(inner.Remove ?? [])])],
  })
}
