/**
 * Metrics as /v1/agent/metrics shows them: JSON in Consul's form, and Prometheus text.
 *
 * Counters and samples run since the agent's start; rates are per second over that time.
 */
import type { Labels, Metrics } from '#base'

const MS_PER_S = 1000

interface Series {
  readonly name: string
  readonly labels: Labels
}

function byName(left: Series, right: Series): number {
  if (left.name !== right.name) return left.name < right.name ? -1 : 1
  return JSON.stringify(left.labels) < JSON.stringify(right.labels) ? -1 : 1
}

/** @param uptimeMs - what rates are taken over */
export function metricsJson(metrics: Metrics, wallMs: number, uptimeMs: number): unknown {
  const seconds = Math.max(1, uptimeMs / MS_PER_S)
  const stamp = `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
  return {
    Timestamp: stamp,
    Gauges: [...metrics.gauges.values()]
      .sort(byName)
      .map(({ name, labels, value }) => ({ Name: name, Value: value, Labels: labels })),
    Points: [],
    Counters: [...metrics.counters.values()].sort(byName).map(({ name, labels, count, sum }) => ({
      Name: name,
      Count: count,
      Rate: sum / seconds,
      Sum: sum,
      Min: count === 0 ? 0 : sum / count,
      Max: count === 0 ? 0 : sum / count,
      Mean: count === 0 ? 0 : sum / count,
      Stddev: 0,
      Labels: labels,
    })),
    Samples: [...metrics.samples.values()].sort(byName).map((series) => ({
      Name: series.name,
      Count: series.count,
      Rate: series.sum / seconds,
      Sum: series.sum,
      Min: series.min,
      Max: series.max,
      Mean: series.sum / series.count,
      Stddev: deviation(series.count, series.sum, series.sumOfSquares),
      Labels: series.labels,
    })),
  }
}

function deviation(count: number, sum: number, sumOfSquares: number): number {
  if (count < 2) return 0
  return Math.sqrt(Math.max(0, (count * sumOfSquares - sum * sum) / (count * (count - 1))))
}

/** Prometheus text exposition format, version 0.0.4. */
export function prometheusText(metrics: Metrics): string {
  const lines: string[] = []
  const typed = new Set<string>()
  const head = (series: Series, type: string) => {
    const name = series.name.replace(/[^a-zA-Z0-9_:]/g, '_')
    if (!typed.has(name)) lines.push(`# HELP ${name} ${name}`, `# TYPE ${name} ${type}`)
    typed.add(name)
    return name
  }
  for (const series of [...metrics.gauges.values()].sort(byName)) {
    lines.push(`${head(series, 'gauge')}${labelText(series.labels)} ${series.value}`)
  }
  for (const series of [...metrics.counters.values()].sort(byName)) {
    lines.push(`${head(series, 'counter')}${labelText(series.labels)} ${series.sum}`)
  }
  for (const series of [...metrics.samples.values()].sort(byName)) {
    const name = head(series, 'summary')
    const labels = labelText(series.labels)
    lines.push(`${name}_sum${labels} ${series.sum}`, `${name}_count${labels} ${series.count}`)
  }
  return `${lines.join('\n')}\n`
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))
    return `${name.replace(/[^a-zA-Z0-9_]/g, '_')}="${escaped}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
