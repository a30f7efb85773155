/**
 * Keys of records: parts joined by NUL, so that records of one node stand together; and the order they stand in.
 *
 * In the store a record's key is `<table>/<key>`. Its order is that of UTF-8 bytes, as in the engines and in Consul's
 * lists; JavaScript compares UTF-16 units, which differs only beyond U+D7FF.
 */
import { stateError } from './errors.ts'

const SEPARATOR = '\0'

/** Joins the parts of a key. @throws STATE_KEY_INVALID if one cannot be a part */
export function joinKey(table: string, ...parts: readonly string[]): string {
  for (const part of parts) {
    if (part.includes(SEPARATOR)) throw stateError('STATE_KEY_INVALID', { table, reason: 'a name holds a NUL' })
  }
  return rawKey(...parts)
}

/** The same for parts that are known to be some, or that are only compared. */
export function rawKey(...parts: readonly string[]): string {
  return parts.join(SEPARATOR)
}

/** The part before the first NUL: the node of a service, check or coordinate. */
export function firstPart(key: string): string {
  const end = key.indexOf(SEPARATOR)
  return end === -1 ? key : key.slice(0, end)
}

/** How names of nodes and services are looked up. */
export function foldCase(name: string): string {
  return name.toLowerCase()
}

const BEYOND = /[\ud800-\uffff]/
const SURROGATES_END = 0xe000

/** A text whose order by UTF-16 units is the order of `key` by UTF-8 bytes; prefixes stay prefixes. */
export function orderOf(key: string): string {
  if (!BEYOND.test(key)) return key
  return key.replace(/[\ud800-\uffff]/g, (unit) => {
    const code = unit.charCodeAt(0)
    return String.fromCharCode(code < SURROGATES_END ? code + 0x2000 : code - 0x800)
  })
}
