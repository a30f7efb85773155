/**
 * Errors ⇄ documentation: every code that the program can give is explained, and nothing else is.
 */
import type { Tree } from './checkout.ts'

/** The codes of each folder's tables, and what docs/errors/ says about the folder, by folder. */
export interface ErrorsAndDocs {
  readonly codes: ReadonlyMap<string, readonly string[]>
  readonly docs: ReadonlyMap<string, string>
}

/** The folder that a file with tables belongs to: `src/<folder>/errors.ts` or, where several, `<topic>-errors.ts`. */
export function tableFolder(path: string): string | undefined {
  return /^src\/([^/]+)\/(?:[^/]+\/)*(?:[\w-]+-)?errors\.ts$/.exec(path)?.[1]
}

/** The folder that a page is about: `<folder>.md` or, where there are several, `<folder>-<topic>.md`. */
export function docsFolder(path: string): string | undefined {
  return /^docs\/errors\/([a-z]+)(?:-[\w-]+)?\.md$/.exec(path)?.[1]
}

/** Differences between tables and documentation, as `docs/errors/<folder>.md: what`. */
export function errorDocViolations({ codes, docs }: ErrorsAndDocs): string[] {
  const folders = new Set([...codes.keys(), ...docs.keys()])
  return [...folders].sort().flatMap((folder) => {
    const rows = rowsOf(docs.get(folder) ?? '')
    const documented = rows.map(({ code }) => code)
    const declared = codes.get(folder) ?? []
    return [
      ...declared.filter((code) => !documented.includes(code)).map((code) => `${code} has no row`),
      ...documented.filter((code) => !declared.includes(code)).map((code) => `${code} is in no error table`),
      ...documented.filter((code, i) => documented.indexOf(code) !== i).map((code) => `${code} has two rows`),
      ...rows.filter(({ complete }) => !complete).map(({ code }) => `${code} needs: code, status, when, what to do`),
    ].map((wrong) => `docs/errors/${folder}.md: ${wrong}`)
  })
}

/** Tables that are declared where no one looks for them. */
export function strayTables(tree: Tree): string[] {
  return [...tree]
    .filter(([path]) => !path.endsWith('.test.ts') && tableFolder(path) === undefined)
    .filter(([, source]) => /\berrorTable\s*\(/.test(source))
    .map(([path]) => `${path}: an error table belongs in errors.ts, or <topic>-errors.ts, of its folder`)
}

/** The codes of all tables that a module exports: functions with a list `codes`, as errorTable() makes them. */
export function codesOf(exports: Readonly<Record<string, unknown>>): string[] {
  return Object.values(exports).flatMap((value) => {
    if (typeof value !== 'function' || !('codes' in value) || !Array.isArray(value.codes)) return []
    return value.codes.map(String)
  })
}

function rowsOf(markdown: string): { code: string; complete: boolean }[] {
  return markdown.split('\n').flatMap((line) => {
    const code = /^\|\s*`([A-Z][A-Z0-9_]*)`\s*\|/.exec(line)?.[1]
    if (code === undefined) return []
    // A pipe inside a cell is written \|, and does not end it.
    const cells = line.replaceAll('\\|', '').split('|').slice(1, -1)
    return [{ code, complete: cells.length === 4 && cells.every((cell) => cell.trim() !== '') }]
  })
}
