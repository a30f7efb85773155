/**
 * Node IDs in real data directories.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '#base'
import { makeDataDirectory, nodeIdOf } from './node-id.ts'

const CONFIGURED = 'AAAAAAAA-1111-4111-8111-111111111111'

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'hanse-node-id-'))
  context.after(() => rmSync(path, { recursive: true }))
  return path
}

test('nodeIdOf() makes an ID once, for its owner only, and keeps it', (context) => {
  const path = directory(context)
  const id = nodeIdOf(path, undefined, seededRandom(1))
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(nodeIdOf(path, undefined, seededRandom(2)), id)
  assert.deepEqual(readdirSync(path), ['node-id'])
  assert.equal(statSync(join(path, 'node-id')).mode & 0o777, 0o600)
})

test('nodeIdOf() takes the configured ID, in lower case, and keeps it without the setting', (context) => {
  const path = directory(context)
  nodeIdOf(path, undefined, seededRandom(1))
  assert.equal(nodeIdOf(path, CONFIGURED, seededRandom(1)), CONFIGURED.toLowerCase())
  assert.equal(nodeIdOf(path, undefined, seededRandom(1)), CONFIGURED.toLowerCase())
  writeFileSync(join(path, 'node-id'), `  ${CONFIGURED}\n\n`)
  assert.equal(nodeIdOf(path, undefined, seededRandom(1)), CONFIGURED.toLowerCase())
})

test('nodeIdOf() refuses a corrupt file by name, and follows its own advice', (context) => {
  const path = directory(context)
  for (const content of ['', 'nonsense', CONFIGURED.slice(1), Buffer.alloc(100, 255)]) {
    writeFileSync(join(path, 'node-id'), content)
    assert.throws(() => nodeIdOf(path, undefined, seededRandom(1)), {
      code: 'NODE_ID_CORRUPT',
      message: `Read node ID "${join(path, 'node-id')}": it is no UUID`,
    })
  }
  assert.equal(nodeIdOf(path, CONFIGURED, seededRandom(1)), CONFIGURED.toLowerCase(), 'set node_id')
  rmSync(join(path, 'node-id'))
  nodeIdOf(path, undefined, seededRandom(1))
})

test('nodeIdOf() and makeDataDirectory() name a place that cannot be written', (context) => {
  const path = directory(context)
  writeFileSync(join(path, 'file'), '')
  assert.throws(() => nodeIdOf(join(path, 'file'), undefined, seededRandom(1)), { code: 'DATA_DIR_UNWRITABLE' })
  assert.throws(() => nodeIdOf(join(path, 'none'), undefined, seededRandom(1)), { code: 'DATA_DIR_UNWRITABLE' })
  assert.throws(() => makeDataDirectory(join(path, 'file')), { code: 'DATA_DIR_UNWRITABLE' })
  assert.throws(() => makeDataDirectory(join(path, 'file', 'below')), { code: 'DATA_DIR_UNWRITABLE' })
})

test('makeDataDirectory() makes what is missing, for its owner only, and leaves what is there', (context) => {
  const path = join(directory(context), 'a', 'b')
  makeDataDirectory(path)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  writeFileSync(join(path, 'kept'), 'x')
  makeDataDirectory(path)
  assert.equal(readFileSync(join(path, 'kept'), 'utf8'), 'x')
})
