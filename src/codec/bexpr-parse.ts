/**
 * Filter text → syntax tree, with the error text that users of Consul's API see.
 *
 * The text of a syntax error lists everything that could have stood at the furthest place the parser reached, sorted:
 * `1:13 (12): no match found, expected: "!=", "==", … or [ \t\r\n]`. So each attempt notes what it wanted and where.
 *
 * Source: the public description of Consul's filter language; error texts as recorded.
 */

/** Longest filter, in characters. */
export const MAX_FILTER_CHARACTERS = 16 * 1024
/** Deepest nesting of parentheses and `not`. */
export const MAX_FILTER_DEPTH = 64

/** What is wrong with a filter, without any frame round it. */
export class FilterProblem extends Error {}

export type FilterOperator =
  | 'Equal'
  | 'Not Equal'
  | 'In'
  | 'Not In'
  | 'Is Empty'
  | 'Is Not Empty'
  | 'Matches'
  | 'Not Matches'

export type FilterNode =
  | { readonly type: 'and' | 'or'; readonly left: FilterNode; readonly right: FilterNode }
  | { readonly type: 'not'; readonly inner: FilterNode }
  | {
      readonly type: 'match'
      readonly selector: readonly string[]
      readonly operator: FilterOperator
      readonly value: string
    }

/**
 * Parses a filter.
 *
 * @throws FilterProblem with the text that follows `Failed to create boolean expression evaluator: `
 */
export function parseFilter(text: string): FilterNode {
  if (text.length > MAX_FILTER_CHARACTERS) {
    throw new FilterProblem(`filter of ${text.length} characters is longer than ${MAX_FILTER_CHARACTERS}`)
  }
  return new FilterParser(text).parse()
}

const BLANK = '[ \\t\\r\\n]'
const SELECTOR_PART = /[a-zA-Z][a-zA-Z0-9_/]*/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?/y
const INDEX_NUMBER = /[0-9]+/y

/** An operator after a selector: the words, what they mean, whether a value follows. */
const OPERATORS: readonly { words: readonly string[]; operator: FilterOperator; takesValue: boolean }[] = [
  { words: ['=='], operator: 'Equal', takesValue: true },
  { words: ['!='], operator: 'Not Equal', takesValue: true },
  { words: ['is', 'not', 'empty'], operator: 'Is Not Empty', takesValue: false },
  { words: ['is', 'empty'], operator: 'Is Empty', takesValue: false },
  { words: ['contains'], operator: 'In', takesValue: true },
  { words: ['not', 'contains'], operator: 'Not In', takesValue: true },
  { words: ['matches'], operator: 'Matches', takesValue: true },
  { words: ['not', 'matches'], operator: 'Not Matches', takesValue: true },
]

class FilterParser {
  readonly #text: string
  #at = 0
  #depth = 0
  #furthest = 0
  #expected = new Set<string>()

  constructor(text: string) {
    this.#text = text
  }

  parse(): FilterNode {
    this.#blank()
    const node = this.#or()
    if (node) {
      this.#blank()
      if (this.#at === this.#text.length) return node
      this.#want('EOF')
    }
    throw new FilterProblem(this.#noMatch())
  }

  #or(): FilterNode | undefined {
    let left = this.#and()
    while (left && this.#connective('or')) {
      const right = this.#and()
      left = right && { type: 'or', left, right }
    }
    return left
  }

  #and(): FilterNode | undefined {
    let left = this.#not()
    while (left && this.#connective('and')) {
      const right = this.#not()
      left = right && { type: 'and', left, right }
    }
    return left
  }

  #connective(word: string): boolean {
    const start = this.#at
    if (this.#blank() && this.#literal(word) && this.#blank()) return true
    this.#at = start
    return false
  }

  #not(): FilterNode | undefined {
    const start = this.#at
    if (++this.#depth > MAX_FILTER_DEPTH) throw new FilterProblem(`filter nests deeper than ${MAX_FILTER_DEPTH} levels`)
    let node: FilterNode | undefined
    if (this.#literal('not') && this.#blank()) {
      const inner = this.#not()
      node = inner && { type: 'not', inner }
    }
    if (!node) {
      this.#at = start
      node = this.#parenthesis() ?? this.#match()
    }
    this.#depth--
    return node
  }

  #parenthesis(): FilterNode | undefined {
    if (!this.#literal('(')) return undefined
    this.#blank()
    const inner = this.#or()
    this.#blank()
    return inner && this.#literal(')') ? inner : undefined
  }

  /** `selector operator [value]`, or `value [not] in selector`. */
  #match(): FilterNode | undefined {
    const start = this.#at
    const selector = this.#pointer() ?? this.#selector()
    if (selector) {
      const node = this.#selectorMatch(selector)
      if (node) return node
    }
    this.#at = start
    const value = this.#value()
    if (value === undefined || !this.#blank()) return undefined
    const negated = this.#literal('not')
    if (negated && !this.#blank()) return undefined
    if (!this.#literal('in') || !this.#blank()) return undefined
    const container = this.#pointer() ?? this.#selector()
    return container && { type: 'match', selector: container, operator: negated ? 'Not In' : 'In', value }
  }

  #selectorMatch(selector: readonly string[]): FilterNode | undefined {
    const afterSelector = this.#at
    for (const { words, operator, takesValue } of OPERATORS) {
      this.#at = afterSelector
      const symbolic = takesValue && (operator === 'Equal' || operator === 'Not Equal')
      const spaced = this.#blank()
      if (!spaced && !symbolic) continue
      if (!words.every((word, index) => (index === 0 || this.#blank()) && this.#literal(word))) continue
      if (!takesValue) return { type: 'match', selector, operator, value: '' }
      if (!this.#blank() && !symbolic) continue
      const value = this.#value()
      if (value !== undefined) return { type: 'match', selector, operator, value }
    }
    return undefined
  }

  /** `A.B`, `A["b"]`; a number may follow a dot. */
  #selector(): string[] | undefined {
    const first = this.#pattern(SELECTOR_PART, '[a-zA-Z]')
    if (first === undefined) return undefined
    const parts = [first]
    for (;;) {
      const start = this.#at
      const part = this.#literal('.') ? this.#dotted() : this.#indexed()
      if (part === undefined) {
        this.#at = start
        return parts
      }
      parts.push(part)
    }
  }

  #dotted(): string | undefined {
    return this.#pattern(SELECTOR_PART, '[a-zA-Z]') ?? this.#pattern(INDEX_NUMBER, '[0-9]')
  }

  #indexed(): string | undefined {
    if (!this.#literal('[')) return undefined
    this.#blank()
    const key = this.#quoted()
    this.#blank()
    return key !== undefined && this.#literal(']') ? key : undefined
  }

  /** `"/A/b"`: a JSON pointer, with `~1` for a slash and `~0` for a tilde. */
  #pointer(): string[] | undefined {
    if (this.#text[this.#at] !== '"' || this.#text[this.#at + 1] !== '/') return undefined
    const start = this.#at
    const parts = this.#quoted()?.slice(1).split('/')
    if (parts?.every((part) => part !== ''))
      return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    this.#at = start
    return undefined
  }

  #value(): string | undefined {
    const start = this.#at
    const selector = this.#selector()
    if (selector) return this.#text.slice(start, this.#at)
    return this.#number() ?? this.#quoted()
  }

  #number(): string | undefined {
    this.#wantUnless('-', '"-"')
    this.#wantUnless('0', '"0"')
    return this.#pattern(NUMBER, '[1-9]')
  }

  #quoted(): string | undefined {
    const start = this.#at
    if (this.#literal('`')) {
      const end = this.#text.indexOf('`', this.#at)
      if (end !== -1) {
        this.#at = end + 1
        return this.#text.slice(start + 1, end)
      }
      this.#at = this.#text.length
      this.#want('"`"')
    } else if (this.#literal('"')) {
      const body = /(?:[^"\\]|\\.)*"/sy
      body.lastIndex = this.#at
      const found = body.exec(this.#text)
      if (found) {
        this.#at += found[0].length
        return unescaped(found[0].slice(0, -1))
      }
      this.#at = this.#text.length
      this.#want('"\\""')
    }
    this.#at = start
    return undefined
  }

  /** Skips blanks; true when there was one. */
  #blank(): boolean {
    const start = this.#at
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++
    this.#want(BLANK)
    return this.#at > start
  }

  #literal(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) {
      this.#want(JSON.stringify(word))
      return false
    }
    this.#at += word.length
    return true
  }

  #pattern(pattern: RegExp, label: string): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (!found) {
      this.#want(label)
      return undefined
    }
    this.#at += found[0].length
    return found[0]
  }

  #wantUnless(char: string, label: string): void {
    if (this.#text[this.#at] !== char) this.#want(label)
  }

  #want(label: string): void {
    if (this.#at > this.#furthest) {
      this.#furthest = this.#at
      this.#expected.clear()
    }
    if (this.#at === this.#furthest) this.#expected.add(label)
  }

  #noMatch(): string {
    const before = this.#text.slice(0, this.#furthest)
    const line = before.split('\n').length
    const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1
    const labels = [...this.#expected].filter((label) => label !== 'EOF').sort()
    if (this.#expected.has('EOF')) labels.push('EOF')
    const last = labels.pop() ?? 'EOF'
    const list = labels.length > 0 ? `${labels.join(', ')} or ${last}` : last
    return `${line}:${column} (${Buffer.byteLength(before)}): no match found, expected: ${list}`
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }

function unescaped(body: string): string {
  return body.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/gs, (_all, u4, x2, char) => {
    const hex: string | undefined = u4 ?? x2
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return ESCAPES[String(char)] ?? String(char)
  })
}
