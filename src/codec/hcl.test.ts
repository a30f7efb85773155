/**
 * HCL texts as users write them, wrong ones with their places, and mutated ones.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { MAX_TEXT_CHARACTERS, MAX_TEXT_DEPTH, parseHcl } from './hcl.ts'
import { isTextObject, type Position } from './hcl-positions.ts'

const source = { file: 'server.hcl' }
const parse = (text: string) => parseHcl(text, source)

function fault(text: string) {
  try {
    parse(text)
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError)
    return thrown
  }
  return assert.fail(`parsed: ${text}`)
}

test('parseHcl() reads every kind of value', () => {
  const text = `
# comment
// comment
/* two
   lines */
datacenter = "dc1"
server = true
"quoted-key" = false
ports { http = 8500, https = -1 }
recursors = ["1.1.1.1", "8.8.8.8",]
a.b-c = 1.5
exp = 1e3
hex = 0xff
oct = 0755
empty = []
nested = [[1, 2], [{ a = 1 }]]
`
  assert.deepEqual(parse(text), {
    datacenter: 'dc1',
    server: true,
    'quoted-key': false,
    ports: { http: 8500, https: -1 },
    recursors: ['1.1.1.1', '8.8.8.8'],
    'a.b-c': 1.5,
    exp: 1000,
    hex: 255,
    oct: 493,
    empty: [],
    nested: [[1, 2], [{ a: 1 }]],
  })
})

test('parseHcl() makes a list of repeated objects and nests labels', () => {
  assert.deepEqual(parse('service { name = "a" }\nservice { name = "b" }\nservice = { name = "c" }'), {
    service: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
  })
  assert.deepEqual(parse('key "" { policy = "read" }'), { key: { '': { policy: 'read' } } })
  assert.deepEqual(parse('key "a" { p = 1 }\nkey "b" "c" { p = 2 }'), {
    key: [{ a: { p: 1 } }, { b: { c: { p: 2 } } }],
  })
  assert.deepEqual(parse('a = "x"\na = "y"'), { a: 'y' })
})

test('parseHcl() reads escapes, interpolations and heredocs', () => {
  assert.deepEqual(parse('a = "x\\n\\t\\"\\\\ \\u00e9\\U0001F600\\x41\\101"'), { a: 'x\n\t"\\ é😀AA' })
  assert.deepEqual(parse('a = "p \x24{f("q", {a = 1})} r"'), { a: 'p \x24{f("q", {a = 1})} r' })
  assert.deepEqual(parse('a = <<EOF\nline "1"\n  line 2\nEOF\nb = 1'), { a: 'line "1"\n  line 2\n', b: 1 })
  assert.deepEqual(parse('a = <<-EOF\n    one\n      two\n\n    EOF\n'), { a: 'one\n  two\n\n' })
  assert.deepEqual(parse('a = <<EOF\nEOF'), { a: '' })
})

test('parseHcl() keeps names such as __proto__ as plain keys', () => {
  const parsed = parse('__proto__ { polluted = true }\nconstructor = 1')
  assert.deepEqual(Object.keys(parsed), ['__proto__', 'constructor'])
  assert.equal(Reflect.get({}, 'polluted'), undefined)
})

test('parseHcl() says file, line, column and what it expected', () => {
  const cases: [text: string, line: number, column: number, problem: string][] = [
    ['key { ', 1, 8, 'object expected closing RBRACE got: EOF'],
    ['a = "x', 1, 5, 'literal not terminated'],
    ['a = 1\nb = foo', 2, 5, 'Unknown token: IDENT foo'],
    ['a = [1 2]', 1, 8, 'error parsing list, expected comma or list end, got: NUMBER'],
    ['a "b" = 1', 1, 7, 'nested object expected: LBRACE got: ASSIGN'],
    ['= 1', 1, 1, 'expected: IDENT | STRING got: ASSIGN'],
    ['a = 1\n/* x', 2, 1, 'comment not terminated'],
    ['a = "\\q"', 1, 6, 'illegal char escape'],
    ['a = "\\UFFFFFFFF"', 1, 6, 'illegal char escape'],
    ['a = <<EOF\nx', 1, 5, 'heredoc not terminated: no line "EOF"'],
    ['a = 099', 1, 5, 'illegal octal number 099'],
    ['a = ?', 1, 5, 'illegal character "?"'],
    ['a =', 1, 5, 'value expected got: EOF'],
    ['a', 1, 3, 'end of file reached'],
    ['a 5', 1, 3, "key 'a' expected start of object ('{') or assignment ('=')"],
    ['a = <<EOF\nx\nEOF\n}', 4, 1, 'expected: IDENT | STRING got: RBRACE'],
  ]
  for (const [text, line, column, problem] of cases) {
    const thrown = fault(text)
    assert.equal(thrown.code, 'HCL_SYNTAX')
    assert.equal(
      thrown.message,
      `Cannot parse HCL "server.hcl" at line ${line}, column ${column}: ${problem}`,
      JSON.stringify(text),
    )
    assert.equal(thrown.facts['problem'], problem)
  }
})

test('parseHcl() refuses texts too long and too deep', () => {
  assert.equal(fault(' '.repeat(MAX_TEXT_CHARACTERS + 1)).code, 'TEXT_TOO_LARGE')
  assert.match(fault(`a = ${'['.repeat(100_000)}`).message, /nested deeper than 100 levels/)
  assert.match(fault('a {'.repeat(100_000)).message, /nested deeper/)
  assert.match(fault(`a ${'"b" '.repeat(1000)} { }`).message, /nested deeper/)
  assert.ok(parse(`a = ${'['.repeat(MAX_TEXT_DEPTH)}${']'.repeat(MAX_TEXT_DEPTH)}`))
})

test('parseHcl() reads a block repeated two hundred thousand times', () => {
  const parsed = parse('a{}\n'.repeat(200_000))
  assert.ok(Array.isArray(parsed['a']))
  assert.equal(parsed['a'].length, 200_000)
})

test('notePlace() is told where keys and elements stood', () => {
  const places = new Map<object, Map<string | number, Position>>()
  const positionOf = (holder: object, key: string | number) => places.get(holder)?.get(key)
  const text = 'a = 1\nports {\n  http = 1\n}\nlist = [\n  "x",\n  "y"]'
  const parsed = parseHcl(text, {
    file: 'x',
    notePlace: (holder, key, at) => places.set(holder, (places.get(holder) ?? new Map()).set(key, at)),
  })
  assert.deepEqual(positionOf(parsed, 'a'), { line: 1, column: 1 })
  assert.deepEqual(positionOf(parsed, 'ports'), { line: 2, column: 1 })
  const ports = parsed['ports']
  assert.ok(isTextObject(ports))
  assert.deepEqual(positionOf(ports, 'http'), { line: 3, column: 3 })
  const list = parsed['list']
  assert.ok(Array.isArray(list))
  assert.deepEqual(positionOf(list, 1), { line: 7, column: 3 })
  assert.equal(positionOf(parsed, 'nope'), undefined)
})

test('parseHcl() fuzz: mutated and random texts only ever fail with HCL_SYNTAX', () => {
  const random = seededRandom(7)
  const seed =
    'service "x" { name = "a\\n\x24{b}" tags = [1, -2.5e3, true] }\n# c\nh = <<-EOF\n  t\nEOF\nk { a = {} }\n'
  const alphabet = '{}[]"=,<<EOF\n\\$#/* abc019.-_éx\u0000\ud800'
  for (let round = 0; round < 3000; round++) {
    let text = round % 4 === 0 ? '' : seed
    for (let edit = 0; edit < 1 + (round % 9); edit++) {
      const at = random.int(text.length + 1)
      const piece = Array.from({ length: random.int(6) }, () => alphabet[random.int(alphabet.length)]).join('')
      text = text.slice(0, at) + piece + text.slice(at + random.int(4))
    }
    try {
      parse(text)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code === 'HCL_SYNTAX', `${JSON.stringify(text)}: ${thrown}`)
    }
  }
})
