/**
 * What a check found: a status and a text of bounded length. Pure.
 */
import type { AgentCheckType } from '#codec'

export interface ProbeResult {
  readonly status: 'passing' | 'warning' | 'critical'
  readonly output: string
}

export const NS_PER_MS = 1e6
/** Longer delays wrap around in the timers of the runtime. */
export const MAX_TIMER_MS = 2 ** 31 - 1
/** Most of an output that is kept, unless the configuration says otherwise. */
export const DEFAULT_OUTPUT_BYTES = 4_096
/** What a configuration may ask for at most: the state of a check goes into the catalog whole. */
export const MAX_OUTPUT_BYTES = 32_768

/**
 * How much of its output is kept of a check: what it asks for, never more than its agent keeps of any.
 *
 * @param agentBytes - `check_output_max_size`
 */
export function outputBytesOf(type: AgentCheckType, agentBytes: number): number {
  const most = Math.min(agentBytes, MAX_OUTPUT_BYTES)
  return type.OutputMaxSize > 0 ? Math.min(type.OutputMaxSize, most) : most
}

/** The first `maxBytes` of a text; where some was left out, it says how much. No character is cut in two. */
export function cutOutput(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  let end = maxBytes
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${bytes.subarray(0, end).toString('utf8')} ... (captured ${maxBytes} of ${bytes.length} bytes)`
}
