/**
 * Loaded into each process that runs a test file: ends it when its tests are over, though something in it is left open.
 *
 * `--test-force-exit` does so too, but at once: what the process has still to tell of its tests is lost then, and they
 * are missing in the count.
 */
import { after } from 'node:test'

/** A process that has nothing open ends by itself, long before. */
const GRACE_MS = 3_000

if (process.env.NODE_TEST_CONTEXT?.startsWith('child')) {
  after(() => {
    setTimeout(() => process.exit(), GRACE_MS).unref()
  })
}
