/**
 * Two yamux sessions over a real socket: many streams, much data, slow readers, ends and resets.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, test } from 'node:test'
import { codeOf, ManualClock, seededRandom } from '#base'
import { MAX_WAITING_ANSWER_BYTES, YamuxSession, type YamuxSessionOptions } from './yamux-session.ts'
import { ACCEPT_BACKLOG, MAX_STREAMS } from './yamux-state.ts'
import { HALF_CLOSED_TIMEOUT_MS, type YamuxStream } from './yamux-stream.ts'

const opened: (Server | Socket)[] = []
after(() => {
  for (const each of opened) 'destroy' in each ? each.destroy() : each.close()
})

async function sockets(): Promise<[Socket, Socket]> {
  const server = createServer()
  opened.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = (server.address() as AddressInfo).port
  const client = connect(port, '127.0.0.1')
  const [accepted]: Socket[] = await once(server, 'connection')
  assert.ok(accepted)
  server.close()
  opened.push(client, accepted)
  return [client, accepted]
}

async function pair(
  onStream: (stream: YamuxStream) => void,
  more: { client?: Partial<YamuxSessionOptions>; server?: Partial<YamuxSessionOptions> } = {},
): Promise<{ client: YamuxSession; server: YamuxSession }> {
  const [near, far] = await sockets()
  const server = new YamuxSession(far, { role: 'server', onStream, ...more.server })
  return { client: new YamuxSession(near, { role: 'client', ...more.client }), server }
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const echo = (stream: Duplex) => void stream.pipe(stream)

test('YamuxSession carries 64 concurrent echo streams', async () => {
  const { client, server } = await pair(echo)
  const random = seededRandom(3)
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      const bytes = random.bytes(30_000 + random.int(20_000))
      const stream = await client.openStream()
      for (let at = 0; at < bytes.length; at += 7000) stream.write(bytes.subarray(at, at + 7000))
      stream.end()
      assert.ok((await readAll(stream)).equals(bytes))
    }),
  )
  assert.equal(client.streamCount, 0)
  assert.equal(server.streamCount, 0)
  client.close()
})

test('YamuxSession moves 10 MB each way through windows and socket', async () => {
  const { client } = await pair(echo)
  const bytes = Buffer.alloc(10 * 1024 * 1024, seededRandom(5).bytes(1021))
  const stream = await client.openStream()
  stream.end(bytes)
  assert.ok((await readAll(stream)).equals(bytes))
  client.close()
})

test('YamuxSession: a stream that nobody reads does not hold up the others, and is bounded', async () => {
  const stalled: YamuxStream[] = []
  const { client } = await pair((stream) => (stalled.length === 0 ? stalled.push(stream) : echo(stream)))
  const slow = await client.openStream()
  const finished = new Promise((resolve) => slow.write(Buffer.alloc(2 * 1024 * 1024), resolve))
  for (let n = 0; n < 20; n++) {
    const quick = await client.openStream()
    quick.end(Buffer.alloc(100_000, n))
    assert.equal((await readAll(quick)).length, 100_000)
  }
  assert.ok((stalled[0]?.readableLength ?? 0) <= 256 * 1024)
  stalled[0]?.resume()
  await finished
  client.close()
})

test('YamuxSession passes a half-close: the answer comes after the end of the question', async () => {
  const { client } = await pair(async (stream) => {
    const question = await readAll(stream)
    stream.end(`answer to ${question.toString()}`)
  })
  const stream = await client.openStream()
  stream.end('question')
  assert.equal((await readAll(stream)).toString(), 'answer to question')
  client.close()
})

test('YamuxSession: destroying a stream resets it on the other side with YAMUX_RESET', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const { client, server } = await pair((stream) => stream.on('error', resolve).resume())
  const stream = await client.openStream()
  stream.write('x')
  stream.destroy()
  assert.equal(codeOf(await promise), 'YAMUX_RESET')
  assert.equal(server.streamCount, 0)
  client.close()
})

test('YamuxSession lets the server side open streams too', async () => {
  const [near, far] = await sockets()
  const server = new YamuxSession(far, { role: 'server' })
  const client = new YamuxSession(near, { role: 'client', onStream: echo })
  const stream = await server.openStream()
  assert.equal(stream.id, 2)
  stream.end('hello')
  assert.equal((await readAll(stream)).toString(), 'hello')
  client.close()
})

test('YamuxSession: go away stops new streams on both sides while old ones go on', async () => {
  const { client, server } = await pair(echo)
  const stream = await client.openStream()
  stream.write('a')
  await once(stream, 'readable')
  server.goAway()
  while (client.usable) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(!client.closed)
  await assert.rejects(client.openStream(), { code: 'YAMUX_GO_AWAY' })
  stream.end('b')
  assert.equal((await readAll(stream)).toString(), 'ab')
  server.close()
  while (!client.closed) await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(client.openStream(), { code: 'YAMUX_SHUTDOWN' })
})

test('YamuxSession: a farewell is heard after all that was sent before it, or when the session ends', async () => {
  const arrived: string[] = []
  const { client, server } = await pair((stream) => {
    stream.on('data', (chunk: Buffer) => arrived.push(chunk.toString()))
  })
  const stream = await client.openStream()
  const heard = server.farewell().then(() => [...arrived])
  // The client has not heard of it yet: its event loop has not turned.
  assert.ok(client.usable)
  stream.write('crossing')
  assert.deepEqual(await heard, ['crossing'])
  assert.ok(!client.usable)
  client.close()
  const silent = new YamuxSession(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }), {
    role: 'server',
  })
  const never = silent.farewell()
  silent.destroy()
  await never
})

test('YamuxSession keeps the bytes of a stream that ended before the connection did', async () => {
  const { client, server } = await pair((stream) => stream.end('last words'))
  const stream = await client.openStream()
  while (!stream.remoteEnded) await new Promise((resolve) => setImmediate(resolve))
  server.close()
  while (!client.closed) await new Promise((resolve) => setImmediate(resolve))
  assert.equal((await readAll(stream)).toString(), 'last words')
})

test('YamuxSession ends when a keep-alive ping is not answered', async () => {
  const [near, far] = await sockets()
  const clock = new ManualClock()
  const closed = Promise.withResolvers<unknown>()
  const session = new YamuxSession(near, { role: 'client', clock, onClose: closed.resolve })
  far.resume()
  const stream = await session.openStream()
  clock.advance(30_000)
  assert.ok(!session.closed)
  clock.advance(10_200)
  assert.equal(codeOf(await closed.promise), 'YAMUX_KEEPALIVE')
  assert.ok(stream.destroyed)
})

test('YamuxSession: openStream() waits for acknowledgements and gives up with its signal', async () => {
  const [near, far] = await sockets()
  far.resume()
  const session = new YamuxSession(near, { role: 'client' })
  for (let n = 0; n < ACCEPT_BACKLOG; n++) await session.openStream()
  const waiting = session.openStream()
  const abandoned = new AbortController()
  const given = session.openStream(abandoned.signal)
  abandoned.abort(new Error('enough'))
  await assert.rejects(given, /enough/)
  far.write(Buffer.from('000100020000000100000000', 'hex'))
  assert.equal((await waiting).id, 2 * ACCEPT_BACKLOG + 1)
  session.destroy()
})

test('YamuxSession resets a half-closed stream that the other side never closes', async () => {
  const clock = new ManualClock()
  const { client, server } = await pair((stream) => stream.resume(), { client: { clock } })
  const stream = await client.openStream()
  stream.end('x')
  await once(stream, 'finish')
  clock.advance(HALF_CLOSED_TIMEOUT_MS)
  assert.ok(stream.destroyed)
  while (server.streamCount > 0 && !server.closed) await new Promise((resolve) => setImmediate(resolve))
  client.destroy()
})

test('YamuxSession refuses streams above MAX_STREAMS by a reset and stays alive', async () => {
  const { client, server } = await pair((stream) => stream.resume())
  const streams = []
  for (let n = 0; n < MAX_STREAMS; n++) streams.push(await client.openStream())
  await assert.rejects(client.openStream(), { code: 'YAMUX_STREAMS' })
  assert.ok(!client.closed && !server.closed)
  streams[0]?.destroy()
  const again = await client.openStream()
  again.write('x')
  assert.ok(again.id > MAX_STREAMS)
  client.close()
})

test('YamuxSession answers garbage by ending the session, with the reason', async () => {
  const [near, far] = await sockets()
  const closed = Promise.withResolvers<unknown>()
  new YamuxSession(near, { role: 'server', onClose: closed.resolve })
  far.on('error', () => {})
  far.write('GET / HTTP/1.1\r\n\r\n')
  assert.equal(codeOf(await closed.promise), 'YAMUX_PROTOCOL')
})

test('YamuxSession ends when the other side pings without end and reads no answer', () => {
  const errors: unknown[] = []
  const stuck = new Duplex({ read() {}, write() {} })
  new YamuxSession(stuck, { role: 'server', onClose: (error) => errors.push(codeOf(error)) })
  const pings = Buffer.alloc(12 * 5000)
  for (let at = 0; at < pings.length; at += 12) pings.set([0, 2, 0, 1], at)
  for (let bytes = 0; bytes < MAX_WAITING_ANSWER_BYTES * 2; bytes += pings.length) stuck.emit('data', pings)
  assert.deepEqual(errors, ['YAMUX_FLOOD'])
  assert.ok(stuck.writableLength < MAX_WAITING_ANSWER_BYTES * 2)
})

test('YamuxSession reports a writer that waits for the window when its stream is reset', async () => {
  const { client } = await pair((stream) => setImmediate(() => stream.destroy()))
  const stream = await client.openStream()
  const failed = new Promise((resolve) => stream.write(Buffer.alloc(1024 * 1024), resolve))
  assert.equal(codeOf(await failed), 'YAMUX_RESET')
  client.close()
})
