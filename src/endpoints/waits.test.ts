/** How long a call to another datacenter may take, and what it is told of the wait that is meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cappedWaitMs, forwardedWait } from './waits.ts'

const NS_PER_MS = 1_000_000
const waits = { defaultMs: 16_000, maxMs: 32_000, callMs: 5_000 }

test('cappedWaitMs() is what is asked for, else the default, and never above the limit', () => {
  assert.equal(cappedWaitMs(waits, 0), 16_000)
  assert.equal(cappedWaitMs(waits, 2 * NS_PER_MS), 2)
  assert.equal(cappedWaitMs(waits, 64_000 * NS_PER_MS), 32_000)
})

test('forwardedWait() gives a call that does not block the time of rpc_client_timeout, and leaves its arguments', () => {
  for (const args of [{}, { MinQueryIndex: 0, MaxQueryTime: 0 }, { MinQueryIndex: 0, MaxQueryTime: NS_PER_MS }]) {
    assert.deepEqual(forwardedWait(waits, args), { args, timeoutMs: 5_000 })
  }
})

test('forwardedWait() says the wait that is meant, and leaves time for it, its jitter and the way', () => {
  for (const [asked, meant] of [
    [0, 16_000],
    [8_000, 8_000],
    [64_000, 32_000],
  ] as const) {
    assert.deepEqual(forwardedWait(waits, { MinQueryIndex: 7, MaxQueryTime: asked * NS_PER_MS }), {
      args: { MinQueryIndex: 7, MaxQueryTime: meant * NS_PER_MS },
      timeoutMs: meant + meant / 16 + 7_000,
    })
  }
})
