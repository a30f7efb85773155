/**
 * Holds the error tables of src/ and the tables in docs/errors/ equal, and proves that the rule can fail.
 */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readTree, root } from './checkout.ts'
import { codesOf, docsFolder, errorDocViolations, strayTables, tableFolder } from './errors-docs.ts'

const sources = readTree('src', ['.ts'])

test('every code of an error table has its row in docs/errors/, and every row its code', async () => {
  const codes = new Map<string, string[]>()
  const docs = new Map<string, string>()
  for (const path of sources.keys()) {
    const folder = tableFolder(path)
    if (folder === undefined) continue
    const exported = codesOf(await import(pathToFileURL(posix.join(root, path)).href))
    codes.set(folder, [...(codes.get(folder) ?? []), ...exported])
  }
  for (const [path, text] of readTree('docs/errors', ['.md'])) {
    const folder = docsFolder(path) ?? path
    docs.set(folder, `${docs.get(folder) ?? ''}\n${text}`)
  }
  assert.deepEqual(errorDocViolations({ codes, docs }), [])
})

test('error tables are declared in errors.ts of their folder', () => {
  assert.deepEqual(strayTables(sources), [])
})

const violations = (codes: string[], text: string) =>
  errorDocViolations({ codes: new Map([['net', codes]]), docs: new Map([['net', text]]) })

test('errorDocViolations() accepts tables that agree, with a pipe in a cell', () => {
  assert.deepEqual(
    violations(['A_B', 'C'], '# net\n| code | s | w | d |\n| `A_B` | 500 | a \\| b | do |\n| `C` | 400 | x | y |'),
    [],
  )
  assert.deepEqual(violations([], ''), [])
})

test('errorDocViolations() tells codes without row, rows without code, double and incomplete rows', () => {
  assert.deepEqual(violations(['A'], ''), ['docs/errors/net.md: A has no row'])
  assert.deepEqual(violations([], '| `B` | 500 | x | y |'), ['docs/errors/net.md: B is in no error table'])
  assert.deepEqual(violations(['A'], '| `A` | 500 | x | y |\n| `A` | 500 | x | y |'), [
    'docs/errors/net.md: A has two rows',
  ])
  assert.equal(violations(['A'], '| `A` | 500 | x | |').length, 1)
  assert.equal(violations(['A'], '| `A` | 500 |').length, 1)
  assert.equal(errorDocViolations({ codes: new Map(), docs: new Map([['old', '| `B` | 500 | x | y |']]) }).length, 1)
})

test('codesOf() reads the tables among the exports of a module', () => {
  const table = Object.assign(() => undefined, { codes: ['A', 'B'] })
  assert.deepEqual(codesOf({ table, other: () => undefined, limit: 5, list: { codes: ['C'] } }), ['A', 'B'])
})

test('strayTables() finds a table outside of errors.ts', () => {
  const tree = (path: string) => new Map([[path, 'const e = errorTable({})']])
  assert.equal(strayTables(tree('src/net/tls.ts')).length, 1)
  assert.equal(strayTables(tree('src/net/errors.ts')).length, 0)
})

test('tableFolder() and docsFolder() find the folder of a table and of its page', () => {
  assert.equal(tableFolder('src/net/errors.ts'), 'net')
  assert.equal(tableFolder('src/codec/x509-errors.ts'), 'codec')
  assert.equal(tableFolder('src/codec/x509.ts'), undefined)
  assert.equal(docsFolder('docs/errors/codec.md'), 'codec')
  assert.equal(docsFolder('docs/errors/codec-x509.md'), 'codec')
})
