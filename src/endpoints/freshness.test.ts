/**
 * Consistency modes over a store whose news arrive late: who is answered from memory, and what the answer says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, ManualClock } from '#base'
import { QueryMeta } from '#codec'
import { ALWAYS_FRESH, catchUp, contactOf, DEFAULT_STALENESS_MS, freshEnough, SILENT_MS, stamped } from './freshness.ts'
import type { Freshness } from './ports.ts'

const aged = (ms: number, leader = true): Freshness => ({ knownLeader: () => leader, lastContactMs: () => ms })
const MODE = { RequireConsistent: false, AllowStale: false, MaxStaleDuration: 0 }
const STALE = { ...MODE, AllowStale: true }
const LATE = DEFAULT_STALENESS_MS + 1

const cases: readonly [what: string, freshness: Freshness | undefined, mode: typeof MODE, fromMemory: boolean][] = [
  ['a default read of a store of one process', undefined, MODE, true],
  ['a consistent read of it', undefined, { ...MODE, RequireConsistent: true }, false],
  ['a default read within the bound', aged(DEFAULT_STALENESS_MS), MODE, true],
  ['a default read beyond it', aged(LATE), MODE, false],
  ['a stale read however old', aged(1e9), STALE, true],
  ['a stale read within max_stale', aged(5_000), { ...STALE, MaxStaleDuration: 5e9 }, true],
  ['a stale read beyond max_stale', aged(5_001), { ...STALE, MaxStaleDuration: 5e9 }, false],
  ['max_stale without stale', aged(LATE), { ...MODE, MaxStaleDuration: 1e15 }, false],
]

for (const [what, freshness, mode, fromMemory] of cases) {
  test(`${what} is ${fromMemory ? '' : 'not '}answered from memory`, () => {
    assert.equal(freshEnough(freshness, mode), fromMemory)
  })
}

test('an answer says whether there is a leader, and how old it may be', () => {
  const reply = QueryMeta.of({ Index: 7, KnownLeader: true })
  assert.equal(contactOf(undefined), ALWAYS_FRESH)
  assert.equal(contactOf(aged(0.4)), ALWAYS_FRESH)
  assert.equal(stamped(reply, ALWAYS_FRESH), reply)
  assert.deepEqual(stamped(reply, contactOf(aged(12.6))), { ...reply, LastContact: 13e6 })
  assert.deepEqual(stamped(reply, contactOf(aged(0, false))), { ...reply, KnownLeader: false })
})

test('a default read waits for a store as long as it may answer, the others until it has said no', async () => {
  const clock = new ManualClock()
  const silent = Promise.withResolvers<number>()
  const state = { consistent: () => silent.promise }
  let answered = false
  const waiting = catchUp({ state, clock, freshness: aged(LATE) }, MODE).then(() => {
    answered = true
  })
  await Promise.resolve()
  assert.equal(answered, false)
  clock.advance(SILENT_MS - LATE)
  await waiting
  await catchUp({ state, clock, freshness: aged(SILENT_MS) }, MODE)
  const strict = catchUp({ state, clock, freshness: aged(1e9) }, { ...MODE, RequireConsistent: true })
  const bounded = catchUp({ state, clock, freshness: aged(1e9) }, { ...STALE, MaxStaleDuration: 1e9 })
  silent.reject(new Error('nobody answers'))
  for (const each of [strict, bounded]) {
    await assert.rejects(each, (error) => codeOf(error) === 'NO_CLUSTER_LEADER')
  }
  await catchUp({ state, clock, freshness: aged(LATE) }, MODE)
})
