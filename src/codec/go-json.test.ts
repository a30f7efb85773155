/**
 * JSON beside what Go writes and says, as recorded and documented.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { goJson, parseGoJson, parseJson } from './go-json.ts'
import { decodeJsonFields, type JsonStruct } from './go-json-fields.ts'
import { isTextObject, type Position } from './hcl-positions.ts'

function fault(run: () => unknown) {
  try {
    run()
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError, String(thrown))
    return thrown
  }
  return assert.fail('no error')
}

test('goJson() escapes as Go does', () => {
  assert.equal(
    goJson('<a href="x">&\u2028\u2029\u0001\b\f\n\r\t\\'),
    '"\\u003ca href=\\"x\\"\\u003e\\u0026\\u2028\\u2029\\u0001\\b\\f\\n\\r\\t\\\\"',
  )
  assert.equal(goJson('é😀'), '"é😀"')
  assert.equal(goJson('a\ud800b'), '"a\\ufffdb"')
  assert.equal(goJson({ '<k>': 1 }), '{"\\u003ck\\u003e":1}')
})

test('goJson() writes numbers, bytes, maps and left-out members as Go does', () => {
  assert.equal(
    goJson([1, -0, 1e21, 1e-7, 0.000001, 1.5, 7412515306198788971n]),
    '[1,-0,1e+21,1e-7,0.000001,1.5,7412515306198788971]',
  )
  assert.equal(goJson({ a: undefined, b: null, c: [undefined] }), '{"b":null,"c":[null]}')
  assert.equal(
    goJson(
      new Map([
        ['b', 1],
        ['a', 2],
      ]),
    ),
    '{"a":2,"b":1}',
  )
  assert.equal(goJson(Buffer.from('hi')), '"aGk="')
  assert.equal(goJson({ a: [], b: {} }), '{"a":[],"b":{}}')
})

test('goJson() indents as json.MarshalIndent', () => {
  assert.equal(
    goJson({ a: [1, { b: 2 }], c: {} }, { indent: '    ' }),
    '{\n    "a": [\n        1,\n        {\n            "b": 2\n        }\n    ],\n    "c": {}\n}',
  )
})

test('goJson() writes the same whether the engine or its own writer does the work', () => {
  const samples: unknown[] = [
    { a: '<&>\u2028"\\\u0000\b\f\u001f\u007f', b: [1, 1.5, 1e21, null, undefined, true], c: undefined, '<': {} },
    'x\\ud800',
    'x\ud800',
    [],
    {},
    'é',
  ]
  for (const indent of [undefined, '    ']) {
    for (const sample of samples) {
      // A BigInt beside it sends everything through the own writer.
      const own = goJson([sample, 1n], { indent })
      const fast = goJson([sample, 1], { indent })
      assert.equal(fast, own)
    }
  }
})

test('goJson() refuses what JSON cannot hold', () => {
  assert.equal(fault(() => goJson(Number.NaN)).message, 'json: unsupported value: NaN')
  assert.equal(fault(() => goJson([Number.NEGATIVE_INFINITY])).message, 'json: unsupported value: -Inf')
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  assert.equal(fault(() => goJson(cycle)).code, 'JSON_ENCODE')
})

test('parseGoJson() fails in the words of Go', () => {
  const cases: [string, string][] = [
    ['', 'EOF'],
    ['  ', 'EOF'],
    ['{', 'unexpected EOF'],
    ['"abc', 'unexpected EOF'],
    ['{bad', "invalid character 'b' looking for beginning of object key string"],
    ['{"a"}', "invalid character '}' after object key"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['nul!', "invalid character '!' in literal null (expecting 'l')"],
    ['[01]', "invalid character '1' after array element"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['{} x', "invalid character 'x' after top-level value"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
    ['é', "invalid character 'Ã' looking for beginning of value"],
    ['['.repeat(1_000_000), 'exceeded max depth'],
  ]
  for (const [text, problem] of cases) {
    const thrown = fault(() => parseGoJson(text))
    assert.equal(thrown.message, problem, text.slice(0, 40))
    assert.equal(thrown.code, 'JSON_DECODE')
  }
})

test('parseGoJson() keeps 64-bit integers, odd keys and surrogates', () => {
  assert.deepEqual(parseGoJson('[18446744073709551615, 9007199254740991, 1.5, -3]'), [
    18446744073709551615n,
    9007199254740991,
    1.5,
    -3,
  ])
  const parsed = parseGoJson('{"__proto__": {"x": 1}, "\\ud83d\\ude00": "\\ud800"}')
  assert.deepEqual(Object.entries(parsed ?? {}), [
    ['__proto__', { x: 1 }],
    ['😀', '\ufffd'],
  ])
})

test('parseJson() says file, line and column, and knows places of keys', () => {
  const places = new Map<object, Map<string | number, Position>>()
  const positionOf = (holder: object, key: string | number) => places.get(holder)?.get(key)
  const parsed = parseJson('{\n  "a": [\n    1],\n  "b": {"c": 2}\n}', {
    file: 'x.json',
    notePlace: (holder, key, at) => places.set(holder, (places.get(holder) ?? new Map()).set(key, at)),
  })
  assert.ok(isTextObject(parsed) && isTextObject(parsed['b']) && Array.isArray(parsed['a']))
  assert.deepEqual(positionOf(parsed, 'b'), { line: 4, column: 3 })
  assert.deepEqual(positionOf(parsed['b'], 'c'), { line: 4, column: 9 })
  assert.deepEqual(positionOf(parsed['a'], 0), { line: 3, column: 5 })
  const thrown = fault(() => parseJson('{\n  "a": 1,\n  b: 2}', { file: 'x.json' }))
  assert.equal(thrown.code, 'JSON_SYNTAX')
  assert.equal(
    thrown.message,
    `Cannot parse JSON "x.json" at line 3, column 3: invalid character 'b' looking for beginning of object key string`,
  )
})

const register: JsonStruct = {
  type: 'RegisterRequest',
  fields: {
    Node: 'string',
    Port: 'int',
    Tags: ['string'],
    Skip: 'bool',
    Meta: 'any',
    Check: { type: 'HealthCheck', fields: { Name: 'string' } },
  },
}

test('decodeJsonFields() matches keys whatever their case and refuses as Go does', () => {
  const decode = (text: string) => decodeJsonFields(parseGoJson(text), register, 'structs.RegisterRequest')
  assert.deepEqual(decode('{"node": "n", "PORT": 3, "tags": ["a"], "Check": {"name": "c"}, "Skip": null}'), {
    Node: 'n',
    Port: 3,
    Tags: ['a'],
    Check: { Name: 'c' },
  })
  const cases: [string, string][] = [
    ['[]', 'json: cannot unmarshal array into Go value of type structs.RegisterRequest'],
    ['{"Node": 5}', 'json: cannot unmarshal number into Go struct field RegisterRequest.Node of type string'],
    ['{"Nope": 1}', 'json: unknown field "Nope"'],
    ['{"Port": 1.5}', 'json: cannot unmarshal number 1.5 into Go struct field RegisterRequest.Port of type int'],
    [
      '{"Check": {"Name": true}}',
      'json: cannot unmarshal bool into Go struct field RegisterRequest.Check.Name of type string',
    ],
    ['{"Tags": "a"}', 'json: cannot unmarshal string into Go struct field RegisterRequest.Tags of type []string'],
  ]
  for (const [text, problem] of cases) assert.equal(fault(() => decode(text)).message, problem)
})

test('parseGoJson() and parseJson() agree with JSON.parse and only throw their errors (fuzz)', () => {
  const random = seededRandom(11)
  const seed = '{"a": [1, -2.5e3, true, null, "x\\u00e9\\n"], "b": {"c": {}}, "d": 12345678901234567890}'
  const alphabet = '{}[]",:truefalsn0123.eE+-\\u \n\ud800\u0000é'
  for (let round = 0; round < 4000; round++) {
    let text = seed
    for (let edit = 0; edit < 1 + (round % 6); edit++) {
      const at = random.int(text.length + 1)
      const piece = Array.from({ length: random.int(5) }, () => alphabet[random.int(alphabet.length)]).join('')
      text = text.slice(0, at) + piece + text.slice(at + random.int(4))
    }
    let expected: { value: unknown } | undefined
    try {
      expected = { value: JSON.parse(text) }
    } catch {}
    try {
      const value = parseJson(text, { file: 'f' })
      assert.ok(expected, `accepted ${JSON.stringify(text)}`)
      if (text.isWellFormed() && !text.includes('\\u')) assert.deepEqual(value, expected.value)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code === 'JSON_SYNTAX', String(thrown))
      assert.equal(expected, undefined, `refused ${JSON.stringify(text)}`)
    }
    try {
      goJson(parseGoJson(text))
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code.startsWith('JSON_'), String(thrown))
    }
  }
})
