/** Writers share one buffer, one after the other: neither disturbs the other, and what was finished stays as it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MsgpackReader } from './msgpack-reader.ts'
import { MsgpackWriter } from './msgpack-writer.ts'
import { ProtobufReader, ProtobufWriter } from './protobuf.ts'

const written = (text: string) => {
  const writer = new MsgpackWriter()
  writer.string(text)
  return writer.finish()
}
const read = (bytes: Buffer) => new MsgpackReader(bytes).string()

test('what was finished is not changed by what is written next', () => {
  const texts = ['first', 'a second one, which is longer', 'x'.repeat(10_000), 'short']
  const all = texts.map(written)
  assert.deepEqual(all.map(read), texts)
})

test('a writer that begins while another one writes has a buffer of its own', () => {
  const outer = new ProtobufWriter()
  outer.string(1, 'before')
  const inner = written('within')
  outer.bytes(2, inner)
  const late = written('later')
  outer.string(3, 'after')
  const reader = new ProtobufReader(outer.finish())
  const fields = []
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) fields.push(reader.bytes().toString('latin1'))
  assert.deepEqual(fields, ['before', inner.toString('latin1'), 'after'])
  assert.deepEqual([inner, late].map(read), ['within', 'later'])
})

test('a writer that is given up takes its buffer with it, and the next one writes as before', () => {
  const given = new MsgpackWriter()
  given.string('never finished')
  assert.equal(read(written('next')), 'next')
  given.string('and goes on')
  assert.equal(read(given.finish()), 'never finished')
})

test('messages larger than what is kept grow, and are whole', () => {
  const large = Buffer.alloc(1_000_000, 'large')
  const writer = new ProtobufWriter()
  for (let field = 1; field <= 3; field++) writer.bytes(field, large)
  const reader = new ProtobufReader(writer.finish())
  for (let field = 1; field <= 3; field++) {
    assert.equal(reader.tag() >>> 3, field)
    assert.ok(reader.bytes().equals(large))
  }
  assert.equal(reader.tag(), 0)
})

test('short texts are written as any others, whatever characters are in them', () => {
  for (const text of [
    '',
    'key/1',
    'schlüssel',
    '鍵',
    '\u{1f511}',
    'a'.repeat(63),
    `${'a'.repeat(63)}ü`,
    'ü'.repeat(64),
  ]) {
    const writer = new ProtobufWriter()
    writer.string(1, text)
    const reader = new ProtobufReader(writer.finish())
    reader.tag()
    assert.equal(reader.string(), text)
    assert.equal(reader.tag(), 0)
  }
})
