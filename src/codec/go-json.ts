/**
 * JSON as Go's encoding/json writes and reads it, which is what Consul's clients send and compare.
 *
 * Writing: `<`, `>`, `&`, U+2028 and U+2029 are escaped, a BigInt is a number, bytes are base64, a `Map` is a Go map
 * (keys sorted), members that are `undefined` are left out. Reading: errors carry Go's words. The codec that knows
 * types is derived from the schema; this file is below it.
 */
import { goJsonError } from './go-json-errors.ts'
import { JsonProblem, type JsonValue, readJson } from './go-json-reader.ts'
import { MAX_TEXT_CHARACTERS } from './hcl.ts'
import { textError } from './hcl-errors.ts'
import { positionAt, type TextSource, type TextValue } from './hcl-positions.ts'

export { goJsonError }

export interface GoJsonOptions {
  /** Indent of one level, for `?pretty` (four spaces) and the CLI; compact without it. */
  readonly indent?: string
}

/** Deepest value that is written; a cycle ends here instead of in a stack overflow. */
export const MAX_ENCODE_DEPTH = 1000

/**
 * Writes a value as Go does.
 *
 * @throws HanseError JSON_ENCODE for NaN, infinities, functions, symbols and values nested without end
 */
export function goJson(value: unknown, options: GoJsonOptions = {}): string {
  const plain = isPlain(value, 0) ? JSON.stringify(value, null, options.indent) : undefined
  if (plain !== undefined && plain.search(LONE_SURROGATE) === -1) return plain.replace(HTML, escaped)
  return write(value, options.indent ?? '', options.indent === undefined ? '' : '\n', 0)
}

const HTML = /[<>&\u2028\u2029]/g
/** JSON.stringify writes one as its code, Go as U+FFFD; the text may also be an escaped backslash before a `u`. */
const LONE_SURROGATE = /\\ud[89a-f]/

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/**
 * Whether the engine's own writer gives the same text but for the escapes: it is several times faster.
 * Not for BigInt, bytes, maps, −0, infinities, objects of classes.
 */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'undefined':
      return depth > 0
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  if (depth > MAX_PLAIN_DEPTH) return false
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const key in value) {
    if (!isPlain(Reflect.get(value, key), depth + 1)) return false
  }
  return !('toJSON' in value)
}
const MAX_PLAIN_DEPTH = 100

function write(value: unknown, indent: string, newline: string, depth: number): string {
  if (value === null || value === undefined) return 'null'
  switch (typeof value) {
    case 'string':
      return goString(value)
    case 'number':
      if (!Number.isFinite(value)) throw goJsonError('JSON_ENCODE', { value: goNumberName(value) })
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      break
    default:
      throw goJsonError('JSON_ENCODE', { value: typeof value })
  }
  if (depth > MAX_ENCODE_DEPTH) throw goJsonError('JSON_ENCODE', { value: `nested deeper than ${MAX_ENCODE_DEPTH}` })
  if (value instanceof Uint8Array) {
    return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`
  }
  const isList = Array.isArray(value)
  const parts: string[] = []
  if (isList) {
    for (const item of value) parts.push(write(item, indent, newline, depth + 1))
  } else {
    const colon = newline === '' ? ':' : ': '
    for (const [key, member] of members(value)) {
      if (member !== undefined) parts.push(`${goString(key)}${colon}${write(member, indent, newline, depth + 1)}`)
    }
  }
  const [open, close] = isList ? '[]' : '{}'
  if (parts.length === 0) return `${open}${close}`
  const inner = newline + indent.repeat(newline === '' ? 0 : depth + 1)
  const outer = newline + indent.repeat(newline === '' ? 0 : depth)
  return `${open}${inner}${parts.join(`,${inner}`)}${outer}${close}`
}

function members(value: object): Iterable<[string, unknown]> {
  if (!(value instanceof Map)) return Object.entries(value)
  const entries: [string, unknown][] = [...value].map(([key, member]) => [String(key), member])
  return entries.sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
}

const NEEDS_ESCAPE = /["\\<>&\x00-\x1f\u2028\u2029]|[\ud800-\udfff]/
const ESCAPED = /["\\<>&\x00-\x1f\u2028\u2029]/g
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** A string as Go writes it, with quotes. A lone surrogate becomes U+FFFD, written `\ufffd`. */
export function goString(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  const safe = text.replace(ESCAPED, (char) => SHORT[char] ?? escaped(char))
  return `"${safe.isWellFormed() ? safe : safe.replace(/\p{Cs}/gu, '\\ufffd')}"`
}

function goNumberName(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return value > 0 ? '+Inf' : '-Inf'
}

/**
 * Reads a request body.
 *
 * @returns plain values; integers that a number cannot hold come as BigInt
 * @throws HanseError JSON_DECODE with Go's text: `EOF` for an empty body, `unexpected EOF` for one cut off,
 *   `invalid character 'b' looking for beginning of object key string`, …
 */
export function parseGoJson(text: string): JsonValue {
  try {
    return readJson(text, { empty: 'EOF', truncated: 'unexpected EOF', bigIntegers: true })
  } catch (thrown) {
    if (!(thrown instanceof JsonProblem)) throw thrown
    throw goJsonError('JSON_DECODE', { problem: thrown.message })
  }
}

/**
 * Reads a configuration file in JSON.
 *
 * @throws HanseError JSON_SYNTAX with file, line and column; TEXT_TOO_LARGE
 */
export function parseJson(text: string, source: TextSource): TextValue {
  const body = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  if (body.length > MAX_TEXT_CHARACTERS) {
    throw textError('TEXT_TOO_LARGE', { file: source.file, size: body.length, limit: MAX_TEXT_CHARACTERS })
  }
  try {
    return withoutBigInt(
      readJson(body, {
        empty: 'the text is empty',
        truncated: 'unexpected end of JSON input',
        bigIntegers: false,
        notePlace: source.notePlace,
      }),
    )
  } catch (thrown) {
    if (!(thrown instanceof JsonProblem)) throw thrown
    throw textError('JSON_SYNTAX', {
      file: source.file,
      ...positionAt(body, thrown.offset),
      problem: thrown.message,
    })
  }
}

/** The reader made none (`bigIntegers: false`); this says so to the compiler, once, at the top. */
function withoutBigInt(value: JsonValue): TextValue {
  return value as TextValue
}
