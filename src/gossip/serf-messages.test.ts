/**
 * Filters and tags of other nodes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeTags, encodeTags, filtersMatch, nodeFilter, tagFilter } from './serf-messages.ts'

const node = { name: 'web-1', tags: { role: 'web', dc: 'dc1' } }

test('filtersMatch() wants every filter to match; unknown and broken ones match nobody', () => {
  assert.ok(filtersMatch([], node))
  assert.ok(filtersMatch([nodeFilter(['a', 'web-1']), tagFilter('role', 'w.b')], node))
  assert.ok(!filtersMatch([nodeFilter(['web-1']), tagFilter('dc', '^dc2$')], node))
  assert.ok(filtersMatch([tagFilter('role', '(?i)^WEB\\z')], node))
  assert.ok(filtersMatch([tagFilter('absent', '^$')], node))
  for (const bad of [Buffer.from([7]), Buffer.from([0]), Buffer.from([1, 0xc1]), Buffer.alloc(0), null]) {
    assert.ok(!filtersMatch([bad], node))
  }
  assert.ok(!filtersMatch([tagFilter('role', '(')], node))
})

test('filtersMatch() takes no expression that could keep us busy', () => {
  const long = { name: 'x', tags: { role: 'a'.repeat(400) } }
  for (const expression of ['(a+)+$', '(a|a)*b', 'a*a*a*a*b', `${'a'.repeat(300)}`, '(x+x+)+y']) {
    assert.ok(!filtersMatch([tagFilter('role', expression)], long), expression)
  }
})

test('decodeTags() reads tags, the bare role of old peers, and nothing from what is broken', () => {
  assert.deepEqual(decodeTags(encodeTags({ b: '1', a: '2' })), { a: '2', b: '1' })
  assert.deepEqual(decodeTags(Buffer.from('web')), { role: 'web' })
  assert.deepEqual(decodeTags(Buffer.from([255, 0x81, 0xa1])), {})
})
