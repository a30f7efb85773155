/**
 * `npm start`: installs what is missing, then runs the hanse command with the arguments given (`up`, `up --check`).
 *
 * Plain JavaScript, so that any Node from 20 on can begin; the command itself runs on the pinned one. Ctrl-C goes to the
 * command once, and this script waits for it to clean up.
 */
import { join } from 'node:path'
import { ensurePackages } from './packages.mjs'
import { root, runPinnedNode } from './processes.mjs'

await ensurePackages()
process.exit(await runPinnedNode([join(root, 'src', 'cli', 'main.ts'), ...process.argv.slice(2)]))
