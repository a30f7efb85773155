/**
 * Headers: every file says at its beginning what it is, so that a reader need not find out.
 */
import type { Tree } from './checkout.ts'

/** Fewer words than this are a title, not a sentence. */
const MIN_WORDS = 5

/** Files without a header, as `path: what is wrong`. */
export function headerViolations(tree: Tree): string[] {
  return [...tree].flatMap(([path, source]) => {
    const wrong = headerViolation(source)
    return wrong === undefined ? [] : [`${path}: ${wrong}`]
  })
}

function headerViolation(source: string): string | undefined {
  const match = /^(?:#![^\n]*\n)?\/\*\*([\s\S]*?)\*\/([\s\S]*)$/.exec(source)
  if (match === null) return 'does not begin with a /** header'
  const [, comment = '', rest = ''] = match
  const text = comment.replace(/^\s*\*/gm, ' ').trim()
  if (text.split(/\s+/).length < MIN_WORDS || !/[.:](\s|$)/.test(text)) return 'its header is not a sentence'
  // A comment right above a declaration is about that declaration, and the file has none.
  if (!/^\s*$|^\n\s*\n|^\n(import|export (type )?[{*])/.test(rest)) return 'its first comment is about one declaration'
  return undefined
}
