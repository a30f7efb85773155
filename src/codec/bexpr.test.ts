/**
 * Filters on records, with the recorded error texts; patterns beside the platform's engine.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { checkFilterSyntax, compileFilter, type FilterFields } from './bexpr.ts'
import { MAX_FILTER_CHARACTERS } from './bexpr-parse.ts'
import { compileRegex } from './bexpr-regex.ts'
import { RegexProblem } from './bexpr-regex-parse.ts'

const fields: FilterFields = {
  Node: { ID: 'string', Node: 'string', Meta: 'map' },
  Service: {
    ID: 'string',
    Port: 'number',
    Tags: 'list',
    Meta: 'map',
    EnableTagOverride: 'bool',
    Load: 'float',
    TaggedAddresses: { '*': { Address: 'string', Port: 'number' } },
  },
  Checks: [{ Status: 'string' }],
  ServicePort: 'number',
  notes: 'string',
}

const record = {
  Node: { ID: 'n1', Node: 'node-1', Meta: { zone: 'z1', 'with.dot': 'x' } },
  Service: {
    ID: 'redis1',
    Port: 6379,
    Tags: ['v1', 'replica'],
    Meta: null,
    EnableTagOverride: true,
    Load: 0.5,
    TaggedAddresses: { lan: { Address: '10.0.0.1', Port: 1 } },
  },
  Checks: [{ Status: 'passing' }, { Status: 'critical' }],
  ServicePort: 1,
  notes: 'a "b"',
}

function fault(text: string): string {
  try {
    compileFilter(text, fields)
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError, String(thrown))
    assert.equal(thrown.code, 'FILTER_INVALID')
    assert.equal(thrown.status, 500)
    return thrown.message.replace('Failed to create boolean expression evaluator: ', '')
  }
  return assert.fail(`compiled: ${text}`)
}

test('compileFilter() evaluates every operator on every kind of field', () => {
  const cases: [text: string, wanted: boolean][] = [
    ['Service.ID == "redis1"', true],
    ['Service.ID==redis1', true],
    ['Service.ID != `redis1`', false],
    ['Service.Port == 6379', true],
    ['Service.Port != "6379"', false],
    ['Service.EnableTagOverride == true', true],
    ['Service.Load == 0.5', true],
    ['"v1" in Service.Tags', true],
    ['v2 not in Service.Tags', true],
    ['Service.Tags contains "replica"', true],
    ['Service.Tags not contains replica', false],
    ['Service.Tags is empty', false],
    ['Service.Tags is not empty', true],
    ['Service.Meta is empty', true],
    ['Service.Meta.version == "7"', false],
    ['Service.Meta.version != "7"', true],
    ['Node.Meta.zone == z1', true],
    ['Node.Meta["with.dot"] == "x"', true],
    ['"/Node/Meta/zone" == "z1"', true],
    ['Node.Meta contains "zone"', true],
    ['zone in Node.Meta', true],
    ['"dis" in Service.ID', true],
    ['Service.ID matches "^redis[12]$"', true],
    ['Service.ID not matches "^web"', true],
    ['Service.TaggedAddresses.lan.Port == 1', true],
    ['Service.TaggedAddresses.wan.Port == 1', false],
    ['lan in Service.TaggedAddresses', true],
    ['Checks is not empty', true],
    ['Checks.Status == critical', true],
    ['Checks.Status == warning', false],
    ['notes == "a \\"b\\""', true],
    ['', true],
    [' \n', true],
  ]
  for (const [text, wanted] of cases) assert.equal(compileFilter(text, fields)(record), wanted, text)
})

test('compileFilter() binds not before and before or, and honours parentheses', () => {
  const cases: [text: string, wanted: boolean][] = [
    ['Service.Port == 1 and Service.Port == 2 or Service.ID == redis1', true],
    ['Service.Port == 1 and (Service.Port == 2 or Service.ID == redis1)', false],
    ['not Service.Port == 1 and Service.ID == redis1', true],
    ['not (Service.Port == 6379 or Service.ID == web)', false],
    ['not not Service.Port == 6379', true],
    ['( ( Service.Port == 6379 ) )', true],
    ['Service.Meta.version == "7" and not Checks is empty', false],
    ['notes != x and Service.Port == 6379', true],
  ]
  for (const [text, wanted] of cases) assert.equal(compileFilter(text, fields)(record), wanted, text)
})

test('compileFilter() fails in the recorded words', () => {
  const operators = '"!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]'
  const values = '"-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]'
  assert.equal(fault('ServicePort > 6380'), `1:13 (12): no match found, expected: ${operators}`)
  assert.equal(fault('any Checks as c { c.Status == "critical" }'), `1:5 (4): no match found, expected: ${operators}`)
  assert.equal(fault('Service.Nope == 1'), 'Selector "Service.Nope" is not valid')
  assert.equal(fault('Service.Port =='), `1:16 (15): no match found, expected: ${values}`)
  assert.equal(fault('zz == 1'), 'Selector "zz" is not valid')
  assert.equal(
    fault('Service.Port == "abc"'),
    'Failed to coerce value "abc" for selector "Service.Port": strconv.ParseInt: parsing "abc": invalid syntax',
  )
  assert.equal(fault('Service.Port contains 1'), 'Invalid match operator "In" for selector "Service.Port"')
})

test('compileFilter() refuses operators, patterns and nesting that cannot work', () => {
  assert.equal(fault('Service.Port matches "1"'), 'Invalid match operator "Matches" for selector "Service.Port"')
  assert.equal(fault('Service.ID is empty'), 'Invalid match operator "Is Empty" for selector "Service.ID"')
  assert.equal(fault('Service == 1'), 'Invalid match operator "Equal" for selector "Service"')
  assert.match(fault('Service.ID matches "[a"'), /error parsing regexp: missing closing \]: `\[a`/)
  assert.match(fault('Service.EnableTagOverride == maybe'), /strconv\.ParseBool: parsing "maybe": invalid syntax/)
  assert.match(fault('Service.Port == 99999999999999999999'), /value out of range/)
  assert.match(fault(`${'('.repeat(5000)}a == 1`), /nests deeper than 64/)
  assert.match(fault(`${'not '.repeat(5000)}a == 1`.slice(0, MAX_FILTER_CHARACTERS)), /nests deeper than 64/)
  assert.match(fault('x'.repeat(MAX_FILTER_CHARACTERS + 1)), /longer than/)
  assert.match(fault('Service.ID == "x'), /no match found/)
  assert.match(
    fault('Service.ID == x y'),
    /^1:17 \(16\): no match found, expected: "and", "or", \[ \\t\\r\\n\] or EOF$/,
  )
  assert.match(fault('(Service.ID == x'), /no match found/)
  assert.equal(fault('constructor == 1'), 'Selector "constructor" is not valid')
})

test('checkFilterSyntax() takes any selector and gives the problem without a frame', () => {
  checkFilterSyntax('Anything.At.all == 1')
  assert.throws(
    () => checkFilterSyntax('zz =='),
    (thrown) =>
      thrown instanceof HanseError &&
      thrown.facts['problem'] ===
        '1:6 (5): no match found, expected: "-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]',
  )
})

test('a field left out has its zero value, a key left out of a map is missing', () => {
  const bare = { Service: { ID: 'x' } }
  assert.equal(compileFilter('notes == "" and Service.Port == 0 and Service.Tags is empty', fields)(bare), true)
  assert.equal(compileFilter('Service.EnableTagOverride == false', fields)(bare), true)
  assert.equal(compileFilter('Service.Meta.x == ""', fields)({ Service: { Meta: {} } }), false)
  assert.equal(compileFilter('Service.Meta.x != ""', fields)({ Service: { Meta: {} } }), true)
})

test('a filter never throws on a record of another shape', () => {
  const filter = compileFilter(
    'Checks.Status == a or Service.Tags contains b or Node.Meta.x matches "y" or Service.Port == 1',
    fields,
  )
  for (const other of [undefined, null, 1, 'x', [], {}, { Checks: 1, Service: { Tags: 5 }, Node: null }]) {
    assert.equal(filter(other), false)
  }
})

test('compileRegex() agrees with the engine of the platform', () => {
  const patterns = [
    '^redis[12]$',
    'a*b+c?',
    '(ab|cd)*e',
    'x{2,3}y',
    '^$',
    '\\d+\\.\\d+',
    '[^a-z]',
    '[a\\]-]',
    '\\bfoo\\b',
    '(?:a|b|)c',
    'a{0}b',
    '.',
    'é+',
    '[\\w-]+@',
    'a|b|c',
    '(a*)*b',
    '^(a+)+$',
    'x*?y',
    '\\x41',
    'a\\/b',
    '[^\\s]x',
    'a{2}',
    '(a|ab)(c|bcd)$',
  ]
  const texts = [
    '',
    'redis1',
    'redis3',
    'abc',
    'aabbc',
    'ababcde',
    'e',
    'xxy',
    'xy',
    'xxxxy',
    '1.5',
    'foo bar',
    'foobar',
    'c',
    'b',
    'é',
    'a@b',
    'A',
    'a/b',
    'a]b',
    '-',
    '\n',
    'a\nb',
    'aaaaaaaaaaaaaaaaaaaab',
    'abcd',
    'aa',
  ]
  for (const pattern of patterns) {
    const compiled = compileRegex(pattern)
    const native = new RegExp(pattern)
    for (const text of texts) assert.equal(compiled(text), native.test(text), `${pattern} on ${JSON.stringify(text)}`)
  }
  assert.equal(compileRegex('(?i)REDIS')('my redis'), true)
  assert.equal(compileRegex('(?i:R)edis')('redis'), true)
  assert.equal(compileRegex('(?m)^b$')('a\nb'), true)
  assert.equal(compileRegex('(?s)a.b')('a\nb'), true)
  assert.equal(compileRegex('[[:digit:]]{3}')('a123'), true)
  assert.equal(compileRegex('\\p{L}+$')('é'), true)
})

test('compileRegex() needs time linear in the text where backtracking explodes', () => {
  const text = `${'a'.repeat(20_000)}!`
  assert.equal(compileRegex('^(a+)+$')(text), false)
  assert.equal(compileRegex('(a|a)*(a|aa)*b')(text), false)
})

test('compileRegex() refuses what RE2 refuses and patterns too large', () => {
  const bad = [
    '(',
    ')',
    '[a',
    '*a',
    'a**',
    '\\',
    '(?=a)',
    '(?<!a)',
    '\\1',
    'a{1001}',
    'a{3,2}',
    '[b-a]',
    '[[:nope:]]',
    '\\p{Nope}',
    '(a{1000}){1000}',
    '('.repeat(200),
    'a'.repeat(1001),
    '((((((){1000}){1000}){1000}){1000}){1000}){1000}){1000}',
  ]
  for (const pattern of bad) assert.throws(() => compileRegex(pattern), RegexProblem, pattern.slice(0, 30))
  assert.equal(compileRegex('(((){1000}){1000}){1000}')('x'), true)
})

test('compileFilter() fuzz: mutated filters only ever fail with FILTER_INVALID', () => {
  const random = seededRandom(3)
  const seeds = [
    'Service.Meta.version == "7" and not (Checks is empty or `a` in Service.Tags)',
    'Service.ID matches "^(re|d)+[is]{1,3}\\\\d*$" or "/Node/Meta/zone" != -1.5',
  ]
  const alphabet = '()[]"`.=!<> andortisempty\\/01-*+?{}|^$é\n\ud800'
  for (let round = 0; round < 4000; round++) {
    let text = seeds[round % 2] ?? ''
    for (let edit = 0; edit < 1 + (round % 7); edit++) {
      const at = random.int(text.length + 1)
      const piece = Array.from({ length: random.int(5) }, () => alphabet[random.int(alphabet.length)]).join('')
      text = text.slice(0, at) + piece + text.slice(at + random.int(5))
    }
    try {
      compileFilter(text, fields)(record)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code === 'FILTER_INVALID', `${text}: ${thrown}`)
    }
  }
})
