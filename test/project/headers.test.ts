/**
 * Holds every source file to having a header, and proves on made-up files that the rule can fail.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree } from './checkout.ts'
import { headerViolations } from './headers.ts'

const SOURCES = ['.ts', '.mjs', '.js']
const violations = (source: string) => headerViolations(new Map([['a.ts', source]])).length

test('every file of src/, bench/, scripts/ and test/ begins with a header', () => {
  for (const folder of ['src', 'bench', 'scripts', 'test']) {
    assert.deepEqual(headerViolations(readTree(folder, SOURCES)), [])
  }
})

test('headerViolations() accepts a header before imports, re-exports, a blank line, or behind #!', () => {
  const header = '/**\n * Clock: where time comes from in here.\n */\n'
  assert.equal(violations(`${header}import a from 'a'`), 0)
  assert.equal(violations(`${header}export { a } from './a.ts'`), 0)
  assert.equal(violations(`${header}\nexport const a = 1`), 0)
  assert.equal(violations(`#!/usr/bin/env node\n${header}\nexport const a = 1`), 0)
  assert.equal(violations(header), 0)
})

test('headerViolations() refuses none, another kind of comment, a title, and the comment of a declaration', () => {
  assert.equal(violations(''), 1)
  assert.equal(violations('export const a = 1'), 1)
  assert.equal(violations('// Clock: where time comes from in here.\n\nexport const a = 1'), 1)
  assert.equal(violations('/** Clock. */\n\nexport const a = 1'), 1)
  assert.equal(violations('/**\n * one two three four five six\n */\n\nexport const a = 1'), 1)
  assert.equal(violations('/** Says where time comes from. */\nexport function a() {}'), 1)
})
