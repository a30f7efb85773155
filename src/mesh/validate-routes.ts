/**
 * Whether service-router and service-splitter make sense.
 */
import { formatDuration } from '#base'
import type { RouteDestination, RouteHttpMatch, ServiceRouter, ServiceSplit, ServiceSplitter } from '#codec'

/** What Envoy can retry on. */
const RETRY_CONDITIONS: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])

export function* routerProblems(entry: ServiceRouter): Generator<string> {
  for (const [index, { Match, Destination }] of (entry.Routes ?? []).entries()) {
    const route = `Route[${index}]`
    const http = Match?.HTTP ?? null
    if (http !== null) yield* matchProblems(route, http)
    if (Destination !== null) yield* destinationProblems(route, Destination, http)
  }
}

const count = (...flags: boolean[]) => flags.filter(Boolean).length

function* matchProblems(route: string, http: RouteHttpMatch): Generator<string> {
  const { PathExact, PathPrefix, PathRegex, Methods } = http
  if (count(PathExact !== '', PathPrefix !== '', PathRegex !== '') > 1) {
    yield `${route} should only contain at most one of PathExact, PathPrefix, or PathRegex`
  }
  if (PathExact !== '' && !PathExact.startsWith('/')) {
    yield `${route} PathExact doesn't start with '/': ${JSON.stringify(PathExact)}`
  }
  if (PathPrefix !== '' && !PathPrefix.startsWith('/')) {
    yield `${route} PathPrefix doesn't start with '/': ${JSON.stringify(PathPrefix)}`
  }
  for (const [index, header] of (http.Header ?? []).entries()) {
    const { Name, Present, Exact, Prefix, Suffix, Regex } = header
    if (Name === '') yield `${route} Header[${index}] missing required Name field`
    if (count(Present, Exact !== '', Prefix !== '', Suffix !== '', Regex !== '') !== 1) {
      yield `${route} Header[${index}] should only contain one of Present, Exact, Prefix, Suffix, or Regex`
    }
  }
  for (const [index, parameter] of (http.QueryParam ?? []).entries()) {
    const { Name, Present, Exact, Regex } = parameter
    if (Name === '') yield `${route} QueryParam[${index}] missing required Name field`
    if (count(Present, Exact !== '', Regex !== '') > 1) {
      yield `${route} QueryParam[${index}] should only contain one of Present, Exact, or Regex`
    }
  }
  for (const twice of repeated(Methods ?? [])) yield `${route} Methods contains ${JSON.stringify(twice)} more than once`
}

/** Items that occur again. */
export function repeated(items: readonly string[]): string[] {
  return items.filter((item, index) => items.indexOf(item) < index)
}

function* destinationProblems(
  route: string,
  destination: RouteDestination,
  http: RouteHttpMatch | null,
): Generator<string> {
  if (destination.PrefixRewrite !== '' && (http === null || (http.PathExact === '' && http.PathPrefix === ''))) {
    yield `${route} cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix`
  }
  for (const field of ['RequestTimeout', 'IdleTimeout'] as const) {
    if (destination[field] < 0) yield `${route} ${field} '${formatDuration(destination[field])}' must be >= 0`
  }
  yield* onlyDefault(route, destination)
  for (const condition of destination.RetryOn ?? []) {
    if (!RETRY_CONDITIONS.has(condition)) {
      yield `${route} contains an invalid retry condition: ${JSON.stringify(condition)}`
    }
  }
}

/** Namespaces and partitions other than `default` do not exist here, so nothing is sent to them by mistake. */
function* onlyDefault(
  at: string,
  { Namespace, Partition }: { Namespace: string; Partition: string },
): Generator<string> {
  if (Namespace !== '' && Namespace !== 'default') yield `${at}: Setting Namespace requires Consul Enterprise`
  if (Partition !== '' && Partition !== 'default') yield `${at}: Setting Partition requires Consul Enterprise`
}

/** A hundredth of a percent is the smallest share. */
const SHARES_PER_PERCENT = 100

export function* splitterProblems(entry: ServiceSplitter): Generator<string> {
  const splits = entry.Splits ?? []
  if (splits.length === 0) yield 'no splits configured'
  const seen = new Set<string>()
  let shares = 0
  let sum = 0
  for (const [index, split] of splits.entries()) {
    yield* weightProblems(split)
    yield* onlyDefault(`Split[${index}]`, split)
    const key = JSON.stringify([split.Service === '' ? entry.Name : split.Service, split.ServiceSubset])
    if (seen.has(key)) yield `split destination occurs more than once: ${destinationText(split)}`
    seen.add(key)
    shares += Math.round(split.Weight * SHARES_PER_PERCENT)
    sum += split.Weight
  }
  if (shares !== 100 * SHARES_PER_PERCENT) yield `the sum of all split weights must be 100, not ${sum.toFixed(6)}`
}

function* weightProblems({ Weight }: ServiceSplit): Generator<string> {
  if (Weight < 0 || Weight > 100.01) yield `split weights must be between 0 and 100, not ${Weight.toFixed(6)}`
  if (Weight > 0 && Math.round(Weight * SHARES_PER_PERCENT) === 0) {
    yield `split weights must be at least 0.01, not ${Weight.toFixed(6)}`
  }
}

function destinationText({ Service, ServiceSubset, Namespace, Partition }: ServiceSplit): string {
  const quoted = (text: string) => JSON.stringify(text)
  return `service=${quoted(Service)}, subset=${quoted(ServiceSubset)}, namespace=${quoted(Namespace)}, partition=${quoted(Partition)}`
}
