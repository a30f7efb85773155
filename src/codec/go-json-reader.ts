/**
 * A strict JSON reader that names faults as Go's encoding/json does and knows the place of every key.
 *
 * One reader for two uses: request bodies, whose error texts clients match on (`invalid character 'b' looking for
 * beginning of object key string`), and configuration files, whose errors need line and column. Strings follow Go:
 * a lone surrogate becomes U+FFFD. Integers beyond 2^53 are kept as BigInt when asked for.
 *
 * Source: RFC 8259; error texts as documented and observed of Go's standard library.
 */
import type { Position, TextSource } from './hcl-positions.ts'

/** Deepest nesting; Go allows 10,000, no body of ours comes near 200. */
export const MAX_JSON_DEPTH = 200

export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject
export interface JsonObject {
  [key: string]: JsonValue
}

/** Thrown inside; faces turn it into their coded error. `offset` counts UTF-16 units from the start. */
export class JsonProblem extends Error {
  readonly offset: number
  constructor(problem: string, offset: number) {
    super(problem)
    this.offset = offset
  }
}

export interface JsonReaderOptions {
  /** Text for an input that stops in the middle. */
  readonly truncated: string
  /** Text for an input without any value. */
  readonly empty: string
  /** BigInt for integers that a number cannot hold. */
  readonly bigIntegers: boolean
  /** Told the place of every key and element. */
  readonly notePlace?: TextSource['notePlace']
}

const PLAIN = /[^"\\\x00-\x1f]+/y
const HEX4 = /[0-9a-fA-F]{4}/y
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** Reads one value that fills the text. */
export function readJson(text: string, options: JsonReaderOptions): JsonValue {
  const reader = new JsonReader(text, options)
  return reader.read()
}

class JsonReader {
  readonly #text: string
  readonly #options: JsonReaderOptions
  #at = 0
  #depth = 0
  #line = 1
  #lineStart = 0

  constructor(text: string, options: JsonReaderOptions) {
    this.#text = text
    this.#options = options
  }

  read(): JsonValue {
    this.#blank()
    if (this.#at >= this.#text.length) throw new JsonProblem(this.#options.empty, this.#at)
    const value = this.#value()
    this.#blank()
    if (this.#at < this.#text.length) this.#unexpected('after top-level value')
    return value
  }

  #value(): JsonValue {
    const char = this.#text[this.#at]
    if (char === '{') return this.#nested(() => this.#object())
    if (char === '[') return this.#nested(() => this.#list())
    if (char === '"') return this.#string()
    if (char === 't') return this.#word('true', true)
    if (char === 'f') return this.#word('false', false)
    if (char === 'n') return this.#word('null', null)
    if (char !== undefined && (char === '-' || (char >= '0' && char <= '9'))) return this.#number()
    return this.#unexpected('looking for beginning of value')
  }

  #nested(read: () => JsonValue): JsonValue {
    if (++this.#depth > MAX_JSON_DEPTH) throw new JsonProblem('exceeded max depth', this.#at)
    this.#at++
    const value = read()
    this.#depth--
    return value
  }

  #object(): JsonObject {
    const object: JsonObject = {}
    this.#blank()
    if (this.#take('}')) return object
    for (;;) {
      this.#blank()
      const place = this.#options.notePlace ? this.#position(this.#at) : undefined
      if (this.#text[this.#at] !== '"') this.#unexpected('looking for beginning of object key string')
      const key = this.#string()
      this.#blank()
      if (!this.#take(':')) this.#unexpected('after object key')
      this.#blank()
      setOwnJson(object, key, this.#value())
      if (place) this.#options.notePlace?.(object, key, place)
      this.#blank()
      if (this.#take('}')) return object
      if (!this.#take(',')) this.#unexpected('after object key:value pair')
    }
  }

  #list(): JsonValue[] {
    const list: JsonValue[] = []
    this.#blank()
    if (this.#take(']')) return list
    for (;;) {
      this.#blank()
      this.#options.notePlace?.(list, list.length, this.#position(this.#at))
      list.push(this.#value())
      this.#blank()
      if (this.#take(']')) return list
      if (!this.#take(',')) this.#unexpected('after array element')
    }
  }

  #string(): string {
    let value = ''
    this.#at++
    for (;;) {
      PLAIN.lastIndex = this.#at
      const run = PLAIN.exec(this.#text)
      if (run) {
        value += run[0]
        this.#at += run[0].length
      }
      const char = this.#text[this.#at]
      if (char === '"') break
      if (char !== '\\') this.#unexpected('in string literal')
      this.#at++
      value += this.#escape()
    }
    this.#at++
    return value.toWellFormed()
  }

  #escape(): string {
    const kind = this.#text[this.#at]
    if (kind === 'u') {
      this.#at++
      HEX4.lastIndex = this.#at
      const digits = HEX4.exec(this.#text)
      if (!digits) {
        while (/[0-9a-fA-F]/.test(this.#text[this.#at] ?? '')) this.#at++
        this.#unexpected('in \\u hexadecimal character escape')
      }
      this.#at += 4
      return String.fromCharCode(Number.parseInt(digits[0], 16))
    }
    const plain = kind === undefined ? undefined : ESCAPES[kind]
    if (plain === undefined) this.#unexpected('in string escape code')
    this.#at++
    return plain
  }

  #number(): number | bigint {
    const start = this.#at
    if (this.#take('-') && !this.#isDigit()) this.#unexpected('in numeric literal')
    if (!this.#take('0')) this.#digits()
    let integer = true
    if (this.#take('.')) {
      integer = false
      if (!this.#isDigit()) this.#unexpected('after decimal point in numeric literal')
      this.#digits()
    }
    if (this.#take('e') || this.#take('E')) {
      integer = false
      if (!this.#take('+')) this.#take('-')
      if (!this.#isDigit()) this.#unexpected('in exponent of numeric literal')
      this.#digits()
    }
    const text = this.#text.slice(start, this.#at)
    const number = Number(text)
    if (integer && this.#options.bigIntegers && !Number.isSafeInteger(number) && text.length <= 21) return BigInt(text)
    return number
  }

  #word(word: string, value: boolean | null): boolean | null {
    for (const expected of word) {
      if (!this.#take(expected)) this.#unexpected(`in literal ${word} (expecting '${expected}')`)
    }
    return value
  }

  /** Offsets are asked for in rising order, so lines are counted once. */
  #position(offset: number): Position {
    for (let next = this.#text.indexOf('\n', this.#lineStart); next !== -1 && next < offset; ) {
      this.#line++
      this.#lineStart = next + 1
      next = this.#text.indexOf('\n', this.#lineStart)
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 }
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #isDigit(): boolean {
    const char = this.#text[this.#at]
    return char !== undefined && char >= '0' && char <= '9'
  }

  #digits(): void {
    while (this.#isDigit()) this.#at++
  }

  #blank(): void {
    for (;;) {
      const char = this.#text[this.#at]
      if (char !== ' ' && char !== '\n' && char !== '\t' && char !== '\r') return
      this.#at++
    }
  }

  #unexpected(where: string): never {
    if (this.#at >= this.#text.length) throw new JsonProblem(this.#options.truncated, this.#at)
    throw new JsonProblem(`invalid character ${quoteCharacter(this.#text, this.#at)} ${where}`, this.#at)
  }
}

function setOwnJson(object: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    object[key] = value
  }
}

/** The character as Go prints it: it looks at single bytes, so one above 0x7f shows as its first byte. */
function quoteCharacter(text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at) ?? 0)
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  const byte = Buffer.from(char)[0] ?? 0
  const known: Readonly<Record<number, string>> = {
    7: '\\a',
    8: '\\b',
    9: '\\t',
    10: '\\n',
    11: '\\v',
    12: '\\f',
    13: '\\r',
    92: '\\\\',
  }
  const short = known[byte]
  if (short !== undefined) return `'${short}'`
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`
  if ((byte >= 0x80 && byte < 0xa1) || byte === 0xad) return `'\\u00${byte.toString(16)}'`
  return `'${String.fromCharCode(byte)}'`
}
