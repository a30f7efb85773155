/**
 * What benchmarks answered, as text for a terminal and as Markdown to keep.
 */
import { type BenchResult, type Goal, isReached } from './result.ts'

/** By name of the benchmark. `machine` says what measured it, without its name. */
export type Results = Readonly<
  Record<string, { readonly machine: string; readonly day: string; readonly results: readonly BenchResult[] }>
>

function goalText(goal: Goal | undefined, unit: string): string {
  if (goal === undefined) return ''
  if ('ratioAtMost' in goal) return `≤ ${goal.ratioAtMost} ×`
  if ('ratioAtLeast' in goal) return `≥ ${goal.ratioAtLeast} ×`
  return 'valueAtMost' in goal ? `≤ ${goal.valueAtMost} ${unit}` : `≥ ${goal.valueAtLeast} ${unit}`
}

function verdict(result: BenchResult): string {
  const reached = isReached(result)
  return reached === undefined ? '' : reached ? 'reached' : 'NOT REACHED'
}

const HEAD = ['question', 'value', 'yardstick', 'ratio', 'goal', ''] as const

function cells(result: BenchResult): readonly string[] {
  const { question, unit, value, yardstick, ratio, goal } = result
  return [question, `${value} ${unit}`, `${yardstick} ${unit}`, `${ratio} ×`, goalText(goal, unit), verdict(result)]
}

/** A table with aligned columns, two spaces in. */
export function asText(results: readonly BenchResult[]): string {
  const rows = [HEAD, ...results.map(cells)]
  const widths = HEAD.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')
  return rows.map((row) => `  ${line(row).trimEnd()}\n`).join('')
}

export function asMarkdown(all: Results): string {
  const sections = Object.entries(all).map(([name, { machine, day, results }]) => {
    const rows = results.map((result) => `| ${cells(result).join(' | ')} |\n`).join('')
    return `\n## ${name}\n\n${day}: ${machine}\n\n| ${HEAD.join(' | ')} |\n|---|---|---|---|---|---|\n${rows}`
  })
  return `# Last results\n\nWritten by \`npm run bench\`; what is asked and why: [../README.md](../README.md).\n${sections.join('')}`
}
