/**
 * `npm test`: every test that needs nothing but this checkout. `npm test -- src/gossip` runs those under a path.
 *
 * Tests that start whole datacenters come last and one file at a time: beside others they would wait for a processor.
 */
import { ensurePackages } from './packages.mjs'
import { conclude, runTests, testFiles } from './test-runs.mjs'

const CONCURRENT_FILES = 2

await ensurePackages()
const wanted = process.argv.slice(2).map((path) => path.replace(/^\.\//, '').replace(/\/$/, ''))
const matches = (file) => wanted.length === 0 || wanted.some((path) => file === path || file.startsWith(`${path}/`))

const together = [...testFiles('src', { deep: true }), ...testFiles('test/project')].filter(matches)
const oneByOne = ['test/simulation', 'test/servers', 'test/e2e-agent', 'test/e2e-local']
  .flatMap((folder) => testFiles(folder))
  .filter(matches)

const first = await runTests(together, { concurrency: CONCURRENT_FILES })
const second = await runTests(oneByOne, { concurrency: 1 })
process.exit(conclude({ passed: first.passed + second.passed, failed: first.failed + second.failed }))
