/**
 * How long a suspect has, by the number of its accusers.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Suspicion, suspicionLimits, suspicionTimeoutMs } from './suspicion.ts'
import { gossipTiming } from './timing.ts'

const lan = gossipTiming('lan')

test('suspicionLimits() grow with the logarithm of the pool, and want confirmations only where there are nodes for them', () => {
  assert.deepEqual(suspicionLimits(lan, 3), { wanted: 0, minMs: 4000, maxMs: 24_000 })
  assert.deepEqual(suspicionLimits(lan, 4), { wanted: 2, minMs: 4000, maxMs: 24_000 })
  assert.deepEqual(suspicionLimits(lan, 100), { wanted: 2, minMs: 8000, maxMs: 48_000 })
  // log10(500) = 2.69897, cut to 2.698
  assert.equal(suspicionLimits(lan, 500).minMs, 4 * 2698)
  assert.equal(suspicionLimits(gossipTiming('wan'), 10).minMs, 30_000)
})

test('suspicionTimeoutMs() begins at the longest time and reaches the shortest once the wanted accusers agree', () => {
  const limits = { wanted: 3, minMs: 2000, maxMs: 30_000 }
  const times = [0, 1, 2, 3].map((confirmations) => suspicionTimeoutMs(limits, confirmations))
  assert.deepEqual(times, [30_000, 16_000, 7810, 2000])
  assert.equal(suspicionTimeoutMs({ ...limits, wanted: 0 }, 0), 2000)
})

test('Suspicion.confirm() counts each accuser once, never the first one, and no more than wanted', () => {
  const suspicion = new Suspicion({ wanted: 2, minMs: 1000, maxMs: 6000 }, 'a', 500)
  assert.equal(suspicion.dueMs, 6500)
  assert.equal(suspicion.confirm('a'), false)
  assert.equal(suspicion.confirm('b'), true)
  assert.equal(suspicion.confirm('b'), false)
  assert.equal(suspicion.confirm('c'), true)
  assert.equal(suspicion.dueMs, 1500)
  assert.equal(suspicion.confirm('d'), false)
})
