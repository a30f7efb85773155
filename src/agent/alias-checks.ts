/**
 * Alias checks: as healthy as the service or node they stand for, here or elsewhere in the datacenter. Pure.
 */
import type { HealthCheck } from '#codec'
import type { ProbeResult } from './check-probes.ts'

const RANK: Readonly<Record<string, number>> = { passing: 0, warning: 1, critical: 2 }

/** The state that an alias takes from the checks it stands for. */
export function aliasState(checks: readonly HealthCheck[]): ProbeResult {
  let worst: HealthCheck | undefined
  for (const check of checks) {
    if ((RANK[check.Status] ?? 2) > (worst ? (RANK[worst.Status] ?? 2) : 0)) worst = check
  }
  if (checks.length === 0) return { status: 'passing', output: 'No checks found.' }
  if (!worst) return { status: 'passing', output: 'All checks passing.' }
  return {
    status: worst.Status === 'warning' ? 'warning' : 'critical',
    output: `Aliased check "${worst.Name}" failing: ${worst.Output}`,
  }
}

/** Which checks an alias stands for: those of a node, and of a service where one is named. */
export function aliasedChecks(checks: readonly HealthCheck[], serviceId: string): readonly HealthCheck[] {
  return checks.filter((check) => check.ServiceID === '' || check.ServiceID === serviceId)
}
