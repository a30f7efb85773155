/**
 * How long requests took, by route and method: `consul.api.http`.
 *
 * The registry finds a series by a key made of its labels; a route's series is looked up that way once, because doing it for
 * each request would be a good part of what a request costs.
 */
import type { Metrics } from '#base'

const NAME = 'consul.api.http'

type Labels = Readonly<Record<string, string>>
type Series = Metrics['samples'] extends Map<string, infer S> ? S : never

export class RequestTimes {
  readonly #metrics: Metrics
  readonly #labels: Labels
  #series: Series | undefined

  constructor(metrics: Metrics, labels: Labels) {
    this.#metrics = metrics
    this.#labels = labels
  }

  add(tookMs: number): void {
    const series = this.#series
    if (series === undefined) {
      this.#first(tookMs)
      return
    }
    series.count++
    series.sum += tookMs
    series.sumOfSquares += tookMs * tookMs
    if (tookMs < series.min) series.min = tookMs
    if (tookMs > series.max) series.max = tookMs
  }

  /** Makes or finds the series; none is kept when the registry is full. */
  #first(tookMs: number): void {
    this.#metrics.sample(NAME, tookMs, this.#labels)
    const { method, path } = this.#labels
    for (const series of this.#metrics.samples.values()) {
      if (series.name !== NAME || series.labels.method !== method || series.labels.path !== path) continue
      this.#series = series
      return
    }
  }
}
