/**
 * The picking rule and the limits of the broadcast queue.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BroadcastQueue } from './broadcast-queue.ts'

const message = (size: number, fill = 0) => Buffer.alloc(size, fill)
const sizes = (messages: readonly Buffer[]) => messages.map((taken) => taken.length)

test('take() picks the largest that still fits, then smaller ones, within the budget', () => {
  const queue = new BroadcastQueue()
  for (const size of [10, 40, 25, 90]) queue.add({ message: message(size) })
  assert.deepEqual(sizes(queue.take(2, 80, 3)), [40, 25])
  // Those have been sent once; the unsent ones come first now.
  assert.deepEqual(sizes(queue.take(2, 200, 3)), [90, 10, 40, 25])
})

test('take() prefers what was sent least, then the larger, then the newer', () => {
  const queue = new BroadcastQueue()
  queue.add({ message: message(10, 1) })
  queue.take(0, 100, 9)
  queue.add({ message: message(5, 2) })
  queue.add({ message: message(5, 3) })
  assert.deepEqual(
    queue.take(0, 100, 9).map((taken) => taken[0]),
    [3, 2, 1],
  )
})

test('a message leaves the queue after its last transmit, and says so once', () => {
  const queue = new BroadcastQueue()
  let done = 0
  queue.add({ message: message(1), onDone: () => done++ })
  assert.equal(queue.take(0, 10, 2).length, 1)
  assert.deepEqual([queue.length, done], [1, 0])
  assert.equal(queue.take(0, 10, 2).length, 1)
  assert.deepEqual([queue.length, done], [0, 1])
})

test('a newer message of the same name replaces the older; unnamed ones never replace', () => {
  const queue = new BroadcastQueue()
  let dropped = 0
  queue.add({ name: 'a', message: message(3, 1), onDone: () => dropped++ })
  queue.add({ name: 'a', message: message(3, 2) })
  queue.add({ message: message(3, 3) })
  queue.add({ message: message(3, 4) })
  assert.equal(dropped, 1)
  assert.deepEqual(
    queue.take(0, 100, 9).map((taken) => taken[0]),
    [4, 3, 2],
  )
})

test('prune() keeps those that were sent least', () => {
  const queue = new BroadcastQueue()
  queue.add({ message: message(3, 1) })
  queue.take(0, 10, 9)
  queue.add({ message: message(3, 2) })
  queue.prune(1)
  assert.deepEqual(
    queue.take(0, 10, 9).map((taken) => taken[0]),
    [2],
  )
})

test('take() never gives more messages than asked for', () => {
  const queue = new BroadcastQueue()
  for (let i = 0; i < 10; i++) queue.add({ message: message(1) })
  assert.equal(queue.take(0, 1000, 9, 4).length, 4)
})
