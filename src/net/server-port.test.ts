/**
 * The server port on loopback, with each first byte and protocol, and each reason to refuse.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { ManualClock, Metrics } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { dialTcp, dialTls } from './dial.ts'
import { encodePacketFrame, receivePackets } from './packets.ts'
import { RpcConnectionPool } from './rpc-pool.ts'
import { serveRpcStream } from './rpc-server.ts'
import { FIRST_BYTE, ServerPort } from './server-port.ts'
import type { ConnectionInfo, ServerPortOptions } from './server-port-options.ts'
import type { TlsIdentity } from './tls-identity.ts'

const ca = createCertificateAuthority({})
const dnsNames = ['server.dc1.consul', '*.server.dc1.consul']
const identityOf = (from = ca): TlsIdentity => ({
  caPem: ca.certPem,
  ...createCertificate({ ca: from, commonName: 'server.dc1.consul', dnsNames }),
})
const identity = identityOf()
const open: (ServerPort | RpcConnectionPool | Duplex)[] = []
after(async () => {
  for (const each of open) await ('destroy' in each ? each.destroy() : each.close())
})

async function port(more: Partial<ServerPortOptions> = {}) {
  const metrics = new Metrics()
  const packets: string[] = []
  const infos: ConnectionInfo[] = []
  const made = new ServerPort({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity,
    verifyIncoming: () => false,
    metrics,
    handlers: {
      rpc: (stream, info) => {
        infos.push(info)
        serveRpcStream(stream, async (call) => call.body, { remote: info.remote })
      },
      packets: (stream) => receivePackets(stream, { onPacket: (packet) => packets.push(packet.toString()) }),
      gossipStream: (stream) => stream.pipe(stream),
      snapshot: async (stream) => {
        const question: Buffer[] = []
        for await (const chunk of stream) question.push(chunk)
        stream.end(`snapshot for ${Buffer.concat(question).toString()}`)
      },
    },
    ...more,
  })
  await made.listen()
  open.push(made)
  const refused = (reason: string) => metrics.counters.get(`hanse.server_port.refused;reason=${reason}`)?.sum ?? 0
  return { made, metrics, packets, infos, refused, at: { host: '127.0.0.1', port: made.address.port } }
}

const tls = (at: { host: string; port: number }, alpn?: string, tlsByte = false, own = identity) =>
  dialTls({
    ...at,
    identity: own,
    servername: 's1.server.dc1.consul',
    verifyName: 's1.server.dc1.consul',
    alpn,
    tlsByte,
  })

async function read(socket: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const ping = Buffer.from('82a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780', 'hex')
const pong = '83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780'

async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  if (!socket.closed) await once(socket, 'close').catch(() => {})
}

test('ServerPort answers a call on byte 0, on rpc-single, behind byte 3, and plain or by TLS on byte 4', async () => {
  const { at, infos, made } = await port()
  for (const [dial, prelude] of [
    [() => dialTcp(at), '00'],
    [() => tls(at, 'consul/rpc-single'), ''],
    [() => tls(at, undefined, true), '00'],
  ] as const) {
    const socket = await dial()
    socket.write(Buffer.concat([Buffer.from(prelude, 'hex'), ping]))
    const [answer] = await once(socket, 'data')
    assert.equal(answer.toString('hex'), pong)
    socket.end()
    await closed(socket)
  }
  for (const [dial, prelude] of [
    [() => dialTcp(at), '04'],
    [() => tls(at, undefined, true), '04'],
    [() => tls(at, 'consul/rpc-multi'), ''],
  ] as const) {
    const pool = new RpcConnectionPool({
      dial: async () => {
        const socket = await dial()
        if (prelude !== '') socket.write(Buffer.from(prelude, 'hex'))
        return socket
      },
    })
    open.push(pool)
    const call = { target: { datacenter: 'dc1', node: 's1' }, method: 'Status.Ping', body: Buffer.from([0x80]) }
    const replies = await Promise.all(Array.from({ length: 20 }, () => pool.call(call)))
    assert.ok(replies.every((reply) => reply.toString('hex') === '80'))
    pool.close()
  }
  assert.deepEqual(
    new Set(infos.map((info) => info.alpn)),
    new Set([undefined, 'consul/rpc-single', 'consul/rpc-multi']),
  )
  assert.match(infos.at(-1)?.peerNames ?? '', /DNS:server\.dc1\.consul/)
  while (made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('ServerPort hands gossip packets, gossip streams and snapshots to their handlers, half-close included', async () => {
  const { at, packets } = await port()
  const sender = await tls(at, 'consul/wan-gossip/packet')
  sender.write(encodePacketFrame(Buffer.from('datagram')))
  const stream = await tls(at, 'consul/wan-gossip/stream')
  stream.write('push/pull')
  assert.equal(String((await once(stream, 'data'))[0]), 'push/pull')
  while (packets.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(packets, ['datagram'])
  sender.destroy()
  stream.destroy()
  const names = { servername: 's1.server.dc1.consul', verifyName: 'server.dc1.consul' }
  const snapshot = await dialTls({ ...at, ...names, identity, alpn: 'consul/rpc-snapshot', allowHalfOpen: true })
  snapshot.end('everything')
  assert.equal(await read(snapshot), 'snapshot for everything')
  const plain = connect({ ...at, allowHalfOpen: true })
  plain.end(Buffer.from('\x05all'))
  assert.equal(await read(plain), 'snapshot for all')
})

test('ServerPort closes what it does not serve and counts why', async () => {
  const { at, refused } = await port()
  for (const byte of [1, 2, 6, 7, 9]) {
    const socket = connect(at)
    socket.write(Buffer.from([byte, 0, 0]))
    await closed(socket)
    assert.equal(refused(`first byte ${byte} is not served`), 1)
  }
  await closed(await tls(at, undefined))
  assert.equal(refused('TLS without ALPN'), 1)
  await assert.rejects(tls(at, 'http/1.1'), { code: 'DIAL_ALPN' })
  assert.equal(refused('TLS handshake failed'), 1)
  const nested = await tls(at, undefined, true)
  nested.write(Buffer.from([3]))
  await closed(nested)
  assert.equal(refused('first byte 3 is not served'), 1)
  const grpc = await tls(at, 'consul/rpc-grpc')
  await closed(grpc)
  assert.equal(refused('grpc is not served'), 1)
  const garbage = connect(at)
  garbage.write('GET / HTTP/1.1\r\n\r\n')
  await closed(garbage)
  assert.equal(refused('TLS handshake failed'), 2)
})

test('ServerPort lets go at once of who closes the connection within the TLS handshake, and says so', async () => {
  // A handshake that nobody ends would outlast the test.
  const { at, refused, made } = await port({ limits: { handshakeTimeoutMs: 3_600_000 } })
  for (const begun of ['160301', '03160301']) {
    const socket = connect(at)
    socket.end(Buffer.from(`${begun}0100`, 'hex'))
    await closed(socket)
  }
  while (made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(refused('TLS handshake failed'), 2)
})

test('ServerPort demands a client certificate of its own CA for native TLS', async () => {
  const { at, refused } = await port()
  const stranger = identityOf(createCertificateAuthority({ commonName: 'Stranger' }))
  const foreign = await tls(at, 'consul/rpc-multi', false, stranger).catch(() => undefined)
  if (foreign) await closed(foreign)
  while (refused('client certificate not accepted') < 1) await new Promise((resolve) => setImmediate(resolve))
  const nameless = connectTls({
    ...at,
    ca: ca.certPem,
    servername: 's1.server.dc1.consul',
    ALPNProtocols: ['consul/rpc-multi'],
  })
  await closed(nameless)
  while (refused('client certificate not accepted') + refused('TLS handshake failed') < 2) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

test('ServerPort with verifyIncoming closes plain connections and asks for a certificate behind byte 3 too', async () => {
  const { at, refused } = await port({ verifyIncoming: () => true })
  for (const byte of [0, 4, 5, 8]) {
    const socket = connect(at)
    socket.write(Buffer.from([byte]))
    await closed(socket)
  }
  assert.equal(refused('not TLS, and verify_incoming is on'), 4)
  const socket = await tls(at, undefined, true)
  socket.write(Buffer.concat([Buffer.from([0]), ping]))
  assert.equal((await once(socket, 'data'))[0].toString('hex'), pong)
  socket.destroy()
  const raw = connect(at)
  raw.write(Buffer.from([3]))
  const nameless = connectTls({ socket: raw, ca: ca.certPem, servername: 's1.server.dc1.consul' })
  await closed(nameless)
})

test('ServerPort asks for every connection whether it has to be verified', async () => {
  let verify = false
  const { at, refused } = await port({ verifyIncoming: () => verify })
  const call = async (socket: Socket, prelude: string) => {
    socket.write(Buffer.concat([Buffer.from(prelude, 'hex'), ping]))
    const [answer] = await once(socket, 'data')
    socket.destroy()
    return answer.toString('hex')
  }
  const nameless = () => {
    const raw = connect(at)
    raw.write(Buffer.from([FIRST_BYTE.tls]))
    return connectTls({ socket: raw, ca: ca.certPem, servername: 's1.server.dc1.consul' })
  }
  for (verify of [false, true, false]) {
    if (verify) {
      await closed(nameless())
      const plain = connect(at)
      plain.write(Buffer.from([0]))
      await closed(plain)
      assert.equal(refused('not TLS, and verify_incoming is on'), 1)
    } else {
      assert.equal(await call(nameless(), '00'), pong)
      assert.equal(await call(connect(at), '00'), pong)
    }
  }
})

test('ServerPort without an identity refuses TLS, and serves it as soon as there is one', async () => {
  let current: TlsIdentity | undefined
  const { at, refused } = await port({ identity: () => current })
  await assert.rejects(tls(at, 'consul/rpc-single'), { code: 'DIAL_CLOSED' })
  assert.equal(refused('TLS is not configured'), 1)
  current = identityOf()
  const first = await tls(at, 'consul/rpc-single')
  const before = first.getPeerCertificate().fingerprint256
  current = identityOf()
  const second = await tls(at, 'consul/rpc-single')
  assert.notEqual(second.getPeerCertificate().fingerprint256, before)
  first.destroy()
  second.destroy()
})

test('ServerPort without a CA serves no TLS that has to verify a client', async () => {
  const nameless = { ...identity, caPem: '' }
  const { at, refused } = await port({ identity: () => ({ ...nameless }) })
  await assert.rejects(tls(at, 'consul/rpc-single'), { code: 'DIAL_CLOSED' })
  assert.equal(refused('TLS needs a CA'), 1)
  const unverified = await tls(at, undefined, true)
  unverified.write(Buffer.concat([Buffer.from([0]), ping]))
  assert.equal((await once(unverified, 'data'))[0].toString('hex'), pong)
  unverified.destroy()
  const strict = await port({ identity: () => nameless, verifyIncoming: () => true })
  await assert.rejects(tls(strict.at, undefined, true), { code: 'DIAL_CLOSED' })
})

test('ServerPort bounds connections of one address and the time to the first byte', async () => {
  const clock = new ManualClock()
  const { at, made, refused } = await port({ clock, limits: { connectionsPerIp: 3 } })
  const sockets = Array.from({ length: 3 }, () => connect(at))
  while (made.connectionCount < 3) await new Promise((resolve) => setImmediate(resolve))
  await closed(connect(at))
  assert.equal(refused('too many connections of this address'), 1)
  clock.advance(5000)
  for (const socket of sockets) await closed(socket)
  assert.equal(refused('no first byte in time'), 3)
  while (made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
  const again = connect(at)
  again.write(Buffer.concat([Buffer.from([0]), ping]))
  assert.equal((await once(again, 'data'))[0].toString('hex'), pong)
  again.destroy()
})

test('ServerPort names the address and the setting when the port is taken', async () => {
  const { at } = await port()
  const second = new ServerPort({
    ...at,
    identity: () => undefined,
    verifyIncoming: () => false,
    handlers: { rpc: () => {} },
  })
  await assert.rejects(second.listen(), {
    code: 'LISTEN_IN_USE',
    message: `cannot listen on "127.0.0.1:${at.port}" (ports.server): the address is in use`,
  })
})

test('ServerPort.goAway() is told to those whose connection is still in the making, and it knows who has heard', async () => {
  const { at, made } = await port()
  const pool = (dial: () => Promise<Duplex>) => {
    const each = new RpcConnectionPool({ dial })
    open.push(each)
    return each
  }
  const call = { target: { datacenter: 'dc1', node: 's1' }, method: 'Status.Ping', body: Buffer.from([0x80]) }
  const early = pool(() => tls(at, 'consul/rpc-multi'))
  await early.call(call)
  const connecting = connect(at)
  await once(connecting, 'connect')
  while (made.connectionCount < 2) await new Promise((resolve) => setImmediate(resolve))
  made.goAway()
  assert.equal(made.unheardCount, 2, 'the one that is known, and the one that has not said what it wants')
  while (made.unheardCount > 1) await new Promise((resolve) => setImmediate(resolve))
  // What it sends before it hears of it is answered; then it dials anew, and nobody listens.
  const late = pool(async () => {
    if (!connecting.destroyed && connecting.bytesWritten === 0) connecting.write(Buffer.from([FIRST_BYTE.multiplex]))
    else return dialTcp(at)
    return connecting
  })
  assert.equal((await late.call(call)).toString('hex'), '80')
  while (made.unheardCount > 0) await new Promise((resolve) => setImmediate(resolve))
  for (const each of [early, late]) await assert.rejects(each.call(call), { code: 'DIAL_REFUSED' })
})

test('ServerPort refuses calls unseen while it takes none, and takes them on the same connection later', async () => {
  let accepting = false
  const { at, infos } = await port({ accepting: () => accepting })
  const pool = new RpcConnectionPool({ dial: () => tls(at, 'consul/rpc-multi') })
  open.push(pool)
  const call = { target: { datacenter: 'dc1', node: 's1' }, method: 'Status.Ping', body: Buffer.from([0x80]) }
  await assert.rejects(pool.call(call), { code: 'YAMUX_REFUSED' })
  await assert.rejects(pool.call({ ...call, body: Buffer.alloc(1_000_000) }), { code: 'YAMUX_REFUSED' })
  assert.equal(infos.length, 0)
  accepting = true
  assert.equal((await pool.call(call)).toString('hex'), '80')
  assert.equal(pool.connectionCount, 1)
})

test('ServerPort.close() ends open connections', async () => {
  const { at, made } = await port()
  const socket = await tls(at, 'consul/rpc-multi')
  const idle = connect(at)
  await once(idle, 'connect')
  await made.close()
  await Promise.all([closed(socket), closed(idle)])
  assert.equal(made.connectionCount, 0)
})
