/**
 * Local health: its bounds and what it stretches.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Awareness } from './awareness.ts'

test('Awareness stays between 0 and 7 and stretches times by its score', () => {
  const awareness = new Awareness(8)
  awareness.apply(-1)
  assert.equal(awareness.scale(500), 500)
  awareness.apply(3)
  assert.equal(awareness.scale(500), 2000)
  awareness.apply(100)
  assert.equal(awareness.score, 7)
})
