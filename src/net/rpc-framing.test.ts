/**
 * The recorded calls cut into header and body, whatever the pieces; changed bytes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { MsgpackReader } from '#codec'
import {
  decodeRpcHeader,
  encodeRequestHeader,
  encodeResponseHeader,
  RpcMessageReader,
  ValueScanner,
} from './rpc-framing.ts'

interface Call {
  readonly method: string
  readonly request_hex: string
  readonly response_hex: string
}
const vectors: { vectors: readonly { name: string; calls?: readonly Call[] }[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/rpc-direct-plaintext.json', import.meta.url), 'utf8'),
)
const calls = vectors.vectors.flatMap((vector) => vector.calls ?? [])

test('RpcMessageReader cuts the recorded calls into header and body, and headers encode back to the byte', () => {
  for (const call of calls) {
    for (const hex of [call.request_hex, call.response_hex].filter((each) => each !== '')) {
      const bytes = Buffer.from(hex, 'hex')
      const reader = new RpcMessageReader()
      reader.push(bytes)
      const message = reader.next()
      assert.ok(message, call.method)
      assert.equal(message.header.length + message.body.length, bytes.length)
      const header = decodeRpcHeader(message.header)
      assert.equal(header.method, call.method)
      const encoded = hex === call.request_hex ? encodeRequestHeader(header) : encodeResponseHeader(header)
      assert.ok(encoded.equals(message.header))
      assert.equal(reader.midMessage, false)
    }
  }
})

test('RpcMessageReader finds the same messages in one piece, byte by byte and in odd pieces', () => {
  const all = Buffer.concat(calls.map((call) => Buffer.from(call.request_hex, 'hex')))
  for (const pieceBytes of [all.length, 1, 13]) {
    const reader = new RpcMessageReader()
    const bodies: Buffer[] = []
    for (let at = 0; at < all.length; at += pieceBytes) {
      reader.push(all.subarray(at, at + pieceBytes))
      for (let message = reader.next(); message; message = reader.next()) bodies.push(message.header, message.body)
    }
    assert.ok(Buffer.concat(bodies).equals(all))
    assert.equal(bodies.length, calls.length * 2)
    assert.equal(reader.bufferedBytes, 0)
  }
})

test('RpcMessageReader refuses a body above the limit before it is all there', () => {
  const reader = new RpcMessageReader(1000)
  const header = encodeRequestHeader({ seq: 1, method: 'A.B' })
  reader.push(Buffer.concat([header, Buffer.from('db7fffffff', 'hex'), Buffer.alloc(996)]))
  assert.throws(() => reader.next(), { code: 'RPC_TOO_LARGE' })
  assert.ok(reader.pendingHeader?.equals(header))
})

test('ValueScanner agrees with MsgpackReader on every kind of value', () => {
  const values = [
    'c0',
    'c3',
    '7f',
    'e0',
    'cc01',
    'cd0102',
    `d3${'00'.repeat(8)}`,
    `cb${'00'.repeat(8)}`,
    'a3616263',
    'da000161',
  ]
  values.push(
    'db0000000261' + '62',
    'c40161',
    '92a16101',
    '81a16192c0c2',
    'dc000201' + '02',
    'de0001a161c0',
    '80',
    '90',
  )
  for (const hex of values) {
    const bytes = Buffer.from(`${hex}c0`, 'hex')
    const reader = new MsgpackReader(bytes)
    reader.skip()
    assert.equal(new ValueScanner().scan(bytes, 0), reader.offset, hex)
  }
  assert.throws(() => new ValueScanner().scan(Buffer.from('c1', 'hex'), 0), { code: 'RPC_MALFORMED' })
})

test('decodeRpcHeader() keeps 64-bit sequence numbers', () => {
  const seq = 0xffff_ffff_ffff_fff0n
  assert.equal(decodeRpcHeader(encodeRequestHeader({ seq, method: 'A.B' })).seq, seq)
})

test('RpcMessageReader and decodeRpcHeader() answer changed bytes with an RPC_ error or a message, never another error', () => {
  const random = seededRandom(23)
  const seeds = calls.map((call) => Buffer.from(call.response_hex === '' ? call.request_hex : call.response_hex, 'hex'))
  for (let round = 0; round < 4000; round++) {
    const seed = seeds[random.int(seeds.length)] ?? Buffer.alloc(1)
    const bytes = round % 4 === 0 ? random.bytes(200) : Buffer.from(seed)
    for (let change = 0; change < 3; change++) bytes[random.int(bytes.length)] = random.int(256)
    const reader = new RpcMessageReader(4096)
    try {
      reader.push(bytes)
      for (let message = reader.next(); message; message = reader.next()) decodeRpcHeader(message.header)
    } catch (error) {
      assert.ok(error instanceof HanseError && error.code.startsWith('RPC_'), String(error))
    }
  }
})
