/**
 * Plans kept by URL: bounded in number and bytes, and never with a token.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '#base'
import { errorAnswer } from './answer.ts'
import { MAX_PLANS, PlanCache, type Planned } from './plan-cache.ts'
import { RequestTimes } from './request-times.ts'

function planned(heldBytes: number): Planned {
  const times = new RequestTimes(new Metrics(), { method: 'GET', path: 'x' })
  return { plan: { heldBytes, serve: () => errorAnswer(new Error('x')) }, times }
}

test('many blocking URLs do not push out a plain one', () => {
  const cache = new PlanCache()
  cache.keep('/v1/kv/x', planned(1))
  for (let index = 1; index < 3 * MAX_PLANS; index++) cache.keep(`/v1/kv/x?index=${index}`, planned(1))
  assert.ok(cache.get('/v1/kv/x'))
  assert.equal(cache.get('/v1/kv/x?index=1'), undefined)
  assert.equal(cache.size, MAX_PLANS + 1)
})

test('plans that hold too many bytes together are forgotten', () => {
  const cache = new PlanCache()
  for (let n = 0; n < 100; n++) cache.keep(`/v1/kv/${n}`, planned(1024 * 1024))
  for (let n = 0; n < 2048; n++) cache.get('/v1/kv/0')
  assert.equal(cache.size, 0)
})

test('a URL with a token is not kept', () => {
  const cache = new PlanCache()
  cache.keep('/v1/kv/x?token=secret', planned(1))
  assert.equal(cache.size, 0)
})
