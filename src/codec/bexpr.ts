/**
 * Filters as in `?filter=`: text and the shape of a record → a predicate.
 *
 * Selectors, operators and values are checked against the shape when the filter is compiled, so a misspelt name is an
 * error and not an empty answer. The predicate reads Consul's field names from plain records.
 *
 * Source: the public description of Consul's filter language; error texts as recorded.
 */
import { filterError } from './bexpr-errors.ts'
import { type FilterNode, type FilterOperator, FilterProblem, parseFilter } from './bexpr-parse.ts'
import { compileRegex } from './bexpr-regex.ts'
import { RegexProblem } from './bexpr-regex-parse.ts'

/**
 * The shape of one field. `number` is a whole number; `list` a list of strings; `map` from any key to a string;
 * `{…}` an object; `[{…}]` a list of objects (true when any of them is); `{'*': …}` a map from any key to that shape.
 */
export type FilterField =
  | 'string'
  | 'number'
  | 'float'
  | 'bool'
  | 'list'
  | 'map'
  | FilterFields
  | readonly [FilterFields]
export interface FilterFields {
  readonly [name: string]: FilterField
}

/** True when the record is wanted. */
export type Filter = (record: unknown) => boolean

/**
 * Compiles a filter.
 *
 * @param text - an empty or blank text wants everything
 * @throws HanseError FILTER_INVALID with the text that Consul's clients see
 */
export function compileFilter(text: string, fields: FilterFields): Filter {
  if (text.trim() === '') return () => true
  return framed(() => compileNode(parseFilter(text), fields))
}

/**
 * Checks the syntax only, for filters whose records have no fixed shape (subsets of a service resolver).
 *
 * @throws HanseError FILTER_INVALID; its fact `problem` has no frame
 */
export function checkFilterSyntax(text: string): void {
  framed(() => parseFilter(text))
}

function framed<T>(run: () => T): T {
  try {
    return run()
  } catch (thrown) {
    if (!(thrown instanceof FilterProblem)) throw thrown
    throw filterError('FILTER_INVALID', { problem: thrown.message })
  }
}

function compileNode(node: FilterNode, fields: FilterFields): Filter {
  switch (node.type) {
    case 'and': {
      const left = compileNode(node.left, fields)
      const right = compileNode(node.right, fields)
      return (record) => left(record) && right(record)
    }
    case 'or': {
      const left = compileNode(node.left, fields)
      const right = compileNode(node.right, fields)
      return (record) => left(record) || right(record)
    }
    case 'not': {
      const inner = compileNode(node.inner, fields)
      return (record) => !inner(record)
    }
    case 'match':
      return compileMatch(node, fields)
  }
}

type MatchNode = FilterNode & { type: 'match' }

function compileMatch(node: MatchNode, fields: FilterFields): Filter {
  const name = node.selector.join('.')
  let field: FilterField = fields
  const steps: Step[] = []
  for (const part of node.selector) {
    if (isList(field)) {
      steps.push(EACH)
      field = field[0]
    }
    const inner: FilterField | undefined = field === 'map' ? 'string' : fieldOf(field, part)
    if (inner === undefined) throw new FilterProblem(`Selector "${name}" is not valid`)
    steps.push({ key: part, optional: field === 'map' || !hasField(field, part) })
    field = inner
  }
  return walk(steps, 0, testOf(field, node, name), negative(node.operator))
}

const EACH = Symbol('each element')
/** One step of a selector; `optional` for a key of a map, which may be missing, unlike a field at its zero value. */
type Step = typeof EACH | { readonly key: string; readonly optional: boolean }

function hasField(field: FilterField, name: string): boolean {
  return typeof field === 'object' && Object.hasOwn(field, name)
}

function isList(field: FilterField): field is readonly [FilterFields] {
  return Array.isArray(field)
}

function fieldOf(field: FilterField, name: string): FilterField | undefined {
  if (typeof field === 'string' || isList(field)) return undefined
  if (Object.hasOwn(field, name)) return field[name]
  return Object.hasOwn(field, '*') ? field['*'] : undefined
}

/** What an operator says about something that is not there: only its negative forms are true. */
function negative(operator: FilterOperator): boolean {
  return operator === 'Not Equal' || operator === 'Not In' || operator === 'Not Matches' || operator === 'Is Empty'
}

function walk(steps: readonly Step[], at: number, test: Filter, missing: boolean): Filter {
  const step = steps[at]
  if (step === undefined) return test
  const next = walk(steps, at + 1, test, missing)
  if (step === EACH) return (value) => (Array.isArray(value) ? value.some((item) => next(item)) : false)
  const { key, optional } = step
  return (value) => {
    if (typeof value !== 'object' || value === null) return missing
    if (Object.hasOwn(value, key)) return next(Reflect.get(value, key))
    return optional ? missing : next(undefined)
  }
}

const EQUALITY: readonly FilterOperator[] = ['Equal', 'Not Equal']
const CONTAINS: readonly FilterOperator[] = ['In', 'Not In']
const EMPTINESS: readonly FilterOperator[] = ['Is Empty', 'Is Not Empty']
const MATCHES: readonly FilterOperator[] = ['Matches', 'Not Matches']
const OPERATORS_OF: Readonly<Record<string, readonly FilterOperator[]>> = {
  string: [...EQUALITY, ...CONTAINS, ...MATCHES],
  number: EQUALITY,
  float: EQUALITY,
  bool: EQUALITY,
  list: [...CONTAINS, ...EMPTINESS],
  map: [...CONTAINS, ...EMPTINESS],
  anyMap: [...CONTAINS, ...EMPTINESS],
  objects: EMPTINESS,
  object: [],
}

function kindOf(field: FilterField): string {
  if (typeof field === 'string') return field
  if (isList(field)) return 'objects'
  return Object.hasOwn(field, '*') ? 'anyMap' : 'object'
}

function testOf(field: FilterField, node: MatchNode, name: string): Filter {
  const { operator, value } = node
  const kind = kindOf(field)
  if (!OPERATORS_OF[kind]?.includes(operator)) {
    throw new FilterProblem(`Invalid match operator "${operator}" for selector "${name}"`)
  }
  switch (operator) {
    case 'Equal':
      return equals(kind, value, name)
    case 'Not Equal':
      return inverted(equals(kind, value, name))
    case 'In':
      return contains(value)
    case 'Not In':
      return inverted(contains(value))
    case 'Is Empty':
      return isEmpty
    case 'Is Not Empty':
      return inverted(isEmpty)
    case 'Matches':
      return matches(value, name)
    case 'Not Matches':
      return inverted(matches(value, name))
  }
}

function inverted(test: Filter): Filter {
  return (value) => !test(value)
}

function equals(kind: string, text: string, name: string): Filter {
  if (kind === 'string') return (value) => (value ?? '') === text
  const wanted = coerce(kind, text, name)
  if (kind === 'bool') return (value) => (value ?? false) === wanted
  return (value) => (typeof value === 'bigint' ? value === BigInt(Number(wanted)) : (value ?? 0) === wanted)
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** The value as the field's kind, or Go's error for it. */
function coerce(kind: string, text: string, name: string): number | boolean {
  if (kind === 'bool') {
    if (TRUE.has(text)) return true
    if (FALSE.has(text)) return false
    throw coercionProblem(text, name, 'ParseBool', 'invalid syntax')
  }
  const pattern = kind === 'float' ? /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/ : /^[+-]?\d+$/
  if (!pattern.test(text))
    throw coercionProblem(text, name, kind === 'float' ? 'ParseFloat' : 'ParseInt', 'invalid syntax')
  const number = Number(text)
  if (kind === 'number' && Math.abs(number) >= 2 ** 63) {
    throw coercionProblem(text, name, 'ParseInt', 'value out of range')
  }
  return number
}

function coercionProblem(text: string, name: string, parser: string, problem: string): FilterProblem {
  const quoted = JSON.stringify(text)
  return new FilterProblem(
    `Failed to coerce value ${quoted} for selector "${name}": strconv.${parser}: parsing ${quoted}: ${problem}`,
  )
}

function contains(text: string): Filter {
  return (value) => {
    if (typeof value === 'string' || Array.isArray(value)) return value.includes(text)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, text)
  }
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0
}

function matches(pattern: string, name: string): Filter {
  try {
    const regex = compileRegex(pattern)
    return (value) => regex(typeof value === 'string' ? value : '')
  } catch (thrown) {
    if (!(thrown instanceof RegexProblem)) throw thrown
    throw new FilterProblem(
      `Failed to compile regular expression ${JSON.stringify(pattern)} for selector "${name}": error parsing regexp: ${thrown.message}`,
    )
  }
}
