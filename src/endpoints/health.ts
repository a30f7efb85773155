/**
 * Health.*: services with the checks that say whether they can be used, and the checks alone.
 */
import {
  type CheckServiceNode,
  ChecksInStateRequest,
  type HealthCheck,
  IndexedCheckServiceNodes,
  IndexedHealthChecks,
  NodeSpecificRequest,
  ServiceSpecificRequest,
} from '#codec'
import type { ReadTx } from '#state'
import { withCentralConfig } from './central-config.ts'
import { endpointError } from './errors.ts'
import { checkServiceNodeFields, healthCheckFields } from './filter-fields.ts'
import { readOperation } from './operation.ts'
import { filtered, hasMetadata, nearestFirst, tagTest } from './selection.ts'
import { visibleChecks, visibleInstances } from './visible.ts'

/** What `HealthFilterType` asks for. */
const EXCLUDE_CRITICAL = 1
const ONLY_PASSING = 2

/** Instances with their node and checks. */
export const serviceNodes = readOperation({
  name: 'Health.ServiceNodes',
  args: ServiceSpecificRequest,
  reply: IndexedCheckServiceNodes,
  scope: 'datacenter',
  check: requireService,
  query(tx, args, context) {
    const hasTags = tagTest(args)
    const isHealthy = healthTest(args.HealthFilterType)
    const wanted = instancesFor(tx, args).filter(
      ({ Node, Service, Checks }) =>
        hasMetadata(args.NodeMetaFilters, Node?.Meta ?? null) && hasTags(Service?.Tags ?? null) && isHealthy(Checks),
    )
    const kept = filtered(wanted, args.Filter, checkServiceNodeFields)
    return IndexedCheckServiceNodes.of({
      Nodes: nearestFirst(kept, args.Source, context, (each) => each.Node?.Node ?? ''),
    })
  },
  filter(reply, rights, args) {
    // A sidecar shows its destination, whatever it is called itself.
    if (!args.Connect || rights.allows.serviceRead(args.ServiceName)) return visibleInstances(reply, rights)
    return { reply: { ...reply, Nodes: [] }, filtered: (reply.Nodes ?? []).length > 0 }
  },
})

function instancesFor(tx: ReadTx, args: ServiceSpecificRequest): readonly CheckServiceNode[] {
  // Nothing comes from peers, and nothing is behind an ingress gateway: neither is served.
  if (args.Ingress || args.PeerName !== '') return []
  const instances = tx.instances(args.ServiceName, { connect: args.Connect })
  if (!args.MergeCentralConfig) return instances
  return instances.map((instance) =>
    instance.Service === null ? instance : { ...instance, Service: withCentralConfig(tx, instance.Service) },
  )
}

function healthTest(type: number): (checks: readonly HealthCheck[] | null) => boolean {
  if (type === ONLY_PASSING) return (checks) => checks?.every(({ Status }) => Status === 'passing') ?? true
  if (type === EXCLUDE_CRITICAL) return (checks) => checks?.every(({ Status }) => Status !== 'critical') ?? true
  return () => true
}

/** The checks of a service's instances, without those of their nodes. */
export const serviceChecks = readOperation({
  name: 'Health.ServiceChecks',
  args: ServiceSpecificRequest,
  reply: IndexedHealthChecks,
  scope: 'datacenter',
  check: requireService,
  query(tx, args, context) {
    const checks = onNodesWith(tx, tx.checks.ofService(args.ServiceName), args.NodeMetaFilters)
    const kept = filtered(checks, args.Filter, healthCheckFields)
    return IndexedHealthChecks.of({ HealthChecks: nearestFirst(kept, args.Source, context, ({ Node }) => Node) })
  },
  filter: visibleChecks,
})

/** All checks of a node and of what runs on it. */
export const nodeChecks = readOperation({
  name: 'Health.NodeChecks',
  args: NodeSpecificRequest,
  reply: IndexedHealthChecks,
  scope: 'datacenter',
  check(args) {
    if (args.Node === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide node' })
  },
  query: (tx, args) =>
    IndexedHealthChecks.of({ HealthChecks: filtered(tx.checks.ofNode(args.Node), args.Filter, healthCheckFields) }),
  filter: visibleChecks,
})

/** All checks in a state, "any" for all of them; an unknown state has none. */
export const checksInState = readOperation({
  name: 'Health.ChecksInState',
  args: ChecksInStateRequest,
  reply: IndexedHealthChecks,
  scope: 'datacenter',
  query(tx, args, context) {
    const checks = onNodesWith(tx, tx.checks.inState(args.State), args.NodeMetaFilters)
    const kept = filtered(checks, args.Filter, healthCheckFields)
    return IndexedHealthChecks.of({ HealthChecks: nearestFirst(kept, args.Source, context, ({ Node }) => Node) })
  },
  filter: visibleChecks,
})

function requireService(args: ServiceSpecificRequest): void {
  if (args.ServiceName === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide service name' })
}

function onNodesWith(
  tx: ReadTx,
  checks: readonly HealthCheck[],
  wanted: Readonly<Record<string, string>> | null,
): readonly HealthCheck[] {
  if (wanted === null || Object.keys(wanted).length === 0) return checks
  return checks.filter(({ Node }) => hasMetadata(wanted, tx.nodes.get(Node)?.Meta ?? null))
}
