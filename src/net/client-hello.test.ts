/**
 * The hellos of real servers as recorded, cut and split everywhere, and changed bytes.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { HanseError, seededRandom } from '#base'
import { MAX_CLIENT_HELLO_BYTES, parseClientHello } from './client-hello.ts'

interface Vector {
  readonly sni: string
  readonly alpn: readonly string[]
  readonly client_hello_record_hex: string
}
const file: { vectors: readonly Vector[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/tls-clienthello.json', import.meta.url), 'utf8'),
)
const hellos = file.vectors.map((vector) => Buffer.from(vector.client_hello_record_hex, 'hex'))

function record(content: Buffer): Buffer {
  const header = Buffer.from([22, 3, 1, 0, 0])
  header.writeUInt16BE(content.length, 3)
  return Buffer.concat([header, content])
}

test('parseClientHello() reads name and protocol of every recorded hello, whatever follows it', () => {
  for (const [index, { sni, alpn }] of file.vectors.entries()) {
    const hello = hellos[index] ?? Buffer.alloc(0)
    assert.deepEqual(parseClientHello(hello), { complete: true, sni, alpn })
    const more = Buffer.concat([hello, Buffer.from('later bytes, not TLS')])
    assert.deepEqual(parseClientHello(more), { complete: true, sni, alpn })
  }
})

test('parseClientHello() waits for the rest at every cut, and joins a hello split over records', () => {
  const [hello = Buffer.alloc(0)] = hellos
  for (let cut = 0; cut < hello.length; cut++) {
    assert.deepEqual(parseClientHello(hello.subarray(0, cut)), { complete: false })
  }
  const content = hello.subarray(5)
  const pieces = [content.subarray(0, 2), content.subarray(2, 60), content.subarray(60)]
  const split = Buffer.concat(pieces.map(record))
  assert.deepEqual(parseClientHello(split), parseClientHello(hello))
  assert.deepEqual(parseClientHello(split.subarray(0, -1)), { complete: false })
})

test('parseClientHello() reads what a TLS library of today sends', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = await once(server, 'connection')
  const client = connectTls({ socket, servername: 'S1.Server.dc1.consul', ALPNProtocols: ['consul/rpc-multi'] })
  client.on('error', () => {})
  const [bytes] = await once(accepted, 'data')
  client.destroy()
  accepted.destroy()
  server.close()
  assert.deepEqual(parseClientHello(bytes), { complete: true, sni: 's1.server.dc1.consul', alpn: ['consul/rpc-multi'] })
})

test('parseClientHello() refuses what is no hello, and one that is too long, before it is all there', () => {
  const refused = (bytes: Buffer) => assert.throws(() => parseClientHello(bytes), { code: 'CLIENT_HELLO_INVALID' })
  refused(Buffer.from('GET / HTTP/1.1\r\n'))
  refused(Buffer.from([22, 2]))
  refused(record(Buffer.from([2, 0, 0, 0])))
  refused(record(Buffer.from([1, 0xff, 0, 0])))
  refused(Buffer.from([22, 3, 1, 0xff, 0xff]))
  refused(record(Buffer.from([1, 0, 0x40, 0, ...Buffer.alloc(MAX_CLIENT_HELLO_BYTES - 9)])))
  refused(Buffer.concat(Array.from({ length: 70 }, () => record(Buffer.from([1])))))
})

test('parseClientHello() answers changed bytes with CLIENT_HELLO_INVALID or a value, never another error', () => {
  const random = seededRandom(41)
  for (let round = 0; round < 6000; round++) {
    const hello = hellos[random.int(hellos.length)] ?? Buffer.alloc(1)
    const bytes = round % 5 === 0 ? Buffer.concat([hello.subarray(0, 9), random.bytes(300)]) : Buffer.from(hello)
    for (let change = 0; change < 4; change++) bytes[5 + random.int(bytes.length - 5)] = random.int(256)
    try {
      parseClientHello(bytes)
    } catch (error) {
      assert.ok(error instanceof HanseError && error.code === 'CLIENT_HELLO_INVALID', String(error))
    }
  }
})
