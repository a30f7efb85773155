/**
 * Source text: looks at TypeScript as the rules of this folder need it, without a compiler.
 *
 * Comments, strings and regular expressions are blanked (line breaks stay), so that a rule about code never fires on
 * prose. Imports are read from what is left. It knows as much of the grammar as that takes and no more.
 */

export interface Import {
  readonly specifier: string
  readonly line: number
}

type Region = 'code' | 'comment' | 'string'

/** The same text with comments blanked; strings stay. */
export const withoutComments = (source: string): string => blank(source, new Set<Region>(['comment']))

/** The same text with comments, strings and regular expressions blanked; expressions inside templates stay. */
export const codeOnly = (source: string): string => blank(source, new Set<Region>(['comment', 'string']))

/** What a module imports or exports from elsewhere, types and dynamic imports of a literal included. */
export function importsOf(source: string): Import[] {
  const text = withoutComments(source)
  const code = codeOnly(source)
  const found: Import[] = []
  for (const match of text.matchAll(/(?<!\.)\b(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g)) {
    // The word has to be code: inside a string it was blanked.
    if (code[match.index] !== text[match.index]) continue
    found.push({ specifier: match[2] ?? '', line: lineAt(text, match.index) })
  }
  return found
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

function blank(source: string, regions: ReadonlySet<Region>): string {
  const out = source.split('')
  for (const { region, start, end } of regionsOf(source)) {
    if (!regions.has(region)) continue
    for (let i = start; i < end; i++) if (out[i] !== '\n') out[i] = ' '
  }
  return out.join('')
}

interface Span {
  readonly region: Region
  readonly start: number
  readonly end: number
}

/** All comments and strings, in order. Text between them is code. */
function regionsOf(source: string): Span[] {
  const spans: Span[] = []
  // One entry per template expression that is open: how many braces are open inside it.
  const templates: number[] = []
  let lastCode = ''
  let i = 0
  const add = (region: Region, end: number) => {
    spans.push({ region, start: i, end })
    i = end
  }
  while (i < source.length) {
    const char = source[i] ?? ''
    const two = source.slice(i, i + 2)
    if (two === '//') add('comment', endOf(source, '\n', i))
    else if (two === '/*') add('comment', Math.min(source.length, endOf(source, '*/', i + 2) + 2))
    else if (char === "'" || char === '"') {
      add('string', quoted(source, i, char))
      lastCode = '"'
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop()
      const end = templatePart(source, i + 1)
      if (source.slice(end - 2, end) === '${') templates.push(0)
      add('string', end)
      lastCode = '"'
    } else if (char === '/' && startsRegExp(lastCode)) {
      add('string', regExp(source, i))
      lastCode = '"'
    } else {
      const depth = templates.at(-1)
      if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1
      if (depth !== undefined && char === '}') templates[templates.length - 1] = depth - 1
      if (!/\s/.test(char)) lastCode = /\w/.test(char) && /\w/.test(source[i - 1] ?? '') ? lastCode + char : char
      i++
    }
  }
  return spans
}

/** Whether a slash after this word or sign begins a regular expression; after a value it divides. */
function startsRegExp(lastCode: string): boolean {
  return lastCode === '' || /^(return|typeof|case|of|in|=|[([{,;:!&|?+\-*%<>~^])$/.test(lastCode)
}

function endOf(source: string, mark: string, from: number): number {
  const at = source.indexOf(mark, from)
  return at === -1 ? source.length : at
}

function quoted(source: string, start: number, quote: string): number {
  let i = start + 1
  while (i < source.length && source[i] !== quote && source[i] !== '\n') i += source[i] === '\\' ? 2 : 1
  return Math.min(source.length, i + 1)
}

/** From inside a template to behind its closing backtick, or behind the next `${`. */
function templatePart(source: string, start: number): number {
  let i = start
  while (i < source.length) {
    if (source[i] === '`') return i + 1
    if (source.startsWith('${', i)) return i + 2
    i += source[i] === '\\' ? 2 : 1
  }
  return source.length
}

function regExp(source: string, start: number): number {
  let inClass = false
  let i = start + 1
  while (i < source.length && source[i] !== '\n') {
    const char = source[i]
    if (char === '\\') i++
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    else if (char === '/' && !inClass) return i + 1
    i++
  }
  return i
}
