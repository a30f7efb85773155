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

/** How long a fold waits that nobody joins. */
async function waitOf(made: Gathering, clock: ManualClock, tookMs: number): Promise<number> {
  let over = false
  void made.next(1, 1, tookMs).then(() => {
    over = true
  })
  for (let waitedMs = 0; ; waitedMs++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (over) return waitedMs
    clock.advance(1)
  }
}

test('a fold waits for a share of what the one before took, and never long', async () => {
  for (const [tookMs, waitedMs] of [
    [8, 4],
    [5_000, 10],
  ] as const) {
    const { clock, made } = gathering(1, 0, 0)
    assert.equal(await waitOf(made, clock, tookMs), waitedMs)
  }
})

test('the share grows while those who are waited for come, and shrinks when they do not', async () => {
  const { clock, made } = gathering(1, 0, 0)
  const come = async (times: number) => {
    for (let time = 0; time < times; time++) {
      const going = made.next(3, 0, 4)
      made.waiting(3)
      await going
    }
  }
  await come(9)
  assert.deepEqual([await waitOf(made, clock, 4), await waitOf(made, clock, 4)], [8, 4])
  for (let time = 0; time < 9; time++) await waitOf(made, clock, 4)
  assert.equal(await waitOf(made, clock, 4), 1)
  await come(1)
  assert.equal(await waitOf(made, clock, 4), 2)
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
