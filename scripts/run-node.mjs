/**
 * Runs a TypeScript file of this checkout in the pinned Node: `node scripts/run-node.mjs bench/run.ts …`.
 */
import { ensurePackages } from './packages.mjs'
import { runPinnedNode } from './processes.mjs'

if (process.argv.length < 3) {
  process.stderr.write('usage: node scripts/run-node.mjs FILE [ARGUMENT…]\n')
  process.exit(2)
}
await ensurePackages()
process.exit(await runPinnedNode(process.argv.slice(2)))
