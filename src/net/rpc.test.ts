/**
 * Calls over real sockets: the recorded answers to the byte, the pool, cancelling, and what a lost connection leaves.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { codeOf, ManualClock } from '#base'
import { RpcRemoteError, UnknownMethodError } from './errors.ts'
import { encodeRequestHeader, RpcMessageReader } from './rpc-framing.ts'
import { RPC_MULTI_ALPN, RpcConnectionPool, type RpcPoolOptions } from './rpc-pool.ts'
import { type RpcHandler, serveRpcStream } from './rpc-server.ts'
import { YamuxSession } from './yamux-session.ts'

const open: (Server | Socket | RpcConnectionPool)[] = []
after(() => {
  for (const each of open) 'destroy' in each ? each.destroy() : each.close()
})

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    open.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  open.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const remote = { address: '127.0.0.1', port: 1 }
const sessions: YamuxSession[] = []

/** A pool whose only server answers with `handler`; says how often it dialled. */
async function poolTo(handler: RpcHandler, more: Partial<RpcPoolOptions> = {}) {
  const port = await listen((socket) => {
    const onStream = (stream: Parameters<typeof serveRpcStream>[0]) => serveRpcStream(stream, handler, { remote })
    sessions.push(new YamuxSession(socket, { role: 'server', onStream }))
  })
  const dialled: string[] = []
  const dial = async (target: { node: string }, alpn: string) => {
    assert.equal(alpn, RPC_MULTI_ALPN)
    dialled.push(target.node)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  const pool = new RpcConnectionPool({ dial, ...more })
  open.push(pool)
  return { pool, dialled }
}

const target = { datacenter: 'dc1', node: 's1' }
const body = Buffer.from([0x80])
const echo: RpcHandler = async (call) => call.body

interface Call {
  readonly method: string
  readonly request_hex: string
  readonly response_hex: string
  readonly response: readonly [{ readonly Error: string }?, ...unknown[]]
}
const vectors: { vectors: readonly { name: string; first_byte?: string; calls?: readonly Call[] }[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/rpc-direct-plaintext.json', import.meta.url), 'utf8'),
)

/** Answers as the recorded server did: its reply bytes, or an error of the kind it had. */
function recorded(call: Call): Buffer {
  const text = call.response[0]?.Error ?? ''
  if (text.startsWith("rpc: can't find service")) throw new UnknownMethodError(call.method, 'service')
  if (text.startsWith("rpc: can't find method")) throw new UnknownMethodError(call.method, 'method')
  if (text.startsWith('codec.decoder')) throw Object.assign(new Error(text), { code: 'MSGPACK_TYPE' })
  if (text !== '') throw new Error(text)
  const reader = new RpcMessageReader()
  reader.push(Buffer.from(call.response_hex, 'hex'))
  return reader.next()?.body ?? Buffer.alloc(0)
}

test('serveRpcStream() answers the recorded calls to the byte and closes where the recorded server did', async () => {
  for (const vector of vectors.vectors) {
    const calls = vector.calls ?? []
    const left = [...calls]
    const port = await listen((socket) =>
      serveRpcStream(socket, async (call) => recorded(left.find((each) => each.method === call.method) ?? left[0]!), {
        remote,
      }),
    )
    const socket = connect(port, '127.0.0.1').setMaxListeners(0)
    for (const call of calls) {
      left.splice(0, left.length, call)
      const expected = Buffer.from(call.response_hex, 'hex')
      socket.write(Buffer.from(call.request_hex, 'hex'))
      const got: Buffer[] = []
      for (let bytes = 0; bytes < Math.max(expected.length, 1); ) {
        const [chunk] = await Promise.race([once(socket, 'data'), once(socket, 'end')])
        if (chunk === undefined) break
        got.push(chunk)
        bytes += chunk.length
      }
      assert.equal(Buffer.concat(got).toString('hex'), call.response_hex, `${vector.name}: ${call.method}`)
    }
    socket.destroy()
  }
})

test('serveRpcStream() aborts the running call when the client goes away', async () => {
  const arrived = Promise.withResolvers<void>()
  const aborted = Promise.withResolvers<unknown>()
  const handler: RpcHandler = ({ signal }) =>
    new Promise((_, reject) => {
      arrived.resolve()
      signal.addEventListener('abort', () => {
        aborted.resolve(signal.reason)
        reject(signal.reason)
      })
    })
  const { pool } = await poolTo(handler)
  const controller = new AbortController()
  const call = pool.call({ target, method: 'Test.Wait', body, signal: controller.signal })
  const refused = assert.rejects(call, { code: 'RPC_ABORTED' })
  await arrived.promise
  controller.abort()
  await refused
  assert.equal(codeOf(await aborted.promise), 'RPC_CLIENT_GONE')
})

test('serveRpcStream() answers an oversized body with an error and closes', async () => {
  const port = await listen((socket) => serveRpcStream(socket, echo, { remote, maxBodyBytes: 100 }))
  const socket = connect(port, '127.0.0.1')
  socket.write(
    Buffer.concat([encodeRequestHeader({ seq: 7, method: 'A.B' }), Buffer.from('da0400', 'hex'), Buffer.alloc(500)]),
  )
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  assert.match(Buffer.concat(chunks).toString('latin1'), /rpc: message is above the limit of 100 bytes/)
})

test('RpcConnectionPool uses one connection for many calls at once, and its idle streams again', async () => {
  let most = 0
  let now = 0
  const { pool, dialled } = await poolTo(async (call) => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now--
    return call.body
  })
  for (let round = 0; round < 3; round++) {
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => pool.call({ target, method: 'A.B', body: Buffer.from([n]) })),
    )
    assert.deepEqual(
      replies.map((reply) => reply[0]),
      Array.from({ length: 100 }, (_, n) => n),
    )
  }
  assert.deepEqual(dialled, ['s1'])
  assert.ok(most > 1)
})

test('RpcConnectionPool carries big bodies both ways', async () => {
  const { pool } = await poolTo(echo)
  const bytes = Buffer.alloc(3_000_005, 'z')
  bytes[0] = 0xdb
  bytes.writeUInt32BE(3_000_000, 1)
  assert.ok((await pool.call({ target, method: 'A.B', body: bytes })).equals(bytes))
})

test('RpcConnectionPool throws the remote error text as it is, and the next call works', async () => {
  const { pool, dialled } = await poolTo(async (call) => {
    if (call.method === 'Bad.Call') throw new Error('Permission denied: token lacks "ünicode"')
    return call.body
  })
  for (const method of ['Bad.Call', 'Bad.Call']) {
    const error: unknown = await pool.call({ target, method, body }).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof RpcRemoteError)
    assert.equal(error.message, 'Permission denied: token lacks "ünicode"')
  }
  assert.ok((await pool.call({ target, method: 'Good.Call', body })).equals(body))
  assert.equal(dialled.length, 1)
})

test('RpcConnectionPool dials anew when the connection has died, and names the call that died with it', async () => {
  const arrived = Promise.withResolvers<void>()
  let hang = true
  const { pool, dialled } = await poolTo((call) => {
    arrived.resolve()
    return hang ? new Promise(() => {}) : Promise.resolve(call.body)
  })
  const call = pool.call({ target, method: 'A.B', body })
  const rejected = assert.rejects(call, { code: 'RPC_CLOSED', message: /"A\.B" on "s1\.dc1".*EOF$/ })
  await arrived.promise
  sessions.at(-1)?.destroy(new Error('killed'))
  await rejected
  hang = false
  assert.ok((await pool.call({ target, method: 'A.B', body })).equals(body))
  assert.equal(dialled.length, 2)
})

test('RpcConnectionPool times a call out and cancels it, and gives up a dial that nobody waits for', async () => {
  const clock = new ManualClock()
  const { pool } = await poolTo(() => new Promise(() => {}), { clock })
  const call = pool.call({ target, method: 'A.B', body, timeoutMs: 500 })
  clock.advance(500)
  await assert.rejects(call, { code: 'RPC_TIMEOUT', message: 'cannot call "A.B" on "s1.dc1": no reply in 500 ms' })
  const given = Promise.withResolvers<void>()
  const dialless = new RpcConnectionPool({
    dial: (_target, _alpn, signal) => new Promise(() => signal.addEventListener('abort', () => given.resolve())),
  })
  open.push(dialless)
  const controller = new AbortController()
  const waiting = dialless.call({ target, method: 'A.B', body, signal: controller.signal })
  controller.abort()
  await assert.rejects(waiting, { code: 'RPC_ABORTED' })
  await given.promise
  assert.equal(dialless.connectionCount, 0)
})

test('RpcConnectionPool closes idle connections, bounds their number and passes on why a dial failed', async () => {
  const clock = new ManualClock()
  const { pool, dialled } = await poolTo(echo, { clock, limits: { connections: 1 } })
  await pool.call({ target, method: 'A.B', body })
  await assert.rejects(pool.call({ target: { ...target, node: 's2' }, method: 'A.B', body }), { code: 'RPC_POOL_FULL' })
  clock.advance(200_000)
  assert.equal(pool.connectionCount, 0)
  await pool.call({ target: { ...target, node: 's2' }, method: 'A.B', body })
  assert.deepEqual(dialled, ['s1', 's2'])
  const failing = new RpcConnectionPool({ dial: () => Promise.reject(new Error('no gateway')) })
  open.push(failing)
  await assert.rejects(failing.call({ target, method: 'A.B', body }), /no gateway/)
  assert.equal(failing.connectionCount, 0)
  failing.close()
  await assert.rejects(failing.call({ target, method: 'A.B', body }), { code: 'RPC_POOL_CLOSED' })
})
