/**
 * gRPC calls on loopback: what is answered, what is refused and how, and what ends with whom.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { aborted, ManualClock } from '#base'
import { framed, GrpcTestCall, grpcSession } from './grpc-fixture.ts'
import {
  GRPC_STATUS,
  type GrpcCall,
  GrpcError,
  type GrpcHandler,
  type GrpcServerOptions,
  serveGrpc,
} from './grpc-server.ts'

const toClose: (() => void)[] = []
after(() => {
  for (const close of toClose) close()
})

async function serving(handler: GrpcHandler, options: Partial<GrpcServerOptions> = {}) {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    serveGrpc(socket, handler, { remote: { address: 'client', port: 1 }, ...options })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  const socket = connect(address.port, '127.0.0.1')
  const session = grpcSession(socket)
  toClose.push(() => {
    session.destroy()
    for (const each of sockets) each.destroy()
    server.close()
  })
  const call = (body: Uint8Array, path = '/a.B/C', headers = {}) => new GrpcTestCall(session, path, body, headers)
  return { call, session, socket, port: address.port }
}

async function* echo({ path, message }: GrpcCall) {
  yield Buffer.from(path)
  yield message
}

test('serveGrpc() gives a handler the request and the client its messages, and then a status', async () => {
  const { call } = await serving(echo)
  const one = call(framed(Buffer.from('hello')))
  const two = call(framed(Buffer.alloc(0)), '/x.Y/Z')
  assert.equal(String(await one.next()), '/a.B/C')
  assert.equal(String(await one.next()), 'hello')
  assert.deepEqual(await one.end(), { status: '0', text: '' })
  assert.equal(String(await two.next()), '/x.Y/Z')
  assert.equal((await two.next()).length, 0)
  assert.deepEqual(await two.end(), { status: '0', text: '' })
})

test('serveGrpc() ends a call with the status that its handler throws, before and after messages', async () => {
  const { call } = await serving(async function* ({ message }) {
    if (message.length > 0) yield message
    if (message.length > 3) throw new Error('über 100%\n')
    throw new GrpcError(GRPC_STATUS.permissionDenied, 'ACL not found')
  })
  assert.deepEqual(await call(framed(Buffer.alloc(0))).end(), { status: '7', text: 'ACL not found' })
  const after = call(framed(Buffer.from('abc')))
  assert.equal(String(await after.next()), 'abc')
  assert.deepEqual(await after.end(), { status: '7', text: 'ACL not found' })
  assert.deepEqual(await call(framed(Buffer.from('abcd'))).end(), { status: '13', text: 'über 100%\n' })
})

test('serveGrpc() refuses what is no gRPC request and goes on serving the connection', async () => {
  const { call } = await serving(echo, { limits: { requestBytes: 100 } })
  const status = async (made: GrpcTestCall) => (await made.end()).status
  assert.equal(await status(call(Buffer.alloc(0))), '3')
  assert.equal(await status(call(Buffer.from([0, 0, 0, 0, 9, 1]))), '3')
  assert.equal(await status(call(Buffer.concat([framed(Buffer.from('a')), framed(Buffer.from('b'))]))), '3')
  assert.equal(await status(call(framed(Buffer.from('a'), 1))), '12')
  assert.equal(await status(call(framed(Buffer.from('a')), '/a.B/C', { 'content-type': 'text/html' })), '3')
  assert.equal(await status(call(framed(Buffer.alloc(101)))), '8')
  assert.equal(await status(call(framed(Buffer.alloc(1_000_000)))), '8')
  assert.equal(String(await call(framed(Buffer.alloc(100))).next()), '/a.B/C')
})

test('a request that does not arrive in time is cut off, and the connection goes on', async () => {
  const clock = new ManualClock()
  const { session, call } = await serving(echo, { clock })
  const slow = session.request({ ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc' })
  slow.on('error', () => {})
  slow.write(framed(Buffer.from('abc')).subarray(0, 6))
  assert.equal(String(await call(framed(Buffer.from('x'))).next()), '/a.B/C')
  clock.advance(10_000)
  await once(slow, 'close')
  assert.equal(String(await call(framed(Buffer.from('x'))).next()), '/a.B/C')
})

test('a call is aborted when its client cancels it, and all are when the connection is cut or ended', async () => {
  const gone: string[] = []
  const handler: GrpcHandler = async function* ({ message, signal }) {
    yield message
    await aborted(signal)
    gone.push(String(message))
  }
  const { call, socket } = await serving(handler)
  const calls = ['a', 'b', 'c'].map((text) => call(framed(Buffer.from(text))))
  for (const each of calls) await each.next()
  calls[1]?.stream.close(8)
  while (gone.length < 1) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(gone, ['b'])
  socket.destroy()
  while (gone.length < 3) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(gone.sort(), ['a', 'b', 'c'])
  const other = await serving(handler)
  await other.call(framed(Buffer.from('d'))).next()
  other.socket.end()
  while (gone.length < 4) await new Promise((resolve) => setImmediate(resolve))
})

test('a client that does not read is not written to without end, and holds up nobody else', async () => {
  let made = 0
  const { call } = await serving(async function* ({ message }) {
    for (; message.length > 0 && made < 10_000; made++) yield Buffer.alloc(10_000)
    yield Buffer.from('done')
  })
  const stuck = call(framed(Buffer.from('x')))
  stuck.stream.pause()
  await once(stuck.stream, 'response')
  assert.equal(String(await call(framed(Buffer.alloc(0))).next()), 'done')
  assert.ok(made < 100, `${made} messages`)
  stuck.stream.close(8)
})

test('more calls at a time than the limit wait in the client', async () => {
  const { session } = await serving(echo, { limits: { calls: 64 } })
  await once(session, 'remoteSettings')
  assert.equal(session.remoteSettings.maxConcurrentStreams, 64)
})

test('a connection that answers pings stays, one that does not is closed', async () => {
  const clock = new ManualClock()
  const { session, call, port } = await serving(echo, { clock })
  const dumb = connect(port, '127.0.0.1')
  dumb.on('error', () => {})
  const closed = once(dumb, 'close')
  dumb.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  dumb.write(Buffer.from('000000040000000000', 'hex'))
  await once(dumb, 'data')
  await call(framed(Buffer.from('x'))).next()
  for (let i = 0; i < 3; i++) {
    const pinged = once(session, 'ping')
    clock.advance(30_000)
    await pinged
    await call(framed(Buffer.from('x'))).next()
  }
  dumb.resume()
  await closed
  assert.equal(String(await call(framed(Buffer.from('x'))).next()), '/a.B/C')
})

test('garbage instead of HTTP/2 closes the connection', async () => {
  const { port } = await serving(echo)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'close')
})
