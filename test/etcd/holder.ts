/**
 * A process that wants a duty, for duty.test.ts: says on its standard output every few milliseconds that it has it, with
 * the machine's monotonic time in milliseconds, which all processes share.
 *
 * Arguments: PREFIX SERVER ENDPOINT…. Lines: `held TIME`, again and again, and `wait TIME`.
 */
import { writeSync } from 'node:fs'
import { argv, hrtime } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { openEngine } from './storm.ts'

export const DUTY_MS = 3_000
const SAY_MS = 10

export const machineMs = (): number => Number(hrtime.bigint() / 1_000_000n)

if (import.meta.main) {
  const [, , prefix = '', server = '', ...endpoints] = argv
  setInterval(() => {}, DUTY_MS)
  const engine = await openEngine(endpoints, prefix, server)
  const lease = engine.lease('duty', { ttlMs: DUTY_MS, holder: server })
  for (;;) {
    writeSync(1, `wait ${machineMs()}\n`)
    const duty = await lease.acquire()
    while (!duty.aborted) {
      writeSync(1, `held ${machineMs()}\n`)
      await delay(SAY_MS)
    }
  }
}
