/** What the end of a server's port waits for: writes until they are answered, questions not for long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#base'
import { Drain } from './drain.ts'

async function drainBeside(writes: boolean) {
  const clock = new ManualClock()
  const drain = new Drain()
  const call = Promise.withResolvers<void>()
  void drain.count(call.promise, writes)
  let told = false
  let over = false
  const port = {
    connectionCount: 1,
    goAway: () => {
      told = true
    },
  }
  void drain.run(port, clock).then(() => {
    over = true
  })
  assert.ok(told, 'callers are sent elsewhere first')
  const passed = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 10) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return over
  }
  return { passed, answer: call.resolve }
}

test('a question that waits for a change is given half a second', async () => {
  const { passed } = await drainBeside(false)
  assert.equal(await passed(400), false)
  assert.equal(await passed(200), true)
})

test('a write is waited for until it is answered', async () => {
  const { passed, answer } = await drainBeside(true)
  assert.equal(await passed(5_000), false)
  answer()
  assert.equal(await passed(20), true)
})

test('a write that is never answered holds nothing up for ever', async () => {
  const { passed } = await drainBeside(true)
  assert.equal(await passed(11_000), true)
})
