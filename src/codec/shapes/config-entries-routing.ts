/**
 * Where calls of a service go: service-router, service-splitter, service-resolver.
 */
import { pointer } from '../schema.ts'
import { entryTail, FailoverPolicy, PrioritizeByLocality } from './config-entries-defaults.ts'
import { constant, duration, float32, list, map, natural, omit, record, text, truth } from './config-entries-kinds.ts'

export const HeaderModifiers = record('HTTPHeaderModifiers', {
  Add: omit(map(text)),
  Set: omit(map(text)),
  Remove: omit(list(text)),
})
export type HeaderModifiers = ReturnType<typeof HeaderModifiers.of>

const MatchHeader = record('ServiceRouteHTTPMatchHeader', {
  Name: text,
  Present: omit(truth),
  Exact: omit(text),
  Prefix: omit(text),
  Suffix: omit(text),
  Regex: omit(text),
  Invert: omit(truth),
})
const MatchQuery = record('ServiceRouteHTTPMatchQueryParam', {
  Name: text,
  Present: omit(truth),
  Exact: omit(text),
  Regex: omit(text),
})
export const RouteHttpMatch = record('ServiceRouteHTTPMatch', {
  PathExact: omit(text),
  PathPrefix: omit(text),
  PathRegex: omit(text),
  CaseInsensitive: omit(truth),
  Header: omit(list(MatchHeader)),
  QueryParam: omit(list(MatchQuery)),
  Methods: omit(list(text)),
})
export type RouteHttpMatch = ReturnType<typeof RouteHttpMatch.of>
export const RouteMatch = record('ServiceRouteMatch', { HTTP: omit(pointer(RouteHttpMatch)) })
export const RouteDestination = record('ServiceRouteDestination', {
  RequestTimeout: duration,
  IdleTimeout: duration,
  Service: omit(text),
  ServiceSubset: omit(text),
  Namespace: omit(text),
  Partition: omit(text),
  PrefixRewrite: omit(text),
  NumRetries: omit(natural),
  RetryOnConnectFailure: omit(truth),
  RetryOn: omit(list(text)),
  RetryOnStatusCodes: omit(list(natural)),
  RequestHeaders: omit(pointer(HeaderModifiers)),
  ResponseHeaders: omit(pointer(HeaderModifiers)),
})
export type RouteDestination = ReturnType<typeof RouteDestination.of>
export const ServiceRoute = record('ServiceRoute', {
  Match: omit(pointer(RouteMatch)),
  Destination: omit(pointer(RouteDestination)),
})
export type ServiceRoute = ReturnType<typeof ServiceRoute.of>

export const ServiceRouter = record('ServiceRouterConfigEntry', {
  Kind: constant('service-router'),
  Name: text,
  Routes: list(ServiceRoute),
  ...entryTail,
})
export type ServiceRouter = ReturnType<typeof ServiceRouter.of>

export const ServiceSplit = record('ServiceSplit', {
  Weight: float32,
  Service: omit(text),
  ServiceSubset: omit(text),
  Namespace: omit(text),
  Partition: omit(text),
  RequestHeaders: omit(pointer(HeaderModifiers)),
  ResponseHeaders: omit(pointer(HeaderModifiers)),
})
export type ServiceSplit = ReturnType<typeof ServiceSplit.of>
export const ServiceSplitter = record('ServiceSplitterConfigEntry', {
  Kind: constant('service-splitter'),
  Name: text,
  Splits: list(ServiceSplit),
  ...entryTail,
})
export type ServiceSplitter = ReturnType<typeof ServiceSplitter.of>

export const ResolverSubset = record('ServiceResolverSubset', { Filter: omit(text), OnlyPassing: omit(truth) })
export type ResolverSubset = ReturnType<typeof ResolverSubset.of>
export const ResolverRedirect = record('ServiceResolverRedirect', {
  Service: omit(text),
  ServiceSubset: omit(text),
  Namespace: omit(text),
  Partition: omit(text),
  Datacenter: omit(text),
  Peer: omit(text),
  SamenessGroup: omit(text),
})
export type ResolverRedirect = ReturnType<typeof ResolverRedirect.of>
export const FailoverTarget = record('ServiceResolverFailoverTarget', {
  Service: omit(text),
  ServiceSubset: omit(text),
  Partition: omit(text),
  Namespace: omit(text),
  Datacenter: omit(text),
  Peer: omit(text),
})
export type FailoverTarget = ReturnType<typeof FailoverTarget.of>
export const ResolverFailover = record('ServiceResolverFailover', {
  Service: omit(text),
  ServiceSubset: omit(text),
  Namespace: omit(text),
  Datacenters: omit(list(text)),
  Targets: omit(list(FailoverTarget)),
  Policy: omit(pointer(FailoverPolicy)),
  SamenessGroup: omit(text),
})
export type ResolverFailover = ReturnType<typeof ResolverFailover.of>

const HashPolicy = record('HashPolicy', {
  Field: omit(text),
  FieldValue: omit(text),
  CookieConfig: omit(pointer(record('CookieConfig', { Session: omit(truth), TTL: duration, Path: omit(text) }))),
  SourceIP: omit(truth),
  Terminal: omit(truth),
})
export const LoadBalancer = record('LoadBalancer', {
  Policy: omit(text),
  RingHashConfig: omit(
    pointer(record('RingHashConfig', { MinimumRingSize: omit(natural), MaximumRingSize: omit(natural) })),
  ),
  LeastRequestConfig: omit(pointer(record('LeastRequestConfig', { ChoiceCount: omit(natural) }))),
  HashPolicies: omit(list(HashPolicy)),
})
export type LoadBalancer = ReturnType<typeof LoadBalancer.of>

export const ServiceResolver = record('ServiceResolverConfigEntry', {
  ConnectTimeout: duration,
  RequestTimeout: duration,
  Kind: constant('service-resolver'),
  Name: text,
  DefaultSubset: omit(text),
  Subsets: omit(map(ResolverSubset)),
  Redirect: omit(pointer(ResolverRedirect)),
  Failover: omit(map(ResolverFailover)),
  PrioritizeByLocality: omit(pointer(PrioritizeByLocality)),
  LoadBalancer: omit(pointer(LoadBalancer)),
  ...entryTail,
})
export type ServiceResolver = ReturnType<typeof ServiceResolver.of>
