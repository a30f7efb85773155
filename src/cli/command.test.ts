/**
 * Flags as Go reads them, the nearest word, and that no command line whatever can do more than be refused.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { type Command, checkArgs, type FlagSpecs, nearest, parseFlags } from './command.ts'

const SPECS: FlagSpecs = {
  name: { kind: 'string', help: 'a text' },
  wan: { kind: 'bool', help: 'yes or no' },
  port: { kind: 'number', help: 'a number' },
  tag: { kind: 'list', help: 'several' },
}

const refused = (code: string, message?: RegExp) => (error: unknown) =>
  error instanceof HanseError && error.code === code && (message === undefined || message.test(error.message))

test('parseFlags() takes -flag value, -flag=value, --flag, and a boolean flag without a value of its own', () => {
  const { flags, args } = parseFlags(
    ['-name', 'a', '--port=80', '-wan', '-tag=x=y', '-tag', 'z', 'rest', '-wan'],
    SPECS,
  )
  assert.equal(flags.string('name'), 'a')
  assert.equal(flags.number('port'), 80)
  assert.equal(flags.bool('wan'), true)
  assert.deepEqual(flags.list('tag'), ['x=y', 'z'])
  assert.deepEqual(args, ['rest', '-wan'])
})

test('parseFlags() ends at -- and at a single dash', () => {
  assert.deepEqual(parseFlags(['-wan', '--', '-name'], SPECS).args, ['-name'])
  assert.deepEqual(parseFlags(['-', '-wan'], SPECS).args, ['-', '-wan'])
})

test('parseFlags() keeps the last of a flag given twice, and takes an empty value', () => {
  assert.equal(parseFlags(['-name=a', '-name='], SPECS).flags.string('name'), '')
  for (const [text, value] of [
    ['true', true],
    ['T', true],
    ['1', true],
    ['false', false],
    ['F', false],
    ['0', false],
  ] as const) {
    assert.equal(parseFlags([`-wan=${text}`], SPECS).flags.bool('wan'), value)
  }
})

test('parseFlags() names the nearest flag, and says what a value must be', () => {
  assert.throws(() => parseFlags(['-nme', 'a'], SPECS), refused('FLAG_UNKNOWN', /"-nme"/))
  assert.throws(() => parseFlags(['-toString'], SPECS), refused('FLAG_UNKNOWN'))
  assert.throws(() => parseFlags(['-name'], SPECS), refused('FLAG_VALUE', /a value is missing/))
  assert.throws(() => parseFlags(['-wan=yes'], SPECS), refused('FLAG_VALUE', /"yes" is not true or false/))
  for (const bad of ['1.5', '', 'x', '9'.repeat(20), '9'.repeat(400)]) {
    assert.throws(() => parseFlags([`-port=${bad}`], SPECS).flags.number('port'), refused('FLAG_VALUE', /whole number/))
  }
})

test('Flags.pairs() and choice() refuse what is neither pair nor choice', () => {
  const { flags } = parseFlags(['-tag=a=b=c', '-tag=d='], SPECS)
  assert.deepEqual(flags.pairs('tag'), [
    ['a', 'b=c'],
    ['d', ''],
  ])
  for (const bad of ['a', '=b', '']) {
    assert.throws(() => parseFlags([`-tag=${bad}`], SPECS).flags.pairs('tag'), refused('FLAG_VALUE'))
  }
  assert.equal(flags.choice('name', ['pretty', 'json']), 'pretty')
  const given = parseFlags(['-name=xml'], SPECS).flags
  assert.throws(() => given.choice('name', ['pretty', 'json']), refused('FLAG_VALUE', /pretty or json/))
})

test('checkArgs() counts the words behind the flags', () => {
  const command: Command = { name: 'x', summary: '', flags: {}, run: async () => 0 }
  checkArgs(command, [])
  assert.throws(() => checkArgs(command, ['a']), refused('ARGUMENT_COUNT', /takes no arguments: 1 given/))
  const several: Command = { ...command, args: [1, Number.POSITIVE_INFINITY] }
  checkArgs(several, ['a', 'b', 'c'])
  assert.throws(() => checkArgs(several, []), refused('ARGUMENT_COUNT', /takes 1 or more arguments: 0 given/))
})

test('nearest() finds a slip and a beginning, and nothing for a word of another kind', () => {
  const known = ['members', 'monitor', 'up', 'info']
  assert.equal(nearest('membrs', known), 'members')
  assert.equal(nearest('memb', known), 'members')
  assert.equal(nearest('inof', known), 'info')
  assert.equal(nearest('x', known), '')
  assert.equal(nearest('kubernetes', known), '')
  assert.equal(nearest('', known), '')
})

test('parseFlags() only ever throws what it documents, for any words', () => {
  const random = seededRandom(7)
  const parts = [
    '-',
    '--',
    '=',
    'name',
    'wan',
    'port',
    'tag',
    'true',
    '',
    '-1',
    '\u0000',
    'ä',
    '__proto__',
    '🙂',
    '"',
    '1e9',
  ]
  for (let round = 0; round < 20_000; round++) {
    const word = () => Array.from({ length: random.int(5) }, () => parts[random.int(parts.length)]).join('')
    const words = Array.from({ length: random.int(6) }, word)
    try {
      const { flags, args } = parseFlags(words, SPECS)
      assert.ok(args.length <= words.length)
      for (const name of Object.keys(SPECS)) {
        assert.ok(flags.list(name).length <= words.length)
        flags.bool(name)
      }
      assert.ok(Number.isInteger(flags.number('port') ?? 0))
      flags.pairs('tag')
    } catch (error) {
      assert.ok(error instanceof HanseError && /^FLAG_(UNKNOWN|VALUE)$/.test(error.code), String(error))
    }
  }
})

test('nearest() is bounded for a very long word', () => {
  assert.equal(nearest('x'.repeat(100_000), Object.keys(SPECS)), '')
})
