/**
 * What of the catalog a caller may see: filters that several operations share.
 *
 * An instance needs both its node and its service to be readable, a check its node and, where it is of a service, that
 * too. What may not be seen is left out, not refused.
 */
import type { CheckServiceNode, HealthCheck, NodeInfo } from '#codec'
import { type Kept, keep, type Rights } from './rights.ts'

export function seesInstance({ allows }: Rights, node: string, service: string): boolean {
  return allows.nodeRead(node) && allows.serviceRead(service)
}

export function seesCheck({ allows }: Rights, check: HealthCheck): boolean {
  return allows.nodeRead(check.Node) && (check.ServiceName === '' || allows.serviceRead(check.ServiceName))
}

export function seesCheckedInstance(rights: Rights, { Node, Service }: CheckServiceNode): boolean {
  return seesInstance(rights, Node?.Node ?? '', Service?.Service ?? '')
}

/** Of replies with a list of checks. */
export function visibleChecks<R extends { readonly HealthChecks: readonly HealthCheck[] | null }>(
  reply: R,
  rights: Rights,
): Kept<R> {
  const { items, filtered } = keep(reply.HealthChecks, (check) => seesCheck(rights, check))
  return { reply: filtered ? { ...reply, HealthChecks: items } : reply, filtered }
}

/** Of replies with a list of instances. */
export function visibleInstances<R extends { readonly Nodes: readonly CheckServiceNode[] | null }>(
  reply: R,
  rights: Rights,
): Kept<R> {
  const { items, filtered } = keep(reply.Nodes, (instance) => seesCheckedInstance(rights, instance))
  return { reply: filtered ? { ...reply, Nodes: items } : reply, filtered }
}

/** Of replies with nodes and all that is on them. */
export function visibleNodeInfos<R extends { readonly Dump: readonly NodeInfo[] | null }>(
  reply: R,
  rights: Rights,
): Kept<R> {
  const nodes = keep(reply.Dump, ({ Node }) => rights.allows.nodeRead(Node))
  let filtered = nodes.filtered
  const Dump =
    nodes.items?.map((info) => {
      const services = keep(info.Services, ({ Service }) => rights.allows.serviceRead(Service))
      const checks = keep(info.Checks, (check) => seesCheck(rights, check))
      filtered ||= services.filtered || checks.filtered
      return services.filtered || checks.filtered ? { ...info, Services: services.items, Checks: checks.items } : info
    }) ?? null
  return { reply: filtered ? { ...reply, Dump } : reply, filtered }
}
