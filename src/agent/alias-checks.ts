/**
 * Alias checks: as healthy as the service or node they stand for, here or elsewhere in the datacenter. Pure.
 *
 * An alias of what has aliases itself takes the state of what these stand for in the end, so that aliases that point at
 * each other, or at themselves, hold nobody critical.
 */
import type { HealthCheck } from '#codec'
import type { ProbeResult } from './check-results.ts'

/** Outputs of aliases of aliases grow by each of them, up to this. */
const MAX_ALIAS_OUTPUT_CHARACTERS = 16_384
const RANK = { passing: 0, warning: 1, critical: 2 } as const

/** What an alias stands for. `node` "": this agent's. `service` "": the node itself. */
export interface AliasTarget {
  readonly node: string
  readonly service: string
}

/** What is known of the targets. */
export interface AliasView {
  /** The target's checks and those of its node; undefined when there is no such service. */
  checks(target: AliasTarget): readonly HealthCheck[] | undefined
  /** What a check of this agent stands for, when it is an alias. */
  aliasOf(check: HealthCheck, target: AliasTarget): AliasTarget | undefined
}

/** The state that the alias `id` takes. */
export function aliasState(id: string, target: AliasTarget, view: AliasView): ProbeResult {
  return evaluate(target, view, new Set([id]))
}

function evaluate(target: AliasTarget, view: AliasView, seen: ReadonlySet<string>): ProbeResult {
  const checks = view.checks(target)
  if (checks === undefined) {
    const place = target.node === '' ? '' : ` on node ${target.node}`
    return { status: 'critical', output: `Service ${target.service} could not be found${place}` }
  }
  let worst: { name: string; result: ProbeResult } | undefined
  let count = 0
  for (const check of checks) {
    const further = view.aliasOf(check, target)
    if (further && seen.has(check.CheckID)) continue
    count++
    const result = further ? evaluate(further, view, new Set(seen).add(check.CheckID)) : stateOf(check)
    if (RANK[result.status] > (worst ? RANK[worst.result.status] : 0)) worst = { name: check.Name, result }
  }
  if (count === 0) return { status: 'passing', output: 'No checks found.' }
  if (!worst) return { status: 'passing', output: 'All checks passing.' }
  const output = `Aliased check "${worst.name}" failing: ${worst.result.output}`
  return { status: worst.result.status, output: output.slice(0, MAX_ALIAS_OUTPUT_CHARACTERS) }
}

function stateOf({ Status, Output }: HealthCheck): ProbeResult {
  const status = Status === 'passing' || Status === 'warning' ? Status : 'critical'
  return { status, output: Output }
}
