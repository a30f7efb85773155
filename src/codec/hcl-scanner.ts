/**
 * HCL 1 text → tokens with their places: comments, identifiers, numbers, strings with escapes, heredocs.
 *
 * One token at a time, so that memory is bounded by the value that is being built. Interpolations (`${…}`) are kept as
 * text: nothing in agent configuration, ACL rules or config entries evaluates them.
 *
 * Source: the HCL 1 syntax description (public README and specification of the language).
 */
import type { Position } from './hcl-positions.ts'

export type TokenType =
  | 'EOF'
  | 'IDENT'
  | 'NUMBER'
  | 'FLOAT'
  | 'BOOL'
  | 'STRING'
  | 'HEREDOC'
  | 'LBRACK'
  | 'LBRACE'
  | 'RBRACK'
  | 'RBRACE'
  | 'COMMA'
  | 'ASSIGN'

export interface Token {
  readonly type: TokenType
  /** The text as written. */
  readonly text: string
  /** The value: of strings and heredocs without quotes and escapes. */
  readonly value: string | number | boolean
  readonly at: Position
}

/** Thrown inside; the parser's face turns it into HCL_SYNTAX with the file's name. */
export class HclProblem extends Error {
  readonly at: Position
  constructor(problem: string, at: Position) {
    super(problem)
    this.at = at
  }
}

const PUNCTUATION: Readonly<Record<string, TokenType>> = {
  '[': 'LBRACK',
  ']': 'RBRACK',
  '{': 'LBRACE',
  '}': 'RBRACE',
  ',': 'COMMA',
  '=': 'ASSIGN',
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

const IDENTIFIER = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy
const NUMBER = /-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y
const HEREDOC = /<<(-?)([^\s]+)[ \t]*\r?\n/y
const OCTAL = /[0-7]{3}/y
const HEX = { x: /[0-9a-fA-F]{2}/y, u: /[0-9a-fA-F]{4}/y, U: /[0-9a-fA-F]{8}/y }

export class HclScanner {
  readonly #text: string
  #at = 0
  #line = 1
  #lineStart = 0

  constructor(text: string) {
    this.#text = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  }

  /** The next token; `EOF` for ever after the end. */
  next(): Token {
    this.#skipBlank()
    const at = this.#position()
    const char = this.#text[this.#at]
    // One column further than the last character: the place that users of the language are used to see.
    if (char === undefined) return { type: 'EOF', text: '', value: '', at: { line: at.line, column: at.column + 1 } }
    const punctuation = PUNCTUATION[char]
    if (punctuation) return this.#token(punctuation, char, char, at)
    if (char === '"') return this.#string(at)
    if (char === '<') return this.#heredoc(at)
    const identifier = this.#match(IDENTIFIER)
    if (identifier) {
      const word = identifier[0]
      if (word === 'true' || word === 'false') return this.#token('BOOL', word, word === 'true', at)
      return this.#token('IDENT', word, word, at)
    }
    return this.#number(char, at)
  }

  #number(char: string, at: Position): Token {
    const number = this.#match(NUMBER)
    if (!number) throw new HclProblem(`illegal character ${JSON.stringify(char)}`, at)
    const text = number[0]
    const isHex = /^-?0[xX]/.test(text)
    if (!isHex && /[.eE]/.test(text)) return this.#token('FLOAT', text, Number(text), at)
    const digits = text.replace('-', '')
    const octal = /^0[0-7]+$/.test(digits)
    if (!octal && /^0\d+$/.test(digits)) throw new HclProblem(`illegal octal number ${text}`, at)
    const size = octal ? Number.parseInt(digits, 8) : Number(digits)
    return this.#token('NUMBER', text, text.startsWith('-') ? -size : size, at)
  }

  #string(at: Position): Token {
    const start = this.#at
    let value = ''
    let braces = 0
    this.#at++
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined || (char === '\n' && braces === 0)) throw new HclProblem('literal not terminated', at)
      if (char === '"' && braces === 0) break
      if (char === '\n') this.#newline(this.#at)
      if (char === '\\' && braces === 0) {
        value += this.#escape()
        continue
      }
      if (char === '$' && this.#text[this.#at + 1] === '{') {
        braces++
        value += '${'
        this.#at += 2
        continue
      }
      if (braces > 0 && char === '{') braces++
      if (braces > 0 && char === '}') braces--
      value += char
      this.#at++
    }
    this.#at++
    return { type: 'STRING', text: this.#text.slice(start, this.#at), value, at }
  }

  #escape(): string {
    const at = this.#position()
    const kind = this.#text[this.#at + 1] ?? ''
    const simple = SIMPLE_ESCAPES[kind]
    if (simple !== undefined) {
      this.#at += 2
      return simple
    }
    const isOctal = kind >= '0' && kind <= '7'
    const pattern = isOctal ? OCTAL : kind === 'x' || kind === 'u' || kind === 'U' ? HEX[kind] : undefined
    this.#at += isOctal ? 1 : 2
    const digits = pattern && this.#match(pattern)
    const code = digits ? Number.parseInt(digits[0], isOctal ? 8 : 16) : -1
    if (!digits || code > 0x10ffff) throw new HclProblem('illegal char escape', at)
    this.#at += digits[0].length
    return String.fromCodePoint(code)
  }

  #heredoc(at: Position): Token {
    const head = this.#match(HEREDOC)
    if (!head) throw new HclProblem('heredoc expected: << and a marker', at)
    const [opening, dash, marker = ''] = head
    const bodyStart = this.#at + opening.length
    const lines: string[] = []
    let lineStart = bodyStart
    this.#newline(bodyStart - 1)
    for (;;) {
      const end = this.#text.indexOf('\n', lineStart)
      const line = this.#text.slice(lineStart, end === -1 ? undefined : end)
      if (line.trim() === marker) {
        this.#at = lineStart + line.replace(/\r$/, '').length
        break
      }
      if (end === -1) throw new HclProblem(`heredoc not terminated: no line "${marker}"`, at)
      lines.push(`${line}\n`)
      this.#newline(end)
      lineStart = end + 1
    }
    const value = (dash === '-' ? unindent(lines) : lines).join('')
    return { type: 'HEREDOC', text: opening, value, at }
  }

  #token(type: TokenType, text: string, value: string | number | boolean, at: Position): Token {
    this.#at += text.length
    return { type, text, value, at }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)
  }

  #position(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #newline(offset: number): void {
    this.#line++
    this.#lineStart = offset + 1
  }

  #skipBlank(): void {
    for (;;) {
      const char = this.#text[this.#at]
      if (char === '\n') this.#newline(this.#at++)
      else if (char === ' ' || char === '\t' || char === '\r') this.#at++
      else if (char === '#' || (char === '/' && this.#text[this.#at + 1] === '/')) this.#skipLine()
      else if (char === '/' && this.#text[this.#at + 1] === '*') this.#skipBlock()
      else return
    }
  }

  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end === -1 ? this.#text.length : end
  }

  #skipBlock(): void {
    const end = this.#text.indexOf('*/', this.#at + 2)
    if (end === -1) throw new HclProblem('comment not terminated', this.#position())
    for (let at = this.#text.indexOf('\n', this.#at); at !== -1 && at < end; at = this.#text.indexOf('\n', at + 1)) {
      this.#newline(at)
    }
    this.#at = end + 2
  }
}

/** Takes the smallest common indent off every line that has text. */
function unindent(lines: readonly string[]): string[] {
  let common = Number.POSITIVE_INFINITY
  for (const line of lines) {
    if (line.trim() !== '') common = Math.min(common, line.length - line.trimStart().length)
  }
  return lines.map((line) => (line.trim() === '' ? line.slice(Math.min(common, line.length - 1)) : line.slice(common)))
}
