/**
 * LZW against the streams that the real implementation wrote, and against damaged ones.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { compressLzw, decompressLzw } from './lzw.ts'

interface LzwVectors {
  vectors: { name: string; plain_hex: string; lzw_hex: string }[]
}
const file = new URL('../../test/vectors/lzw.json', import.meta.url)
const { vectors }: LzwVectors = JSON.parse(readFileSync(file, 'utf8'))

for (const vector of vectors) {
  test(`compressLzw() writes the recorded bytes: ${vector.name}`, () => {
    assert.equal(compressLzw(Buffer.from(vector.plain_hex, 'hex')).toString('hex'), vector.lzw_hex)
  })
  test(`decompressLzw() reads the recorded bytes: ${vector.name}`, () => {
    const plain = decompressLzw(Buffer.from(vector.lzw_hex, 'hex'), 1 << 20)
    assert.equal(plain?.toString('hex'), vector.plain_hex)
  })
}

test('decompressLzw() reads what compressLzw() wrote, for text, noise and runs of every size', () => {
  const random = seededRandom(7)
  for (let round = 0; round < 300; round++) {
    const letters = [1, 2, 16, 256][round % 4]!
    const plain = Buffer.from(Array.from({ length: random.int(6000) }, () => random.int(letters)))
    assert.ok(plain.equals(decompressLzw(compressLzw(plain), plain.length) ?? Buffer.alloc(0)), `round ${round}`)
  }
})

test('decompressLzw() refuses more than the limit', () => {
  const bomb = compressLzw(Buffer.alloc(1 << 20))
  assert.equal(decompressLzw(bomb, (1 << 20) - 1), undefined)
  assert.equal(decompressLzw(bomb, 1 << 20)?.length, 1 << 20)
})

test('decompressLzw() refuses a stream without its end', () => {
  const whole = compressLzw(Buffer.from('abcabcabc'))
  assert.equal(decompressLzw(whole.subarray(0, whole.length - 2), 100), undefined)
  assert.equal(decompressLzw(Buffer.alloc(0), 100), undefined)
})

test('decompressLzw() answers bytes or undefined for anything', () => {
  const random = seededRandom(11)
  const samples = vectors.filter((vector) => vector.lzw_hex.length < 4000).map((v) => Buffer.from(v.lzw_hex, 'hex'))
  for (let round = 0; round < 4000; round++) {
    const bytes = round % 3 === 0 ? random.bytes(random.int(200)) : Buffer.from(samples[round % samples.length]!)
    for (let flip = random.int(4); flip > 0 && bytes.length > 0; flip--)
      bytes[random.int(bytes.length)] = random.int(256)
    const plain = decompressLzw(bytes, 10_000)
    assert.ok(plain === undefined || plain.length <= 10_000)
  }
})
