/**
 * Durations as Go writes and reads them ("1h30m", "500ms", "1m0s"), in nanoseconds as they travel on the wire.
 */

const UNIT_NS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/**
 * Reads a Go duration.
 *
 * @returns nanoseconds, or undefined when `text` is not a duration (a number without a unit is none, except "0")
 */
export function parseDuration(text: string): number | undefined {
  const match = /^([+-]?)(.*)$/s.exec(text)
  const body = match?.[2] ?? ''
  if (body === '0') return 0
  if (body === '') return undefined
  let rest = body
  let total = 0
  while (rest !== '') {
    const part = /^(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/.exec(rest)
    if (!part) return undefined
    total += Number(part[1]) * UNIT_NS[part[2]!]!
    rest = rest.slice(part[0].length)
  }
  const rounded = Math.round(total)
  return match?.[1] === '-' ? -rounded : rounded
}

function trimFraction(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.?0+$/, '')
}

/** Writes nanoseconds as Go does: "0s", "1.5ms", "1m0s", "72h0m0s". */
export function formatDuration(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const abs = Math.abs(ns)
  if (abs < 1e3) return `${sign}${abs}ns`
  if (abs < 1e6) return `${sign}${trimFraction(abs / 1e3, 3)}µs`
  if (abs < 1e9) return `${sign}${trimFraction(abs / 1e6, 6)}ms`
  const hours = Math.floor(abs / 3600e9)
  const minutes = Math.floor((abs % 3600e9) / 60e9)
  const secondsNs = abs % 60e9
  const seconds = trimFraction(secondsNs / 1e9, 9)
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`
  if (minutes > 0) return `${sign}${minutes}m${seconds}s`
  return `${sign}${seconds}s`
}
