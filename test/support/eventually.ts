/**
 * Waiting for what is to become true: asks again and again, and says what was last seen when it does not.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '#base'

const POLL_MS = 25
const DEFAULT_TIMEOUT_MS = 20_000

/**
 * Calls `attempt` until it does not throw.
 *
 * @param what - completes the sentence "wait until …"
 * @returns milliseconds that it took
 */
export async function eventually(
  what: string,
  attempt: () => unknown,
  { timeoutMs = DEFAULT_TIMEOUT_MS, pollMs = POLL_MS } = {},
): Promise<number> {
  const startedMs = performance.now()
  for (;;) {
    try {
      await attempt()
      return performance.now() - startedMs
    } catch (error) {
      if (performance.now() - startedMs > timeoutMs) {
        throw new Error(`wait until ${what}: not after ${timeoutMs / 1000} s: ${messageOf(error)}`, { cause: error })
      }
    }
    await delay(pollMs)
  }
}

/** Seconds with two digits, for what tests print. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
