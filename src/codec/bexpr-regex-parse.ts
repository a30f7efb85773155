/**
 * RE2 pattern → syntax tree. What each node means when a text is matched is bexpr-regex.ts.
 *
 * Source: the RE2 syntax page; error texts as RE2 and Go print them.
 */

/** Longest pattern, in characters. */
export const MAX_PATTERN_CHARACTERS = 1000
/** Highest count in `{n,m}`, as in RE2. */
export const MAX_REPEAT = 1000
const MAX_GROUP_DEPTH = 100

/** A pattern that cannot be compiled; the text is RE2's: ``missing closing ]: `[a` ``. */
export class RegexProblem extends Error {}

export type CharTest = (code: number) => boolean
export type RegexAssertion = 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'notWord'
export type RegexNode =
  | { type: 'char'; test: CharTest }
  | { type: 'assert'; assertion: RegexAssertion }
  | { type: 'sequence'; parts: RegexNode[] }
  | { type: 'either'; options: RegexNode[] }
  | { type: 'repeat'; inner: RegexNode; min: number; max: number }

/**
 * Parses a pattern.
 *
 * @throws RegexProblem
 */
export function parseRegex(pattern: string): RegexNode {
  return new RegexParser(pattern).parse()
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}
export function isWordCode(code: number): boolean {
  return isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95
}
function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 12 || code === 13
}

const CLASSES: Readonly<Record<string, CharTest>> = {
  d: isDigit,
  D: (code) => !isDigit(code),
  w: isWordCode,
  W: (code) => !isWordCode(code),
  s: isSpace,
  S: (code) => !isSpace(code),
}
const ASSERTIONS: Readonly<Record<string, RegexAssertion>> = { A: 'start', z: 'end', b: 'word', B: 'notWord' }
const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }
const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  lower: /[a-z]/,
  upper: /[A-Z]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
}

interface Flags {
  ignoreCase: boolean
  multiline: boolean
  dotAll: boolean
}

class RegexParser {
  readonly #pattern: string
  #at = 0
  #depth = 0
  #flags: Flags = { ignoreCase: false, multiline: false, dotAll: false }

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  parse(): RegexNode {
    const node = this.#either()
    if (this.#at < this.#pattern.length) throw new RegexProblem(`unexpected ): \`${this.#pattern}\``)
    return node
  }

  #either(): RegexNode {
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    return options.length === 1 && options[0] ? options[0] : { type: 'either', options }
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = []
    while (this.#at < this.#pattern.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const start = this.#at
      const atom = this.#atom()
      if (atom) parts.push(this.#repeated(atom, start))
    }
    return { type: 'sequence', parts }
  }

  #repeated(atom: RegexNode, start: number): RegexNode {
    let node = atom
    for (let count = 0; ; count++) {
      const operatorAt = this.#at
      const bounds = this.#bounds()
      if (!bounds) return node
      this.#take('?')
      const operator = this.#pattern.slice(operatorAt, this.#at)
      if (count > 0) {
        throw new RegexProblem(`invalid nested repetition operator: \`${this.#pattern.slice(start, this.#at)}\``)
      }
      if (
        bounds.min > MAX_REPEAT ||
        (bounds.max !== Number.POSITIVE_INFINITY && bounds.max > MAX_REPEAT) ||
        bounds.min > bounds.max
      ) {
        throw new RegexProblem(`invalid repeat count: \`${operator}\``)
      }
      node = { type: 'repeat', inner: node, ...bounds }
    }
  }

  #bounds(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#take('?')) return { min: 0, max: 1 }
    const counted = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(this.#pattern.slice(this.#at, this.#at + 20))
    if (!counted) return undefined
    this.#at += counted[0].length
    const min = Number(counted[1])
    if (counted[2] === undefined) return { min, max: min }
    return { min, max: counted[3] ? Number(counted[3]) : Number.POSITIVE_INFINITY }
  }

  #atom(): RegexNode | undefined {
    const start = this.#at
    const char = this.#next()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return this.#charNode(this.#set(start))
      case '.':
        return { type: 'char', test: this.#flags.dotAll ? () => true : (code) => code !== 10 }
      case '^':
        return { type: 'assert', assertion: this.#flags.multiline ? 'lineStart' : 'start' }
      case '$':
        return { type: 'assert', assertion: this.#flags.multiline ? 'lineEnd' : 'end' }
      case '*':
      case '+':
      case '?':
        throw new RegexProblem(`missing argument to repetition operator: \`${char}\``)
      case '\\':
        return this.#escape()
      default: {
        const code = char.codePointAt(0) ?? 0
        return this.#charNode((other) => other === code)
      }
    }
  }

  #group(): RegexNode | undefined {
    if (++this.#depth > MAX_GROUP_DEPTH) throw new RegexProblem('expression nests too deeply')
    const outer = { ...this.#flags }
    const head = /^\?(?:P?<(\w+)>|([imsU]*)(?:-([imsU]+))?([:)]))/.exec(this.#pattern.slice(this.#at, this.#at + 100))
    if (!head && this.#peek() === '?') {
      throw new RegexProblem(`invalid or unsupported Perl syntax: \`(${this.#pattern.slice(this.#at, this.#at + 2)}\``)
    }
    if (head) {
      this.#at += head[0].length
      this.#setFlags(head[2] ?? '', true)
      this.#setFlags(head[3] ?? '', false)
      if (head[4] === ')') {
        this.#depth--
        return undefined
      }
    }
    const node = this.#either()
    if (!this.#take(')')) throw new RegexProblem(`missing closing ): \`${this.#pattern}\``)
    this.#flags = outer
    this.#depth--
    return node
  }

  #setFlags(letters: string, on: boolean): void {
    if (letters.includes('i')) this.#flags.ignoreCase = on
    if (letters.includes('m')) this.#flags.multiline = on
    if (letters.includes('s')) this.#flags.dotAll = on
  }

  #escape(): RegexNode {
    const char = this.#pattern[this.#at]
    const assertion = char === undefined ? undefined : ASSERTIONS[char]
    if (assertion) {
      this.#at++
      return { type: 'assert', assertion }
    }
    return this.#charNode(this.#escapedClass())
  }

  #escapedClass(): CharTest {
    const char = this.#next()
    const known = CLASSES[char]
    if (known) return known
    if (char === 'p' || char === 'P') return this.#unicodeClass(char === 'P')
    const code = this.#escapedCode(char)
    return (other) => other === code
  }

  #unicodeClass(negated: boolean): CharTest {
    const name = /^(?:\{([A-Za-z_]+)\}|([A-Z]))/.exec(this.#pattern.slice(this.#at, this.#at + 40))
    const label = name?.[1] ?? name?.[2]
    this.#at += name?.[0].length ?? 0
    for (const property of [label, `Script=${label}`]) {
      try {
        const test = new RegExp(`\\p{${property}}`, 'u')
        return (code) => test.test(String.fromCodePoint(code)) !== negated
      } catch {}
    }
    throw new RegexProblem(`invalid character class range: \`\\p${name?.[0] ?? ''}\``)
  }

  #escapedCode(char: string): number {
    const control = CONTROLS[char]
    if (control !== undefined) return control
    if (char === 'x') {
      const hex = /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(this.#pattern.slice(this.#at, this.#at + 10))
      this.#at += hex?.[0].length ?? 0
      const code = Number.parseInt(hex?.[1] ?? hex?.[2] ?? '', 16)
      if (code <= 0x10ffff) return code
    }
    const code = char.codePointAt(0) ?? 0
    if (char === '' || (code < 128 && isWordCode(code))) {
      throw new RegexProblem(
        char === '' ? 'trailing backslash at end of expression: ``' : `invalid escape sequence: \`\\${char}\``,
      )
    }
    return code
  }

  #set(start: number): CharTest {
    const negated = this.#take('^')
    const tests: CharTest[] = []
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#at >= this.#pattern.length)
        throw new RegexProblem(`missing closing ]: \`${this.#pattern.slice(start)}\``)
      tests.push(this.#setItem())
    }
    this.#at++
    const fold = this.#flags.ignoreCase
    const any: CharTest = (code) => tests.some((test) => test(code))
    const test = fold ? folded(any) : any
    return negated ? (code) => !test(code) : test
  }

  #setItem(): CharTest {
    const start = this.#at
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#pattern.slice(this.#at, this.#at + 20))
    if (posix) {
      const named = POSIX[posix[2] ?? '']
      if (!named) throw new RegexProblem(`invalid character class range: \`${posix[0]}\``)
      this.#at += posix[0].length
      return (code) => named.test(String.fromCodePoint(code)) !== (posix[1] === '^')
    }
    const low = this.#setCode()
    if (typeof low !== 'number') return low
    if (this.#peek() !== '-' || this.#pattern[this.#at + 1] === ']' || this.#at + 1 >= this.#pattern.length) {
      return (code) => code === low
    }
    this.#at++
    const high = this.#setCode()
    if (typeof high !== 'number' || high < low) {
      throw new RegexProblem(`invalid character class range: \`${this.#pattern.slice(start, this.#at)}\``)
    }
    return (code) => code >= low && code <= high
  }

  #setCode(): number | CharTest {
    const char = this.#next()
    if (char !== '\\') return char.codePointAt(0) ?? 0
    const kind = this.#pattern[this.#at] ?? ''
    if (CLASSES[kind] || kind === 'p' || kind === 'P') return this.#escapedClass()
    return this.#escapedCode(this.#next())
  }

  #charNode(test: CharTest): RegexNode {
    return { type: 'char', test: this.#flags.ignoreCase ? folded(test) : test }
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at]
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }

  /** The next character, whole even beyond the 16-bit plane; empty at the end. */
  #next(): string {
    const code = this.#pattern.codePointAt(this.#at)
    if (code === undefined) return ''
    const char = String.fromCodePoint(code)
    this.#at += char.length
    return char
  }
}

/** True for a character whose other case the test takes. */
function folded(test: CharTest): CharTest {
  return (code) => {
    if (test(code)) return true
    const char = String.fromCodePoint(code)
    return test(char.toLowerCase().codePointAt(0) ?? 0) || test(char.toUpperCase().codePointAt(0) ?? 0)
  }
}
