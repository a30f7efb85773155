/**
 * The contract of engine.ts as tests: `engineContract(name, open)` runs the same ones against every engine.
 *
 * Not a test by itself: each engine's test file calls it. Engines may be shared with other writers and may not begin
 * at revision 0, so the tests compare revisions and never expect a number.
 */
import { test } from 'node:test'
import type { Check, EngineUnderTest } from './contract-fixture.ts'
import { checkEnds, checkLeases, checkRefusals } from './contract-limits.ts'
import { checkReplacements } from './contract-replacement.ts'
import { checkStream } from './contract-stream.ts'
import { checkExpectations, checkTransactions } from './contract-transactions.ts'

/** Declares the contract's tests for one engine. */
export function engineContract(name: string, open: () => Promise<EngineUnderTest>): void {
  const check: Check = (criterion, body) =>
    test(`${name}: ${criterion}`, async () => {
      const under = await open()
      try {
        await body(under.engine, under)
      } finally {
        await under.dispose()
      }
    })
  checkTransactions(check)
  checkExpectations(check)
  checkStream(check)
  checkReplacements(check)
  checkRefusals(check)
  checkLeases(check)
  checkEnds(check)
}
