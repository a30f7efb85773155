/**
 * Programs that are built from Go modules: fetched from the module proxy as their go.sum says, and kept in a folder of the
 * checkout that git ignores, so that nothing of the system's Go is changed.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './processes.mjs'

/** The newest etcd: 100 seconds of CPU the first time, then a second. */
export const NEWEST_ETCD = { from: 'test/etcd/newest', package: 'go.etcd.io/etcd/server/v3', variable: 'HANSE_ETCD' }
/** Judges histories. */
export const PORCUPINE = { from: 'test/etcd/porcupine', package: '.', variable: 'HANSE_PORCUPINE' }

/** Go must not fetch another Go, nor change what go.mod and go.sum say. */
const ENVIRONMENT = ['CGO_ENABLED=0', 'GOFLAGS=-mod=readonly', 'GOTOOLCHAIN=local']

/**
 * Builds it once for each state of the module's files.
 *
 * @param {string} program - for people
 * @param {{ from: string, package: string }} build - the module's folder, and the package in it or below it
 * @param {(line: string) => void} say
 * @returns {Promise<{ path: string, problem?: string, hint: string }>} with what went wrong, if anything
 */
export async function installBuild(program, { from, package: built }, say) {
  const folder = join(root, from)
  const hash = createHash('sha256')
  for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)))
  const installed = join(root, '.hanse', 'go', hash.digest('hex').slice(0, 16))
  const hint = `see that "go -C ${from} mod download" works, and that "go version" is at least what its go.mod says`
  if (!existsSync(installed)) {
    say(`Building ${program} with go, from the modules of ${from}`)
    const args = ['-C', folder, 'build', '-trimpath', '-ldflags', '-s -w', '-o', installed, built]
    const result = await capture('env', [...ENVIRONMENT, 'go', ...args])
    if (result.code !== 0 || !existsSync(installed)) {
      return { path: installed, problem: `go ended with ${result.code}: ${result.output.trim()}`, hint }
    }
  }
  return { path: installed, hint }
}
