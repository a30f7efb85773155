/**
 * Test runs: finds test files, runs them with `node --test` in the pinned Node, and adds up what came out.
 *
 * A run that ends without counts counts as one failure, a skipped test too: green means that all of it ran.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, runPinnedNodeInGroup } from './processes.mjs'

/** One test; one that hangs is told by name instead of stopping everything. With HANSE_LONG=1 tests take hours. */
const TEST_TIMEOUT_MS = process.env.HANSE_LONG === '1' ? 14_400_000 : 600_000

/**
 * The test files in a folder of the checkout, sorted, as paths from its root.
 *
 * @param {string} folder - such as `src` or `test/compat`; one that is not there has none
 * @param {{ deep?: boolean, ending?: string }} [options] - `deep`: with all folders in it; `ending`: of the names
 */
export function testFiles(folder, { deep = false, ending = '.test.ts' } = {}) {
  let entries
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
  return entries
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return deep ? testFiles(path, { deep, ending }) : []
      return entry.name.endsWith(ending) ? [path] : []
    })
    .sort()
}

/**
 * Runs test files and returns the counts; none when there is no file.
 *
 * @param {string[]} files
 * @param {{ concurrency: number }} options - how many files at a time
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function runTests(files, { concurrency }) {
  if (files.length === 0) return { passed: 0, failed: 0 }
  const folder = mkdtempSync(join(tmpdir(), 'hanse-test-'))
  try {
    const totals = join(folder, 'totals.json')
    const code = await runPinnedNodeInGroup([
      '--test',
      `--import=${join(root, 'scripts', 'test-process-end.mjs')}`,
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(root, 'scripts', 'totals-reporter.mjs')}`,
      `--test-reporter-destination=${totals}`,
      ...files,
    ])
    return countsOf(readText(totals), code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * What a run counts for: every test that did not pass is a failure, and so is a run that crashed.
 *
 * @param {string} totals - what the totals reporter wrote, empty when it did not get that far
 * @param {number} code - exit code of the run
 */
export function countsOf(totals, code) {
  if (totals.trim() === '') return { passed: 0, failed: 1 }
  const { tests, passed } = JSON.parse(totals)
  const failed = tests - passed
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed }
}

/** Prints the last line of a run and returns its exit code: 1 when anything failed or nothing ran. */
export function conclude({ passed, failed }) {
  if (passed + failed === 0) {
    process.stdout.write('No test ran: no test file was found\n')
    failed = 1
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
