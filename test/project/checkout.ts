/**
 * The checkout as the rules of this folder see it: paths from its root and the text of files.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A tree of text files: path from the root, with slashes, to contents. Made-up ones test the rules themselves. */
export type Tree = ReadonlyMap<string, string>

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const GIT_OUTPUT_BYTES = 64 * 1024 * 1024

/** All files in a folder whose name ends in one of `endings`; none when the folder is not there. */
export function readTree(folder: string, endings: readonly string[]): Map<string, string> {
  const tree = new Map<string, string>()
  if (!existsSync(join(root, folder))) return tree
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !endings.some((ending) => entry.name.endsWith(ending))) continue
    const path = join(entry.parentPath, entry.name).slice(root.length + 1)
    tree.set(path, readFileSync(join(root, path), 'utf8'))
  }
  return tree
}

/** Paths of all files that are part of the project: tracked, or about to be. */
export function projectFiles(): string[] {
  const output = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: GIT_OUTPUT_BYTES,
  })
  return output.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))
}
