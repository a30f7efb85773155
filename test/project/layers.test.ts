/**
 * Holds src/, test/ and bench/ to the order of the folders, and proves on made-up trees that the rule can fail.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTree, root } from './checkout.ts'
import { faceViolations, GLOBAL_EXCEPTIONS, LAYERS, layerViolations } from './layers.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const of = (files: Record<string, string>) => layerViolations(new Map(Object.entries(files)), ['yaml'])

test('the folders of src/ import only from those above them, through their faces, without cycles', () => {
  const tree = new Map([...readTree('src', ['.ts']), ...readTree('test', ['.ts']), ...readTree('bench', ['.ts'])])
  assert.deepEqual(layerViolations(tree, Object.keys(manifest.dependencies ?? {})), [])
})

test('package.json#imports names every face of src/ and nothing else', () => {
  const faces = LAYERS.filter((name) => existsSync(join(root, 'src', name, 'index.ts')))
  assert.deepEqual(faceViolations(manifest.imports, faces), [])
})

test('every exception to the rule about globals says why', () => {
  for (const { path, reason } of GLOBAL_EXCEPTIONS) assert.ok(reason.length > 10, path)
})

test('layerViolations() accepts an import of a folder above, of Node, and of a file beside', () => {
  const found = of({
    'src/net/tls.ts':
      "import { a } from '#base'\nimport net from 'node:net'\nimport yaml from 'yaml'\nimport { b } from './alpn.ts'\nnew Date(5)\nBuffer.from('msgpack')",
    'src/net/alpn.ts': 'export const b = 1',
    'src/net/tls.test.ts':
      "import packet from 'dns-packet'\nimport { c } from '#net'\nimport { a } from './index.ts'\nDate.now()",
    'src/net/index.ts': "export * from './tls.ts'",
    'test/e2e-local/up.test.ts':
      "import { join } from 'node:path'\nimport { a } from './b.ts'\nimport { c } from '#client'",
  })
  assert.deepEqual(found, [])
})

test('layerViolations() refuses an import of a folder below', () => {
  assert.deepEqual(of({ 'src/net/tls.ts': "\nimport { a } from '#gossip'" }), [
    'src/net/tls.ts:2: imports "#gossip": "gossip" is below "net"',
  ])
})

test('layerViolations() refuses every way around a face', () => {
  const refused = (source: string) => of({ 'src/net/tls.ts': source }).length
  assert.equal(refused("import { a } from '../base/clock.ts'"), 1)
  assert.equal(refused("export { a } from '../base/clock.ts'"), 1)
  assert.equal(refused("const a = await import('../base/clock.ts')"), 1)
  assert.equal(refused("import '../base/clock.ts'"), 1)
  assert.equal(refused("import type { A } from '#net'"), 1)
  assert.equal(refused("import { a } from '#elsewhere'"), 1)
  assert.equal(refused("import msgpack from 'msgpack'"), 1)
  assert.equal(refused("import { a } from './missing.ts'"), 1)
  assert.equal(of({ 'test/compat/serf.test.ts': "import { a } from '../../src/gossip/core.ts'" }).length, 1)
})

test('layerViolations() finds an import cycle inside a folder, of types too, and tells it once', () => {
  const found = of({
    'src/net/a.ts': "import { b } from './b.ts'",
    'src/net/b.ts': "import type { C } from './deep/c.ts'",
    'src/net/deep/c.ts': "import { a } from '../a.ts'",
    'src/net/d.ts': "import { a } from './a.ts'",
  })
  assert.deepEqual(found, ['src/net/a.ts: import cycle: a.ts → b.ts → c.ts → a.ts'])
})

test('layerViolations() refuses what the process shares outside of base/, in code and not in prose', () => {
  const shared = [
    'Date.now()',
    'new Date()',
    'new Date',
    'Math.random()',
    'performance.now()',
    'process.env.HOME',
    'process.hrtime()',
  ]
  for (const global of shared) {
    assert.equal(of({ 'src/net/tls.ts': `const a = ${global}` }).length, 1, global)
    assert.equal(of({ 'src/net/tls.ts': `const a = \`it is \${${global}}\`` }).length, 1, global)
    assert.deepEqual(of({ 'src/base/clock.ts': `const a = ${global}` }), [], global)
    assert.deepEqual(of({ 'src/net/tls.ts': `// ${global}\n/* ${global} */ const a = '${global}'` }), [], global)
    assert.deepEqual(of({ 'src/net/tls.ts': `const a = /['"\`]/; const b = \`${global}\`` }), [], global)
  }
  for (const source of [
    "import { env, pid } from 'node:process'",
    'const { now } = Date',
    'const { env: e } = process',
  ]) {
    assert.equal(of({ 'src/net/tls.ts': source }).length, 1, source)
  }
  assert.deepEqual(of({ 'src/net/tls.ts': "import { pid } from 'node:process'" }), [])
  assert.deepEqual(of({ 'src/cli/main.ts': 'process.env.HANSE' }), [])
  assert.equal(of({ 'src/cli/main.ts': 'Date.now()' }).length, 1)
})

test('layerViolations() refuses unknown folders, inner faces and names that say nothing', () => {
  for (const path of [
    'src/misc/a.ts',
    'src/a.ts',
    'src/net/utils.ts',
    'src/net/string-utils/a.ts',
    'src/net/helper.ts',
    'src/net/yamux/index.ts',
  ]) {
    const found = of({ [path]: '' })
    if (path.includes('string-utils')) assert.deepEqual(found, [])
    else assert.equal(found.length, 1, path)
  }
  assert.equal(of({ 'src/net/utils/a.ts': '' }).length, 1)
})

test('faceViolations() refuses a name without folder, a wrong target and a face without name', () => {
  const imports = { '#base': './src/base/index.ts', '#net': './src/net.ts', '#misc': './src/misc/index.ts' }
  assert.equal(faceViolations(imports, ['base', 'net', 'store']).length, 3)
})
