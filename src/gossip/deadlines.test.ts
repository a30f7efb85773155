/**
 * The order of deadlines, and cancelling them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { Deadlines } from './deadlines.ts'

test('runDue() runs what is due, in order of time and then of scheduling, also what is added meanwhile', () => {
  const deadlines = new Deadlines()
  const ran: string[] = []
  deadlines.schedule(20, () => ran.push('b'))
  deadlines.schedule(10, () => {
    ran.push('a')
    deadlines.schedule(15, () => ran.push('added'))
  })
  deadlines.schedule(20, () => ran.push('c'))
  deadlines.schedule(21, () => ran.push('later'))
  assert.equal(deadlines.nextMs(), 10)
  deadlines.runDue(20)
  assert.deepEqual(ran, ['a', 'added', 'b', 'c'])
  assert.equal(deadlines.nextMs(), 21)
})

test('cancelled tasks never run, however many there are', () => {
  const random = seededRandom(1)
  const deadlines = new Deadlines()
  const ran: number[] = []
  const kept: number[] = []
  for (let i = 0; i < 3000; i++) {
    const at = random.int(1000)
    const deadline = deadlines.schedule(at, () => ran.push(at))
    if (random.float() < 0.8) {
      deadline.cancel()
      deadline.cancel()
    } else kept.push(at)
  }
  deadlines.runDue(1000)
  assert.deepEqual(
    ran,
    kept.sort((a, b) => a - b),
  )
  assert.equal(deadlines.nextMs(), Number.POSITIVE_INFINITY)
})
