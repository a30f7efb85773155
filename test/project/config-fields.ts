/**
 * Settings that do something: each field of the configuration is read by the program, not only built and checked.
 *
 * A key that Hanse takes in and ignores would tell nobody that it has no effect; such keys belong to those that are known
 * (config-keys-known.ts), for which users are warned.
 */
import type { Tree } from './checkout.ts'
import { codeOnly } from './source-text.ts'

export interface Field {
  readonly owner: string
  readonly name: string
}

/** The fields of the interfaces and types of a module, those of objects inside them too. */
export function fieldsOf(source: string): Field[] {
  const fields: Field[] = []
  let owner = ''
  let depth = 0
  for (const match of codeOnly(source).matchAll(/\b(?:interface|type) (\w+)|\breadonly (\w+)\??:|[{}]/g)) {
    if (match[1] !== undefined) [owner, depth] = [match[1], 0]
    else if (match[2] === undefined) depth += match[0] === '{' ? 1 : -1
    else fields.push({ owner: depth > 1 ? `${owner}.…` : owner, name: match[2] })
  }
  return fields
}

/**
 * Fields that nothing reads: neither `.field`, nor a pattern that takes it out of an object.
 *
 * @param root - the interface of the whole, of which only what is taken from a `config` counts
 */
export function unreadFields(fields: readonly Field[], root: string, readers: Tree): Field[] {
  const code = [...readers.values()].map(codeOnly).join('\n')
  return fields.filter(({ owner, name }) => {
    const from = owner === root ? '\\bconfig' : ''
    const of = owner === root ? '(?:\\w+\\.)*config\\b' : '(?!>)'
    const type = owner === root ? root : '\\w+'
    const access = new RegExp(`${from}\\.${name}\\b`)
    const pattern = new RegExp(`\\{[^{}=;()]*\\b${name}\\b[^{};()]*\\}\\s*(?:=\\s*${of}|:\\s*${type}\\b)`)
    return !access.test(code) && !pattern.test(code)
  })
}
