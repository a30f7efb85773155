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

/** How far aliases of aliases are followed; further on, an alias counts with the state that it has. */
const MAX_DEPTH = 64

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
  return evaluate(target, view, new Set([id]), 0)
}

/** @param seen - aliases that count already: the worst of all is the same, however often each is looked at */
function evaluate(target: AliasTarget, view: AliasView, seen: Set<string>, depth: number): ProbeResult {
  const checks = view.checks(target)
  if (checks === undefined) {
    const place = target.node === '' ? '' : ` on node ${target.node}`
    return { status: 'critical', output: `Service ${target.service} could not be found${place}` }
  }
  let worst: { name: string; result: ProbeResult } | undefined
  let count = 0
  for (const check of checks) {
    const further = depth < MAX_DEPTH ? view.aliasOf(check, target) : undefined
    if (further && seen.has(check.CheckID)) continue
    count++
    const result = further ? evaluate(further, view, seen.add(check.CheckID), depth + 1) : stateOf(check)
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
