/**
 * `npm run check`: the one gate before a commit. Types, lint and format, and the project's own rules.
 *
 * All steps run, at the same time, so that one look shows everything there is to repair; a step that passed says only
 * that. Tests of behaviour are `npm test`.
 */
import { join } from 'node:path'
import { ensurePackages } from './packages.mjs'
import { capture, root } from './processes.mjs'
import { testFiles } from './test-runs.mjs'

await ensurePackages()

const modules = join(root, 'node_modules')
const pinnedNode = join(root, 'scripts', 'node.sh')
const rules = testFiles('test/project')
const steps = [
  { name: 'types', run: () => capture(process.execPath, [join(modules, 'typescript', 'bin', 'tsc'), '-p', '.']) },
  {
    name: 'lint and format',
    hint: 'npm run format repairs what can be repaired',
    run: () =>
      capture(process.execPath, [
        join(modules, '@biomejs', 'biome', 'bin', 'biome'),
        'check',
        '--error-on-warnings',
        '--max-diagnostics=200',
        '.',
      ]),
  },
  {
    name: 'rules: layers, headers, errors and their documentation, no paths of one machine',
    run: () =>
      rules.length === 0
        ? { code: 1, output: 'no test file in "test/project"\n' }
        : capture(pinnedNode, ['--test', '--test-reporter=spec', ...rules]),
  },
]

const results = await Promise.all(steps.map(async (step) => ({ ...step, ...(await step.run()) })))
const failed = results.filter(({ code }) => code !== 0)
for (const { name, hint, output } of failed) {
  process.stdout.write(`\n── ${name} ──\n${output.trimEnd()}\n${hint === undefined ? '' : `hint: ${hint}\n`}`)
}
process.stdout.write('\n')
for (const { name, code } of results) process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${name}\n`)
process.stdout.write(`${results.length - failed.length} passed, ${failed.length} failed\n`)
process.exit(failed.length === 0 ? 0 : 1)
