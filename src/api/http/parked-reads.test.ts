/**
 * Waiting together: woken by one change, each with its own end, gone without a trace.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#base'
import type { LiveAnswer } from '#endpoints'
import { ParkedReads, type Waiting } from './parked-reads.ts'

function answer(index: number, next: LiveAnswer<number>['next']): LiveAnswer<number> {
  return { reply: index, index, fired: false, bytes: () => Buffer.alloc(0), next }
}

function setUp() {
  const clock = new ManualClock()
  const parked = { count: 0 }
  const waits: {
    signal: AbortSignal | undefined
    resolve: (next: LiveAnswer<number>) => void
    reject: (error: Error) => void
  }[] = []
  const live = answer(5, (_, { signal }) => {
    const { promise, resolve, reject } = Promise.withResolvers<LiveAnswer<number>>()
    waits.push({ signal, resolve, reject })
    return promise
  })
  const reads = new ParkedReads<number>({ clock, parked, minIndex: 5 })
  return { clock, parked, waits, live, reads }
}

const stays = { onGone: () => {} }

/** The end of a wait as a promise. */
function wait(
  reads: ParkedReads<number>,
  live: LiveAnswer<number>,
  waitMs: number,
  caller: Waiting,
): Promise<LiveAnswer<number> | undefined> {
  return new Promise((resolve, reject) => reads.wait(live, waitMs, caller, { ended: resolve, failed: reject }))
}

test('many wait with one wait behind them, and all get the changed answer', async () => {
  const { parked, waits, live, reads } = setUp()
  const all = Array.from({ length: 300 }, () => wait(reads, live, 1000, stays))
  assert.equal(waits.length, 1)
  assert.equal(parked.count, 300)
  const changed = answer(6, live.next)
  waits[0]?.resolve(changed)
  const answers = await Promise.all(all)
  assert.ok(answers.every((each) => each === changed))
  assert.equal(parked.count, 0)
})

test('each ends at its own time, and the last one that leaves ends the common wait', async () => {
  const { clock, parked, waits, live, reads } = setUp()
  let hangUp = () => {}
  const short = wait(reads, live, 100, stays)
  const gone = wait(reads, live, 1000, {
    onGone: (callback) => {
      hangUp = callback
    },
  })
  clock.advance(100)
  assert.equal(await short, undefined)
  assert.equal(parked.count, 1)
  assert.equal(waits[0]?.signal?.aborted, false)
  hangUp()
  assert.equal(await gone, undefined)
  assert.equal(parked.count, 0)
  assert.equal(waits[0]?.signal?.aborted, true)
})

test('a common wait that ends without a change is renewed; one that fails fails for all', async () => {
  const { waits, live, reads } = setUp()
  const waiting = wait(reads, live, 10_000, stays)
  waits[0]?.resolve(live)
  await new Promise(setImmediate)
  assert.equal(waits.length, 2)
  waits[1]?.reject(new Error('no more'))
  await assert.rejects(waiting, /no more/)
})
