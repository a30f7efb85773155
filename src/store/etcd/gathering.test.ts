/** When the next fold goes: at once for a lonely writer, else when as many as before are there or time is over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#base'
import { Gathering } from './gathering.ts'

function gathering(sent: number, behind: number, tookMs: number) {
  const clock = new ManualClock()
  const made = new Gathering(clock)
  let over = false
  void made.next(sent, behind, tookMs).then(() => {
    over = true
  })
  const goes = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    return over
  }
  return { clock, made, goes }
}

test('a writer that is alone waits for nobody', async () => {
  assert.equal(await gathering(1, 0, 100).goes(), true)
})

test('a fold goes as soon as those of the one before and those behind it are there', async () => {
  const { made, goes } = gathering(3, 2, 100)
  made.waiting(4)
  assert.equal(await goes(), false)
  made.waiting(5)
  assert.equal(await goes(), true)
})

test('a fold waits for half of what the one before took, and never long', async () => {
  for (const [tookMs, waitedMs] of [
    [8, 4],
    [5_000, 10],
  ] as const) {
    const { clock, goes } = gathering(1, 1, tookMs)
    clock.advance(waitedMs - 1)
    assert.equal(await goes(), false)
    clock.advance(1)
    assert.equal(await goes(), true)
  }
})

test('who comes when nobody waits any more holds nothing up', async () => {
  const { clock, made, goes } = gathering(2, 0, 4)
  clock.advance(2)
  assert.equal(await goes(), true)
  made.waiting(9)
  const again = made.next(2, 0, 4)
  clock.advance(2)
  await again
})
