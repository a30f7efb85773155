/**
 * Internal.CatalogOverview: the health of the whole catalog in numbers.
 */
import { CatalogSummary, DCSpecificRequest, type HealthCheck, HealthSummary } from '#codec'
import type { ReadTx } from '#state'
import { callOperation } from './operation.ts'

type Status = 'Passing' | 'Warning' | 'Critical'

export const catalogOverview = callOperation({
  name: 'Internal.CatalogOverview',
  args: DCSpecificRequest,
  reply: CatalogSummary,
  scope: 'datacenter',
  authorize: (_, rights) => rights.need(rights.allows.operatorRead(), 'operator:read'),
  run: async ({ state }) => state.read(summarize).value,
})

function summarize(tx: ReadTx): CatalogSummary {
  const nodes = new Map<string, HealthSummary>()
  const services = new Map<string, HealthSummary>()
  const checks = new Map<string, HealthSummary>()
  for (const node of tx.nodes.all()) {
    const own = tx.checks.ofNode(node.Node).filter(({ ServiceID }) => ServiceID === '')
    count(nodes, '', worst(own))
  }
  for (const { node, service } of tx.services.all()) {
    count(services, service.Service, worst(tx.checks.forInstance(node.Node, service.ID)))
  }
  for (const check of tx.checks.inState('any')) count(checks, check.Name, worst([check]))
  return CatalogSummary.of({ Nodes: [...nodes.values()], Services: byName(services), Checks: byName(checks) })
}

/** Without checks: passing. */
function worst(checks: readonly HealthCheck[]): Status {
  if (checks.some(({ Status }) => Status === 'critical')) return 'Critical'
  return checks.some(({ Status }) => Status === 'warning') ? 'Warning' : 'Passing'
}

function count(summaries: Map<string, HealthSummary>, name: string, status: Status): void {
  const before = summaries.get(name) ?? HealthSummary.of({ Name: name })
  summaries.set(name, { ...before, Total: before.Total + 1, [status]: before[status] + 1 })
}

function byName(summaries: ReadonlyMap<string, HealthSummary>): readonly HealthSummary[] {
  return [...summaries.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1))
}
