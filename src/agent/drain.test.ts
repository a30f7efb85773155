/** What the end of a server's port waits for: writes until they are answered, questions not for long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#base'
import { Drain } from './drain.ts'

function drained(unheardCount = 0) {
  const clock = new ManualClock()
  const drain = new Drain()
  let told = false
  const port = {
    unheardCount,
    goAway: () => {
      told = true
    },
  }
  const over = drain.run(port, clock)
  assert.ok(told, 'callers are sent elsewhere first')
  /** Whether it is over after so long. */
  const passed = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 10) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return drain.over
  }
  /** A call arrives; its answer. */
  const call = (writes: boolean) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    void drain.count(promise, writes)
    return resolve
  }
  return { port, passed, call, over }
}

test('a server that nobody calls stops at once', async () => {
  const { over } = drained()
  await over
})

test('a question that waits for a change is given half a second', async () => {
  const { passed, call, port } = drained(1)
  call(false)
  port.unheardCount = 0
  assert.equal(await passed(400), false)
  assert.equal(await passed(200), true)
})

test('a write is waited for until it is answered', async () => {
  const { passed, call, port } = drained(1)
  const answer = call(true)
  port.unheardCount = 0
  assert.equal(await passed(5_000), false)
  answer()
  assert.equal(await passed(20), true)
})

test('a write that is never answered holds nothing up for ever', async () => {
  const { passed, call, port } = drained(1)
  call(true)
  port.unheardCount = 0
  assert.equal(await passed(11_000), true)
})

test('a caller who hears of it late has its write answered', async () => {
  const { passed, call, port } = drained(1)
  assert.equal(await passed(1_000), false)
  const answer = call(true)
  port.unheardCount = 0
  assert.equal(await passed(5_000), false)
  answer()
  assert.equal(await passed(20), true)
})

test('callers who never hear of it hold nothing up for ever', async () => {
  const { passed } = drained(2)
  assert.equal(await passed(2_900), false)
  assert.equal(await passed(200), true)
})
