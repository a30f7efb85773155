/**
 * Layers: which folder may import from which, and who may touch what the process shares.
 *
 * The order of `LAYERS` is the rule: a folder imports from those above it, through their face (`#folder`), and nothing
 * of the project else. So there is no cycle between folders; within one, relative imports must have none either.
 */
import { posix } from 'node:path'
import type { Tree } from './checkout.ts'
import { codeOnly, importsOf, lineAt, withoutComments } from './source-text.ts'

/** Top to bottom; a folder that is not here cannot exist in src/. */
export const LAYERS = [
  'base',
  'codec',
  'net',
  'client',
  'watch',
  'snapshot',
  'gossip',
  'store',
  'state',
  'acl',
  'ca',
  'mesh',
  'endpoints',
  'federation',
  'xds',
  'proxy',
  'api',
  'agent',
  'kubernetes',
  'local',
  'cli',
] as const

/** Time, chance and environment come from base/, so that a test can put its own in their place. */
const PROCESS_GLOBALS: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'Date.now', pattern: /\bDate\s*\.\s*now\b/g },
  { name: 'new Date()', pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?![\w\s(]))/g },
  { name: 'Math.random', pattern: /\bMath\s*\.\s*random\b/g },
  { name: 'performance.now', pattern: /\bperformance\s*\.\s*now\b/g },
  { name: 'process.hrtime', pattern: /\bprocess\s*\.\s*hrtime\b/g },
  { name: 'process.env', pattern: /\bprocess\s*\.\s*env\b/g },
]
/** The same under other names: by destructuring, from an import or from the object. */
const DESTRUCTURED =
  /\{[^{}]*\b(env|hrtime|now|random)\b[^{}]*\}\s*(?:from\s*['"]node:(?:process|perf_hooks)['"]|=\s*(?:process|performance|Date|Math)\b)/g

export interface GlobalException {
  /** A file, or a folder with a slash at its end. */
  readonly path: string
  readonly globals: readonly string[]
  readonly reason: string
}

export const GLOBAL_EXCEPTIONS: readonly GlobalException[] = [
  { path: 'src/base/', globals: PROCESS_GLOBALS.map(({ name }) => name), reason: 'it is the place for them' },
  { path: 'src/cli/', globals: ['process.env'], reason: 'the environment is part of the command line' },
  { path: 'src/local/', globals: ['process.env'], reason: 'hands the environment on to the processes it starts' },
]

/**
 * Every breach of the rules, as `path:line: what`.
 *
 * @param tree - the sources of src/, test/ and bench/
 * @param dependencies - names of the packages that the program itself may import
 */
export function layerViolations(tree: Tree, dependencies: readonly string[]): string[] {
  return [
    ...[...tree].flatMap(([path, source]) => [
      ...nameViolations(path),
      ...importViolations(path, source, tree, dependencies),
      ...globalViolations(path, source),
    ]),
    ...cycles(tree),
  ]
}

/** What package.json says about faces: each folder with a face has its `#name`, and each name is in LAYERS. */
export function faceViolations(imports: Readonly<Record<string, unknown>>, folders: readonly string[]): string[] {
  const names = Object.keys(imports).map((key) => key.slice(1))
  return [
    ...names.filter((name) => !isLayer(name)).map((name) => `package.json: "#${name}" is not a folder of LAYERS`),
    ...names
      .filter((name) => imports[`#${name}`] !== `./src/${name}/index.ts`)
      .map((name) => `package.json: "#${name}" must be "./src/${name}/index.ts"`),
    ...folders.filter((name) => !names.includes(name)).map((name) => `package.json: "#${name}" is not in imports`),
  ]
}

const isLayer = (name: string): boolean => layerOf(name) !== -1
const layerOf = (name: string): number => (LAYERS as readonly string[]).indexOf(name)
const isTest = (path: string): boolean => !path.startsWith('src/') || /\.(test|suite)\.ts$/.test(path)
/** What tests share, wherever they stand: the programs that they start, and the fixtures of a folder. */
const isShared = (path: string): boolean => path.startsWith('test/support/') || path.endsWith('-fixture.ts')
const folderOf = (path: string): string | undefined => (path.startsWith('src/') ? path.split('/')[1] : undefined)

function nameViolations(path: string): string[] {
  const folder = folderOf(path)
  if (folder === undefined) return []
  const found: string[] = []
  if (path.split('/').length < 3) found.push(`${path}: a source file belongs in a folder of src/`)
  else if (!isLayer(folder)) found.push(`${path}: the folder "${folder}" is not in LAYERS`)
  if (/(^|\/)(utils?|helpers?)\b[^/]*(\/|$)/.test(path)) found.push(`${path}: name it for what it does`)
  if (/^src\/[^/]+\/.+\/index\.ts$/.test(path)) found.push(`${path}: one face per folder, none inside`)
  return found
}

function importViolations(path: string, source: string, tree: Tree, dependencies: readonly string[]): string[] {
  return importsOf(source).flatMap(({ specifier, line }) => {
    const wrong = importViolation(path, specifier, tree, dependencies)
    return wrong === undefined ? [] : [`${path}:${line}: imports "${specifier}": ${wrong}`]
  })
}

function importViolation(
  path: string,
  specifier: string,
  tree: Tree,
  dependencies: readonly string[],
): string | undefined {
  if (specifier.startsWith('.')) return relativeViolation(path, specifier, tree)
  if (specifier.startsWith('#')) return faceViolation(path, specifier.slice(1))
  if (specifier.startsWith('node:') || isTest(path)) return undefined
  const isDependency = dependencies.some((name) => specifier === name || specifier.startsWith(`${name}/`))
  return isDependency ? undefined : 'it is not among the dependencies of package.json'
}

function relativeViolation(path: string, specifier: string, tree: Tree): string | undefined {
  const target = posix.join(posix.dirname(path), specifier)
  if (isTest(path) && isShared(target)) return tree.has(target) ? undefined : 'there is no such file (write the ending)'
  if (folderOf(target) !== folderOf(path)) return 'another folder is reached through its face, "#folder"'
  if (!isTest(path) && /^src\/[^/]+\/index\.ts$/.test(target)) return 'the face is for other folders'
  if (folderOf(target) !== undefined && !tree.has(target)) return 'there is no such file (write the ending)'
  return undefined
}

function faceViolation(path: string, name: string): string | undefined {
  if (!isLayer(name)) return 'is not a folder of LAYERS'
  const own = folderOf(path)
  if (own === undefined) return undefined
  if (own === name) return isTest(path) ? undefined : 'the face is for other folders'
  return layerOf(name) < layerOf(own) ? undefined : `"${name}" is below "${own}"`
}

function globalViolations(path: string, source: string): string[] {
  if (isTest(path)) return []
  const allowed = GLOBAL_EXCEPTIONS.filter((exception) =>
    exception.path.endsWith('/') ? path.startsWith(exception.path) : path === exception.path,
  ).flatMap((exception) => exception.globals)
  const code = codeOnly(source)
  const uses = PROCESS_GLOBALS.flatMap(({ name, pattern }) =>
    [...code.matchAll(pattern)].map((match) => ({ name, at: match.index })),
  )
  const destructured = [...withoutComments(source).matchAll(DESTRUCTURED)].map((match) => ({
    name: PROCESS_GLOBALS.find(({ name }) => name.endsWith(`.${match[1]}`))?.name ?? '',
    at: match.index,
  }))
  return [...uses, ...destructured]
    .filter(({ name }) => !allowed.includes(name))
    .map(({ name, at }) => `${path}:${lineAt(source, at)}: uses ${name}: only base/ may, take its clock or random`)
}

/** Import cycles between files of one folder, each told once, types included: a cycle of types is a knot as well. */
function cycles(tree: Tree): string[] {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at !== -1) {
      found.push(`${path}: import cycle: ${[...trail.slice(at), path].map((file) => posix.basename(file)).join(' → ')}`)
      return
    }
    if (done.has(path)) return
    for (const { specifier } of importsOf(tree.get(path) ?? '')) {
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(path), specifier), [...trail, path])
    }
    done.add(path)
  }
  for (const path of tree.keys()) visit(path, [])
  return found
}
