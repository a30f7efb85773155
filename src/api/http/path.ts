/**
 * From the raw request target to a path that routes can be looked up with, as Go's server sees it.
 */

export type PathReading =
  | { readonly kind: 'path'; readonly path: string; readonly search: string }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'bad' }

/** Longest request target. */
export const MAX_TARGET_CHARACTERS = 16_384

/** Letters, marks, numbers, punctuation, symbols and the space; everything else is refused in a path. */
const NOT_PRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u
const UNCLEAN = /\/\/|\/\.{1,2}(?:\/|$)/
/** Keys may have any shape, so their paths are left as they are. */
const KEPT_AS_IS = '/v1/kv/'

export function readPath(target: string): PathReading {
  if (target.length > MAX_TARGET_CHARACTERS) return { kind: 'bad' }
  const mark = target.indexOf('?')
  const raw = mark === -1 ? target : target.slice(0, mark)
  const search = mark === -1 ? '' : target.slice(mark + 1)
  let path: string
  try {
    path = decodeURIComponent(raw)
  } catch {
    return { kind: 'bad' }
  }
  if (!path.startsWith('/') || NOT_PRINTABLE.test(path)) return { kind: 'bad' }
  if (UNCLEAN.test(path) && !path.startsWith(KEPT_AS_IS)) {
    const location = encodeURI(cleaned(path)) + (search === '' ? '' : `?${search}`)
    return { kind: 'redirect', location }
  }
  return { kind: 'path', path, search }
}

function cleaned(path: string): string {
  const out: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') out.pop()
    else out.push(part)
  }
  const slash = path.endsWith('/') && out.length > 0 ? '/' : ''
  return `/${out.join('/')}${slash}`
}
