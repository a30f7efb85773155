/**
 * Whether a service-resolver makes sense: subsets, redirect, failover, load balancing.
 */
import { formatDuration, HanseError } from '#base'
import { checkFilterSyntax, type LoadBalancer, type ResolverFailover, type ServiceResolver } from '#codec'

const SUBSET_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/
const MAX_SUBSET_CHARACTERS = 63
const SUBSET_RULE = `must be ${MAX_SUBSET_CHARACTERS} characters or fewer, begin or end with lower case alphanumeric characters, and contain lower case alphanumeric characters or '-' in between`

export function* resolverProblems(entry: ServiceResolver): Generator<string> {
  const subsets = entry.Subsets ?? {}
  const failover = entry.Failover ?? {}
  yield* subsetProblems(subsets)
  const isSubset = (name: string) => Object.hasOwn(subsets, name)
  if (entry.DefaultSubset !== '' && !isSubset(entry.DefaultSubset)) {
    yield `DefaultSubset ${quoted(entry.DefaultSubset)} is not a valid subset`
  }
  if (entry.Redirect !== null && Object.keys(failover).length > 0) yield 'Redirect and Failover cannot both be set'
  if (entry.Redirect !== null) yield* redirectProblems(entry.Redirect, isSubset)
  for (const key of Object.keys(failover).sort()) {
    if (key !== '*' && !isSubset(key)) yield `Bad Failover[${quoted(key)}]: not a valid subset subset`
    yield* failoverProblems(`Bad Failover[${quoted(key)}]`, failover[key]!, isSubset)
  }
  for (const field of ['ConnectTimeout', 'RequestTimeout'] as const) {
    if (entry[field] < 0) yield `Bad ${field} '${formatDuration(entry[field])}', must be >= 0`
  }
  if (entry.PrioritizeByLocality !== null) yield 'Setting PrioritizeByLocality requires Consul Enterprise'
  if (entry.LoadBalancer !== null) yield* balancerProblems(entry.LoadBalancer)
}

function* subsetProblems(subsets: NonNullable<ServiceResolver['Subsets']>): Generator<string> {
  for (const name of Object.keys(subsets).sort()) {
    if (name === '') yield 'Subset defined with empty name'
    if (name.length > MAX_SUBSET_CHARACTERS || !SUBSET_NAME.test(name)) {
      yield `Subset ${quoted(name)} is invalid: ${SUBSET_RULE}`
    }
    const problem = filterProblem(subsets[name]!.Filter)
    if (problem !== undefined) yield `Filter for subset ${quoted(name)} is not a valid expression: ${problem}`
  }
}

function filterProblem(filter: string): string | undefined {
  if (filter === '') return undefined
  try {
    checkFilterSyntax(filter)
    return undefined
  } catch (thrown) {
    if (thrown instanceof HanseError) return String(thrown.facts['problem'])
    throw thrown
  }
}

type IsSubset = (name: string) => boolean

function* redirectProblems(redirect: NonNullable<ServiceResolver['Redirect']>, isSubset: IsSubset): Generator<string> {
  const { Service, ServiceSubset, Namespace, Partition, Datacenter, Peer, SamenessGroup } = redirect
  if ([Service, ServiceSubset, Namespace, Partition, Datacenter, Peer, SamenessGroup].every((field) => field === '')) {
    yield 'Redirect is empty'
  }
  if (SamenessGroup !== '') yield 'Redirect.SamenessGroup requires Consul Enterprise'
  if (Peer !== '') {
    if (ServiceSubset !== '') yield 'Redirect.Peer cannot be set with Redirect.ServiceSubset'
    if (Partition !== '') yield 'Redirect.Partition cannot be set with Redirect.Peer'
    if (Datacenter !== '') yield 'Redirect.Peer cannot be set with Redirect.Datacenter'
  }
  if (Service === '') {
    if (Namespace !== '') yield 'Redirect.Namespace defined without Redirect.Service'
    if (Partition !== '') yield 'Redirect.Partition defined without Redirect.Service'
    if (ServiceSubset !== '' && !isSubset(ServiceSubset)) {
      yield `Redirect.ServiceSubset ${quoted(ServiceSubset)} is not a valid subset`
    }
  }
  yield* defaultOnly('Redirect', Namespace, Partition)
}

function* failoverProblems(bad: string, failover: ResolverFailover, isSubset: IsSubset): Generator<string> {
  const { Service, ServiceSubset, Namespace, Datacenters, Targets, Policy, SamenessGroup } = failover
  const datacenters = Datacenters ?? []
  const targets = Targets ?? []
  const given = Service !== '' || ServiceSubset !== '' || Namespace !== '' || SamenessGroup !== ''
  if (!given && datacenters.length === 0 && targets.length === 0) {
    yield `${bad}: one of Service, ServiceSubset, Namespace, Targets, SamenessGroup, or Datacenters is required`
  }
  if (Policy !== null) yield `${bad}: Setting failover policies requires Consul Enterprise`
  if (SamenessGroup !== '') yield `${bad}: Setting SamenessGroup requires Consul Enterprise`
  if (targets.length > 0) {
    if (Service !== '') yield `${bad}: Targets cannot be set with Service`
    if (ServiceSubset !== '') yield `${bad}: Targets cannot be set with ServiceSubset`
    if (Namespace !== '') yield `${bad}: Targets cannot be set with Namespace`
    if (datacenters.length > 0) yield `${bad}: Targets cannot be set with Datacenters`
  }
  if (Service === '' && ServiceSubset !== '' && !isSubset(ServiceSubset)) {
    yield `${bad}.ServiceSubset ${quoted(ServiceSubset)} is not a valid subset`
  }
  if (datacenters.includes('')) yield `${bad}.Datacenters: found empty datacenter`
  yield* defaultOnly(bad, Namespace, '')
  for (const [index, target] of targets.entries()) {
    const at = `${bad}.Targets[${index}]`
    if (target.Peer !== '') {
      if (target.ServiceSubset !== '') yield `${at}: Peer cannot be set with ServiceSubset`
      if (target.Partition !== '') yield `${at}: Peer cannot be set with Partition`
      if (target.Datacenter !== '') yield `${at}: Peer cannot be set with Datacenter`
    }
    if (target.Service === '' && target.ServiceSubset !== '' && !isSubset(target.ServiceSubset)) {
      yield `${at}.ServiceSubset ${quoted(target.ServiceSubset)} is not a valid subset`
    }
    yield* defaultOnly(at, target.Namespace, target.Partition)
  }
}

function* defaultOnly(at: string, namespace: string, partition: string): Generator<string> {
  if (namespace !== '' && namespace !== 'default') yield `${at}: Setting Namespace requires Consul Enterprise`
  if (partition !== '' && partition !== 'default') yield `${at}: Setting Partition requires Consul Enterprise`
}

const POLICIES: ReadonlySet<string> = new Set(['', 'random', 'round_robin', 'least_request', 'ring_hash', 'maglev'])
const HASHING: ReadonlySet<string> = new Set(['ring_hash', 'maglev'])
const HASH_FIELDS: ReadonlySet<string> = new Set(['', 'header', 'cookie', 'query_parameter'])

function* balancerProblems(balancer: LoadBalancer): Generator<string> {
  const { Policy, RingHashConfig, LeastRequestConfig, HashPolicies } = balancer
  if (!POLICIES.has(Policy)) yield `Bad LoadBalancer policy: ${quoted(Policy)} is not supported`
  const incompatible = (what: string) =>
    `Bad LoadBalancer configuration. ${what} specified for incompatible load balancing policy ${quoted(Policy)}`
  if (RingHashConfig !== null && Policy !== 'ring_hash') yield incompatible('RingHashConfig')
  if (LeastRequestConfig !== null && Policy !== 'least_request') yield incompatible('LeastRequestConfig')
  const policies = HashPolicies ?? []
  if (policies.length > 0 && !HASHING.has(Policy)) {
    yield `Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: ${quoted(Policy)}`
  }
  for (const [index, policy] of policies.entries()) {
    const bad = `Bad LoadBalancer HashPolicy[${index}]`
    if (!HASH_FIELDS.has(policy.Field)) yield `${bad}: ${quoted(policy.Field)} is not a supported field`
    if (policy.SourceIP && policy.Field !== '')
      yield `${bad}: a single hash policy cannot hash both a source address and a ${quoted(policy.Field)}`
    if (!policy.SourceIP && policy.Field === '') yield `${bad}: one of Field or SourceIP is required`
    if (policy.Field !== '' && policy.FieldValue === '')
      yield `${bad}: Field is set to ${quoted(policy.Field)} but FieldValue is empty`
    if (policy.CookieConfig !== null && policy.Field !== 'cookie') {
      yield `${bad}: cookie_config provided for ${quoted(policy.Field)}`
    }
    if (policy.CookieConfig?.Session && policy.CookieConfig.TTL !== 0) {
      yield `${bad}: a session cookie cannot have an associated TTL`
    }
  }
}

const quoted = (text: string) => JSON.stringify(text)
