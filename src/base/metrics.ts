/**
 * Counters, gauges and samples, declared beside what they measure and read by /v1/agent/metrics.
 *
 * Names are Consul's with the prefix "consul." (dashboards match on them); ours alone begin with "hanse.".
 */

export type Labels = Readonly<Record<string, string>>

interface Series {
  readonly name: string
  readonly labels: Labels
}

export interface CounterSeries extends Series {
  count: number
  sum: number
}

export interface SampleSeries extends Series {
  count: number
  sum: number
  sumOfSquares: number
  min: number
  max: number
}

export interface GaugeSeries extends Series {
  value: number
}

function keyOf(name: string, labels: Labels): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((label) => `${label}=${labels[label]}`)
  return pairs.length === 0 ? name : `${name};${pairs.join(';')}`
}

/** Most series one registry holds; further ones are dropped and counted in `dropped`. */
export const MAX_SERIES = 10_000

export class Metrics {
  readonly counters = new Map<string, CounterSeries>()
  readonly gauges = new Map<string, GaugeSeries>()
  readonly samples = new Map<string, SampleSeries>()
  dropped = 0

  #full(): boolean {
    if (this.counters.size + this.gauges.size + this.samples.size < MAX_SERIES) return false
    this.dropped++
    return true
  }

  /** Adds `by` to a counter. */
  count(name: string, by = 1, labels: Labels = {}): void {
    const key = keyOf(name, labels)
    const series = this.counters.get(key)
    if (series) {
      series.count++
      series.sum += by
    } else if (!this.#full()) {
      this.counters.set(key, { name, labels, count: 1, sum: by })
    }
  }

  /** Sets a gauge. */
  gauge(name: string, value: number, labels: Labels = {}): void {
    const key = keyOf(name, labels)
    const series = this.gauges.get(key)
    if (series) series.value = value
    else if (!this.#full()) this.gauges.set(key, { name, labels, value })
  }

  /** Forgets a gauge: what it measured is gone. */
  dropGauge(name: string, labels: Labels = {}): void {
    this.gauges.delete(keyOf(name, labels))
  }

  /** Adds one observation, for times in milliseconds. */
  sample(name: string, value: number, labels: Labels = {}): void {
    const key = keyOf(name, labels)
    const series = this.samples.get(key)
    if (series) {
      series.count++
      series.sum += value
      series.sumOfSquares += value * value
      series.min = Math.min(series.min, value)
      series.max = Math.max(series.max, value)
    } else if (!this.#full()) {
      this.samples.set(key, { name, labels, count: 1, sum: value, sumOfSquares: value * value, min: value, max: value })
    }
  }
}
