/**
 * HCL 1 text → plain values, the way Consul's decoder meets them.
 *
 * `key = value` sets a key, `key { … }` sets an object, `key "label" { … }` nests (`{key: {label: {…}}}`), and a key whose
 * objects are repeated becomes a list of objects. A scalar given twice: the last wins. What a key means, and whether
 * one object stands for a list of one, is the reader's business. Places of keys: `notePlace`.
 */
import { textError } from './hcl-errors.ts'
import { getOwn, isTextObject, setOwn, type TextObject, type TextSource, type TextValue } from './hcl-positions.ts'
import { HclProblem, HclScanner, type Token, type TokenType } from './hcl-scanner.ts'

/** Longest text that is parsed, in characters. Far above any configuration; the store's largest entry is 512 KB. */
export const MAX_TEXT_CHARACTERS = 4 * 1024 * 1024
/** Deepest nesting of objects and lists. */
export const MAX_TEXT_DEPTH = 100

/**
 * Parses HCL 1.
 *
 * @returns an object of plain values
 * @throws HanseError HCL_SYNTAX with file, line and column; TEXT_TOO_LARGE
 */
export function parseHcl(text: string, source: TextSource): TextObject {
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw textError('TEXT_TOO_LARGE', { file: source.file, size: text.length, limit: MAX_TEXT_CHARACTERS })
  }
  try {
    return new HclParser(text, source).parse()
  } catch (thrown) {
    if (!(thrown instanceof HclProblem)) throw thrown
    throw textError('HCL_SYNTAX', { file: source.file, ...thrown.at, problem: thrown.message })
  }
}

const LITERALS: ReadonlySet<TokenType> = new Set(['NUMBER', 'FLOAT', 'BOOL', 'STRING', 'HEREDOC'])

class HclParser {
  readonly #scanner: HclScanner
  readonly #source: TextSource
  #token: Token
  #depth = 0
  /** Lists known to hold objects only: a text may repeat a block a hundred thousand times. */
  readonly #objectLists = new Set<TextValue[]>()

  constructor(text: string, source: TextSource) {
    this.#source = source
    this.#scanner = new HclScanner(text)
    this.#token = this.#scanner.next()
  }

  parse(): TextObject {
    const root: TextObject = {}
    this.#items(root, 'EOF')
    if (this.#token.type !== 'EOF') this.#fail(`object expected: unexpected ${this.#token.type}`)
    return root
  }

  #items(into: TextObject, end: TokenType): void {
    while (this.#token.type !== end && this.#token.type !== 'EOF') {
      this.#item(into)
      if (this.#token.type === 'COMMA') this.#advance()
    }
  }

  #item(into: TextObject): void {
    const keys: Token[] = []
    while (this.#token.type === 'IDENT' || this.#token.type === 'STRING' || this.#token.type === 'BOOL') {
      keys.push(this.#advance())
    }
    const first = keys[0]
    if (!first) this.#fail(`expected: IDENT | STRING got: ${this.#token.type}`)
    if (this.#token.type === 'ASSIGN') {
      if (keys.length > 1) this.#fail('nested object expected: LBRACE got: ASSIGN')
      this.#advance()
      this.#add(into, first, this.#value())
      return
    }
    if (this.#token.type !== 'LBRACE') {
      if (this.#token.type === 'EOF') this.#fail('end of file reached')
      this.#fail(`key '${keys.map((key) => key.text).join(' ')}' expected start of object ('{') or assignment ('=')`)
    }
    this.#enter(keys.length)
    let value: TextValue = this.#object()
    this.#depth -= keys.length
    for (const label of keys.slice(1).reverse()) {
      const outer: TextObject = {}
      this.#add(outer, label, value)
      value = outer
    }
    this.#add(into, first, value)
  }

  #value(): TextValue {
    const { type, value, text, at } = this.#token
    if (LITERALS.has(type)) {
      this.#advance()
      return value
    }
    if (type !== 'LBRACE' && type !== 'LBRACK') {
      throw new HclProblem(type === 'EOF' ? 'value expected got: EOF' : `Unknown token: ${type} ${text}`, at)
    }
    this.#enter(1)
    const nested = type === 'LBRACE' ? this.#object() : this.#list()
    this.#depth--
    return nested
  }

  #object(): TextObject {
    this.#advance()
    const object: TextObject = {}
    this.#items(object, 'RBRACE')
    if (this.#token.type !== 'RBRACE') this.#fail(`object expected closing RBRACE got: ${this.#token.type}`)
    this.#advance()
    return object
  }

  #list(): TextValue[] {
    this.#advance()
    const list: TextValue[] = []
    while (this.#token.type !== 'RBRACK') {
      this.#source.notePlace?.(list, list.length, this.#token.at)
      list.push(this.#value())
      if (this.#is('COMMA')) this.#advance()
      else if (!this.#is('RBRACK')) {
        this.#fail(`error parsing list, expected comma or list end, got: ${this.#token.type}`)
      }
    }
    this.#advance()
    return list
  }

  /** Sets a key; a second object under the same key makes a list of both. */
  #add(into: TextObject, key: Token, value: TextValue): void {
    const name = String(key.value)
    const before = getOwn(into, name)
    const objects = isTextObject(value) ? [value] : isListOfObjects(value) ? value : undefined
    if (objects && Array.isArray(before) && (this.#objectLists.has(before) || isListOfObjects(before))) {
      for (const object of objects) before.push(object)
      this.#objectLists.add(before)
      return
    }
    if (objects && isTextObject(before)) {
      const list: TextValue[] = [before, ...objects]
      this.#objectLists.add(list)
      setOwn(into, name, list)
      return
    }
    setOwn(into, name, value)
    this.#source.notePlace?.(into, name, key.at)
  }

  #is(type: TokenType): boolean {
    return this.#token.type === type
  }

  #enter(levels: number): void {
    this.#depth += levels
    if (this.#depth > MAX_TEXT_DEPTH) this.#fail(`nested deeper than ${MAX_TEXT_DEPTH} levels`)
  }

  #advance(): Token {
    const token = this.#token
    this.#token = this.#scanner.next()
    return token
  }

  #fail(problem: string): never {
    throw new HclProblem(problem, this.#token.at)
  }
}

function isListOfObjects(value: TextValue): value is TextValue[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTextObject)
}
