/**
 * Alias checks: as healthy as the service or node they stand for, here or elsewhere in the datacenter. Pure.
 *
 * An alias is always worked out from checks that are none, through other aliases where it stands for these. So the order
 * in which they are worked out does not matter, and aliases that stand for each other cannot keep each other critical.
 */
import type { HealthCheck } from '#codec'
import type { ProbeResult } from './check-probes.ts'

const RANK: Readonly<Record<string, number>> = { passing: 0, warning: 1, critical: 2 }
const WORST_RANK = 2

/** What is known about checks when an alias is worked out. */
export interface AliasedChecks {
  /** The checks that an alias stands for; undefined for a check that is no alias of this agent. */
  of(check: HealthCheck): readonly HealthCheck[] | undefined
}

/** The state that an alias takes from the checks it stands for. */
export function aliasState(alias: HealthCheck, known: AliasedChecks): ProbeResult {
  return resolve(alias, known, new Set())
}

function resolve(alias: HealthCheck, known: AliasedChecks, seen: Set<string>): ProbeResult {
  seen.add(alias.CheckID)
  const checks = (known.of(alias) ?? []).flatMap((check) => {
    if (known.of(check) === undefined) return [{ name: check.Name, status: check.Status, output: check.Output }]
    return seen.has(check.CheckID) ? [] : [{ name: check.Name, ...resolve(check, known, seen) }]
  })
  if (checks.length === 0) return { status: 'passing', output: 'No checks found.' }
  const worst = checks.reduce((left, right) => (rank(right.status) > rank(left.status) ? right : left))
  if (rank(worst.status) === 0) return { status: 'passing', output: 'All checks passing.' }
  return {
    status: worst.status === 'warning' ? 'warning' : 'critical',
    output: `Aliased check "${worst.name}" failing: ${worst.output}`,
  }
}

function rank(status: string): number {
  return RANK[status] ?? WORST_RANK
}

/** Which checks an alias stands for: those of a node, and of a service where one is named. */
export function aliasedChecks(checks: readonly HealthCheck[], serviceId: string): readonly HealthCheck[] {
  return checks.filter((check) => check.ServiceID === '' || check.ServiceID === serviceId)
}
