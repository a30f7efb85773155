/** Streams that a value leads, over real sockets of which each side ends its half. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { duplexPair, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { dialTcp } from './dial.ts'
import { dropRest, MAX_LEAD_BYTES, readLed, writeLed } from './led-stream.ts'

/** A msgpack string. */
const text = (value: string) => Buffer.concat([Buffer.from([0xa0 | value.length]), Buffer.from(value)])

async function served(serve: (socket: Socket) => Promise<void>, use: (socket: Socket) => Promise<void>): Promise<void> {
  const serving: Promise<void>[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    serving.push(serve(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const socket = await dialTcp({ host: '127.0.0.1', port, allowHalfOpen: true })
  try {
    await use(socket)
    await Promise.all(serving)
  } finally {
    socket.destroy()
    server.close()
  }
}

const rest = (bytes: AsyncIterable<Buffer>) => buffer(Readable.from(bytes))

test('a request with its body is read to the end, and the reply with its body goes back', async () => {
  const body = Buffer.from(seededRandom(3).bytes(3_000_000))
  await served(
    async (socket) => {
      const asked = await readLed(socket)
      assert.deepEqual(asked.lead, text('put'))
      const got = await rest(asked.rest)
      await writeLed(socket, text('ok'), Readable.from([got]))
    },
    async (socket) => {
      const writing = writeLed(socket, text('put'), Readable.from([body.subarray(0, 7), body.subarray(7)]))
      const answer = await readLed(socket)
      assert.deepEqual(answer.lead, text('ok'))
      assert.ok((await rest(answer.rest)).equals(body))
      await writing
    },
  )
})

test('who refuses before the body is there is still heard', async () => {
  await served(
    async (socket) => {
      const asked = await readLed(socket)
      for await (const _ of asked.rest) break
      dropRest(socket)
      await writeLed(socket, text('refused'))
    },
    async (socket) => {
      const writing = writeLed(socket, text('put'), Readable.from(Array(400).fill(Buffer.alloc(100_000))))
      const { lead } = await readLed(socket)
      assert.deepEqual(lead, text('refused'))
      await writing
    },
  )
})

test('readLed() finds the value in pieces of any length, and refuses what is none', async () => {
  const of = (...chunks: readonly Buffer[]) => readLed(asDuplex(chunks))
  const { lead, rest: more } = await of(text('ab').subarray(0, 1), text('ab').subarray(1, 2), Buffer.from('bcd'))
  assert.deepEqual([lead, String(await rest(more))], [text('ab'), 'cd'])
  await assert.rejects(of(), { code: 'RPC_MALFORMED' })
  await assert.rejects(of(Buffer.from([0xa5, 1])), { code: 'RPC_MALFORMED' })
  await assert.rejects(of(Buffer.from([0xc1])), { code: 'RPC_MALFORMED' })
  const endless = Buffer.concat([Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff]), Buffer.alloc(MAX_LEAD_BYTES)])
  await assert.rejects(of(endless), { code: 'RPC_TOO_LARGE' })
})

function asDuplex(chunks: readonly Buffer[]) {
  const [ours, theirs] = duplexPair()
  for (const chunk of chunks) theirs.write(chunk)
  theirs.end()
  return ours
}
