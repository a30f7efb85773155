/**
 * When a secondary joins the WAN pool: until it is in, and again when the primary may have forgotten it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, silentLogger } from '#base'
import { WanJoin } from './wan-join.ts'

/** A join whose pool the test stands for. */
function joining() {
  const clock = new ManualClock()
  const state = { joined: false, answers: true, targets: [] as string[] }
  const wan = {
    join: async (targets: readonly string[]) => {
      state.targets.push(...targets)
      if (state.answers) state.joined = true
      return { joined: state.answers ? 1 : 0, errors: state.answers ? [] : ['connection refused'] }
    },
  }
  const join = new WanJoin('dc1', { wan, clock, log: silentLogger, joined: () => state.joined })
  const advance = async (ms: number) => {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { join, state, advance }
}

test('WanJoin asks for any server of the primary, with growing pauses, until one is in the pool', async () => {
  const { join, state, advance } = joining()
  state.answers = false
  join.start()
  await advance(10_000)
  assert.ok(state.targets.length >= 6 && state.targets.length <= 10, `${state.targets.length} attempts`)
  assert.match(state.targets[0] ?? '', /^\*\.dc1\//)
  assert.equal(join.lastError, 'connection refused')
  state.answers = true
  await advance(6_000)
  const attempts = state.targets.length
  await advance(10_000)
  assert.equal(state.targets.length, attempts)
  assert.equal(join.lastError, '')
  join.stop()
})

test('WanJoin joins once more when told to, though a server of the primary is in the pool', async () => {
  const { join, state, advance } = joining()
  join.start()
  await advance(2_000)
  assert.equal(state.targets.length, 1)
  join.again()
  await advance(5_000)
  assert.equal(state.targets.length, 2)
  join.stop()
})
