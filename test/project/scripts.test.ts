/**
 * The scripts behind `npm start`, `npm test` and bin/hanse: what they install, count, find and hand on.
 *
 * They are plain JavaScript for any Node; these tests load them as they are and run them as processes.
 */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root } from './checkout.ts'

interface LockedPackage {
  readonly version: string
  readonly integrity?: string
  readonly optional?: boolean
}
interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>
}
interface PackagesScript {
  stalePackage(lock: Lock, installed: Lock | undefined, onDisk: (path: string) => boolean): string | undefined
}
interface TestRunsScript {
  countsOf(totals: string, code: number): { passed: number; failed: number }
  testFiles(folder: string, options?: { deep?: boolean }): string[]
}

const script = (name: string) => pathToFileURL(join(root, 'scripts', name)).href
const { stalePackage }: PackagesScript = await import(script('packages.mjs'))
const { countsOf, testFiles }: TestRunsScript = await import(script('test-runs.mjs'))

const lock: Lock = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/a/node_modules/@s/b': { version: '2.0.0', integrity: 'sha512-b' },
    'node_modules/other-platform': { version: '1.0.0', integrity: 'sha512-o', optional: true },
  },
}
const installed: Lock = {
  packages: {
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/a/node_modules/@s/b': { version: '2.0.0', integrity: 'sha512-b' },
  },
}
const there = () => true

test('stalePackage() is content with what the lock says, without packages of other platforms', () => {
  assert.equal(stalePackage(lock, installed, there), undefined)
})

test('stalePackage() names what is missing, of another version or content, or gone from disk', () => {
  const with_ = (path: string, entry: LockedPackage): Lock => ({ packages: { ...installed.packages, [path]: entry } })
  assert.equal(stalePackage(lock, undefined, there), 'none are there yet')
  assert.equal(stalePackage(lock, { packages: {} }, there), 'a is missing')
  assert.match(
    stalePackage(lock, with_('node_modules/a', { version: '0.9.0' }), there) ?? '',
    /a 0\.9\.0 is not the 1\.0\.0/,
  )
  assert.ok(stalePackage(lock, with_('node_modules/a', { version: '1.0.0', integrity: 'sha512-x' }), there))
  assert.ok(stalePackage(lock, with_('node_modules/other-platform', { version: '0.1.0' }), there))
  assert.equal(
    stalePackage(lock, installed, (path) => !path.endsWith('@s/b')),
    '@s/b is missing',
  )
})

test('countsOf() counts everything that did not pass as failed, and a crash as one', () => {
  assert.deepEqual(countsOf('{"tests":3,"passed":3,"failed":0}\n', 0), { passed: 3, failed: 0 })
  assert.deepEqual(countsOf('{"tests":5,"passed":2,"failed":1,"skipped":1,"cancelled":1}\n', 1), {
    passed: 2,
    failed: 3,
  })
  assert.deepEqual(countsOf('{"tests":3,"passed":3,"failed":0}\n', 7), { passed: 3, failed: 1 })
  assert.deepEqual(countsOf('', 0), { passed: 0, failed: 1 })
})

test('a test file that leaves something open ends, all of its tests are counted, and a failure fails the run', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hanse-open-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const run = (name: string, last: string) => {
    const file = join(folder, `${name}.test.mjs`)
    const many = `for (let n = 0; n < 400; n++) test('test ' + n, () => {})`
    const open = `import { createServer } from 'node:net'\ncreateServer().listen(0, '127.0.0.1')`
    writeFileSync(file, `import { test } from 'node:test'\n${open}\n${many}\n${last}\n`)
    const words = ['--test', '--import', join(root, 'scripts', 'test-process-end.mjs'), '--test-reporter=tap', file]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    return spawnSync(process.execPath, words, { encoding: 'utf8', env, timeout: 60_000 })
  }
  const good = run('good', '')
  assert.match(good.stdout, /^# tests 400$/m)
  assert.equal(good.status, 0, good.stdout.slice(-2_000))
  const bad = run('bad', `test('fails', () => { throw new Error('no') })`)
  assert.match(bad.stdout, /^# tests 401$/m)
  assert.equal(bad.status, 1)
})

test('testFiles() finds test files, in depth only when asked, and none where there is no folder', () => {
  assert.ok(testFiles('test/project').includes('test/project/scripts.test.ts'))
  assert.ok(testFiles('test', { deep: true }).includes('test/project/scripts.test.ts'))
  assert.ok(!testFiles('test').includes('test/project/scripts.test.ts'))
  assert.deepEqual(testFiles('test/nowhere'), [])
})

test('the lock file pins one Node version for all platforms, and says nothing about where packages come from', () => {
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const nodes = Object.entries<LockedPackage>(locked.packages).filter(([path]) => /\/node-[a-z]+-[a-z0-9]+$/.test(path))
  assert.ok(nodes.length >= 2)
  assert.equal(new Set(nodes.map(([, { version }]) => version)).size, 1)
  assert.ok(!JSON.stringify(locked).includes('"resolved"'))
})

test('.ci/run gives every suite a budget, and all of them together less than 75 minutes', () => {
  const text = readFileSync(join(root, '.ci/run'), 'utf8')
  const steps = [...text.matchAll(/^(?:suite|command_ok) '([^']+)' (\d+)m (.+)$/gm)]
  assert.deepEqual(
    steps.map(([, , , command]) => command),
    [
      'npm test',
      'npm run test:compat',
      'npm run test:etcd',
      'npm run test:netns',
      'npm run test:kube',
      'npm run check',
      'npm start -- --check',
    ],
  )
  const minutes = steps.map(([, , budget]) => Number(budget))
  assert.ok(minutes.reduce((sum, budget) => sum + budget + 0.5, 0) < 75)
})

/** A checkout of its own: the starters, a CLI that does what `main` says, and a Node in PATH when one is given. */
function madeUpCheckout(t: TestContext, { main = '', pinned = true, systemNode = '' } = {}) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hanse-scripts-')))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const sub of ['bin', 'scripts', 'src/cli', 'path']) mkdirSync(join(folder, sub), { recursive: true })
  for (const file of ['bin/hanse', 'scripts/node.sh', 'scripts/processes.mjs', 'scripts/lifeline.mjs']) {
    copyFileSync(join(root, file), join(folder, file))
  }
  writeFileSync(join(folder, 'src/cli/main.ts'), main)
  if (pinned) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  if (systemNode !== '') {
    writeFileSync(join(folder, 'path/node'), systemNode)
    chmodSync(join(folder, 'path/node'), 0o755)
  }
  const env = { HOME: join(folder, 'home'), PATH: `${join(folder, 'path')}:/usr/sbin:/sbin` }
  for (const tool of ['uname', 'dirname', 'readlink', 'mkdir', 'sh'])
    symlinkSync(`/bin/${tool}`, join(folder, 'path', tool))
  const hanse = (program: string, args: string[] = []): SpawnSyncReturns<string> =>
    spawnSync(program, args, { env, cwd: '/', encoding: 'utf8' })
  return { folder, env, hanse }
}

/** A program that answers what node.sh asks of a Node, and then tells how it was run. */
const fakeNode = (version: string) => `#!/bin/sh\nif [ "$1" = -p ]; then echo ${version}; else echo "fake $*"; fi\n`

test('bin/hanse runs the CLI in the pinned Node through symlinks, with its arguments and its exit code', (t) => {
  const main = 'console.log(JSON.stringify([process.execPath, process.argv.slice(2)])); process.exitCode = 3'
  const { folder, hanse } = madeUpCheckout(t, { main })
  mkdirSync(join(folder, 'a b'))
  symlinkSync('../bin/hanse', join(folder, 'a b/one'))
  symlinkSync(join(folder, 'a b/one'), join(folder, 'two'))
  const { status, stdout, stderr } = hanse(join(folder, 'two'), ['kv', 'put', 'a b', ''])
  assert.equal(stderr, '')
  const [execPath, args] = JSON.parse(stdout)
  assert.deepEqual(args, ['kv', 'put', 'a b', ''])
  assert.equal(realpathSync(execPath), realpathSync(process.execPath))
  assert.equal(status, 3)
})

test('bin/hanse keeps its compile cache in a folder of this user alone', (t) => {
  const main = 'console.log(process.env.NODE_COMPILE_CACHE)'
  const { folder, env, hanse } = madeUpCheckout(t, { main })
  assert.equal(hanse(join(folder, 'bin/hanse')).stdout.trim(), join(env.HOME, '.cache/hanse/compile'))
  assert.equal(statSync(join(env.HOME, '.cache/hanse/compile')).mode & 0o777, 0o700)
})

test('bin/hanse falls back to a Node of the system that is new enough', (t) => {
  const { folder, hanse } = madeUpCheckout(t, { pinned: false, systemNode: fakeNode('24.1.0') })
  const { stdout, status } = hanse(join(folder, 'bin/hanse'), ['version'])
  assert.equal(stdout, `fake --disable-warning=ExperimentalWarning ${join(folder, 'src/cli/main.ts')} version\n`)
  assert.equal(status, 0)
})

test('bin/hanse says which Node it found and what to do when none is new enough', (t) => {
  const old = madeUpCheckout(t, { pinned: false, systemNode: fakeNode('20.20.2') })
  const answer = old.hanse(join(old.folder, 'bin/hanse'))
  assert.equal(answer.status, 1)
  assert.match(
    answer.stderr,
    /cannot find a Node that is 24 or newer: the package "node-.*" is not installed; Node found: 20\.20\.2/,
  )
  assert.match(answer.stderr, /hint: run "npm ci --ignore-scripts" in /)
  const none = madeUpCheckout(t, { pinned: false })
  assert.match(none.hanse(join(none.folder, 'bin/hanse')).stderr, /Node found: none in PATH/)
})

test('bin/hanse says on a platform without a pinned Node that the one of the system counts', (t) => {
  const { folder, hanse } = madeUpCheckout(t, { systemNode: fakeNode('22.0.0') })
  rmSync(join(folder, 'path/uname'))
  writeFileSync(join(folder, 'path/uname'), '#!/bin/sh\nif [ "$1" = -s ]; then echo Darwin; else echo arm64; fi\n', {
    mode: 0o755,
  })
  const { status, stderr } = hanse(join(folder, 'bin/hanse'))
  assert.equal(status, 1)
  assert.match(
    stderr,
    /the pinned Node is not on npm for Darwin arm64, so the system's has to be 24 or newer; Node found: 22\.0\.0/,
  )
})

/** Starts a program that reports its signals under runPinnedNode(), as `npm start` does. */
async function underSupervision(t: TestContext) {
  const main = `
    let signals = 0
    process.on('SIGINT', () => { signals++; setTimeout(() => { console.log('signals', signals); process.exit(5) }, 300) })
    process.on('SIGTERM', () => { console.log('terminated'); process.exit(6) })
    setInterval(() => {}, 1000)
    console.log('up', process.pid)`
  const { folder } = madeUpCheckout(t, { main })
  const starter = `import { runPinnedNode } from './scripts/processes.mjs'\nprocess.exit(await runPinnedNode(['src/cli/main.ts']))`
  writeFileSync(join(folder, 'start.mjs'), starter)
  const child = spawn(process.execPath, ['start.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const up = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (output.includes('up ')) resolve()
    })
  })
  await up
  return {
    child,
    ended: once(child, 'exit'),
    drained: once(child.stdout, 'end'),
    output: () => output.trim().split('\n').slice(1),
  }
}

test('runPinnedNode() hands one key stroke on once though it arrives twice, waits, and returns the exit code', async (t) => {
  const { child, ended, drained, output } = await underSupervision(t)
  child.kill('SIGINT')
  setTimeout(() => child.kill('SIGINT'), 50)
  const [code] = await ended
  await drained
  assert.deepEqual(output(), ['signals 1'])
  assert.equal(code, 5)
})

test('runPinnedNode() leaves no orphan when the script is killed', async (t) => {
  const { child, drained, output } = await underSupervision(t)
  child.kill('SIGKILL')
  await drained
  assert.deepEqual(output(), ['terminated'])
})
