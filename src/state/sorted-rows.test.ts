/**
 * SortedRows and the order of keys.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { orderOf } from './keys.ts'
import { MAX_CHUNK_ROWS, SortedRows } from './sorted-rows.ts'

test('SortedRows keeps order over random puts and deletes of several chunks', () => {
  const random = seededRandom(1)
  const rows = new SortedRows<{ order: string; at: number }>()
  const model = new Map<string, number>()
  for (let at = 0; at < MAX_CHUNK_ROWS * 12; at++) {
    const order = `k${random.int(3000)}`
    if (random.int(3) === 0) {
      rows.delete(order)
      model.delete(order)
    } else {
      rows.put({ order, at })
      model.set(order, at)
    }
  }
  const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1))
  assert.deepEqual(
    rows.map(({ order, at }) => [order, at]),
    expected,
  )
  assert.equal(rows.size, model.size)
  for (const prefix of ['', 'k1', 'k12', 'k299', 'a', 'z']) {
    const found: string[] = []
    rows.visit(prefix, ({ order }) => found.push(order) > 0)
    assert.deepEqual(
      found,
      expected.map(([order]) => order).filter((order) => order.startsWith(prefix)),
    )
  }
  for (const [order] of expected) rows.delete(order)
  assert.deepEqual([...rows], [])
})

test('orderOf() orders as UTF-8 bytes do, and keeps prefixes', () => {
  const random = seededRandom(2)
  const alphabet = ['a', '/', 'é', '\ud7ff', '\ue000', '\uffee', '\u{1f600}', '\u{10ffff}']
  const word = () => Array.from({ length: random.int(5) }, () => alphabet[random.int(alphabet.length)]).join('')
  for (let round = 0; round < 2000; round++) {
    const [a, b] = [word(), word()]
    const bytes = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const orders = orderOf(a) < orderOf(b) ? -1 : orderOf(a) > orderOf(b) ? 1 : 0
    assert.equal(orders, bytes)
    assert.ok(orderOf(a + b).startsWith(orderOf(a)))
  }
})
