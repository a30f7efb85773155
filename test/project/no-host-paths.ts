/**
 * Host paths: nothing in the project may only be true on the machine where it was written.
 *
 * Absolute paths of a developer's folders, and hosts of package registries (the lock file carries integrities, and
 * everyone's own registry setting says where from).
 */
import type { Tree } from './checkout.ts'
import { lineAt } from './source-text.ts'

/** Folders that people and build machines work in; after a letter or dot it is part of a longer path or a URL. */
const WORK_FOLDERS = ['work', 'root', 'home', 'Users', 'workspace', 'builds']
const REGISTRY_HOSTS = [
  'registry.npmjs.org',
  'registry.yarnpkg.com',
  'npm.pkg.github.com',
  'files.pythonhosted.org',
  'deb.debian.org',
  'proxy.golang.org',
  'registry-1.docker.io',
]
const PATTERNS = [
  new RegExp(`(?<![\\w.}*-])/(?:${WORK_FOLDERS.join('|')})/[\\w.-]+`, 'g'),
  new RegExp(REGISTRY_HOSTS.map((host) => host.replaceAll('.', '\\.')).join('|'), 'g'),
]

/** What this file lists and its test makes up would fire on itself. */
const SELF = /^test\/project\/no-host-paths(\.test)?\.ts$/

/**
 * @param tree - text files of the project
 * @param own - absolute paths of this machine that must not appear, such as the checkout's
 */
export function hostPathViolations(tree: Tree, own: readonly string[]): string[] {
  return [...tree]
    .filter(([path]) => !SELF.test(path))
    .flatMap(([path, text]) =>
      [
        ...PATTERNS.flatMap((pattern) =>
          [...text.matchAll(pattern)].map((match) => ({ at: match.index, what: match[0] })),
        ),
        ...own.filter((folder) => text.includes(folder)).map((folder) => ({ at: text.indexOf(folder), what: folder })),
      ].map(({ at, what }) => `${path}:${lineAt(text, at)}: "${what}" is of one machine or registry`),
    )
}
