/**
 * Real TLS clients and servers through one gateway and through two in a row, and everything it refuses.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { LogSink, ManualClock, Metrics } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { dialTls, RpcConnectionPool, ServerPort, serveRpcStream, type TlsIdentity } from '#net'
import { SniGateway, type SniGatewayOptions } from './gateway.ts'
import { type Endpoint, type RouteTable, routesFor } from './routes.ts'

const ca = createCertificateAuthority({})
const identityOf = (datacenter: string): TlsIdentity => {
  const dnsNames = [`server.${datacenter}.consul`, `*.server.${datacenter}.consul`]
  return { caPem: ca.certPem, ...createCertificate({ ca, commonName: `server.${datacenter}.consul`, dnsNames }) }
}
const identities = { dc1: identityOf('dc1'), dc2: identityOf('dc2') }

const open: (SniGateway | ServerPort | RpcConnectionPool | Server | Duplex)[] = []
after(async () => {
  for (const each of open) await ('destroy' in each ? each.destroy() : each.close())
})

async function gateway(more: Partial<SniGatewayOptions> = {}) {
  const metrics = new Metrics()
  const lines: string[] = []
  const log = new LogSink({ level: 'trace', write: (line) => lines.push(line) }).logger('gateway')
  const made = new SniGateway({ host: '127.0.0.1', port: 0, metrics, log, ...more })
  await made.listen()
  open.push(made)
  const refused = (reason: string) => metrics.counters.get(`hanse.gateway.refused;reason=${reason}`)?.sum ?? 0
  return { made, refused, lines }
}

const exact = (routes: Record<string, readonly Endpoint[]>): RouteTable => ({
  exact: new Map(Object.entries(routes)),
  wildcards: [],
})

async function serverPort(): Promise<ServerPort> {
  const made = new ServerPort({
    host: '127.0.0.1',
    port: 0,
    identity: () => identities.dc1,
    verifyIncoming: () => true,
    handlers: {
      rpc: (stream, { remote }) => serveRpcStream(stream, async (call) => call.body, { remote }),
      snapshot: async (stream) => {
        let bytes = 0
        for await (const chunk of stream) bytes += chunk.length
        stream.end(`${bytes} bytes taken`)
      },
    },
  })
  await made.listen()
  open.push(made)
  return made
}

const toServer = (at: Endpoint, more: object = {}) =>
  dialTls({
    ...at,
    identity: identities.dc2,
    servername: 's1.server.dc1.consul',
    verifyName: 's1.server.dc1.consul',
    ...more,
  })

/** dc2's client → dc2's gateway → dc1's gateway → dc1's server. */
async function federation() {
  const server = await serverPort()
  const [near, far] = [await gateway(), await gateway()]
  const { host, port } = server.address
  const common = { domain: 'consul', localServices: [] }
  far.made.setRoutes(
    routesFor({
      ...common,
      datacenter: 'dc1',
      localServers: [{ node: 's1', address: host, port }],
      remoteGateways: new Map(),
    }),
  )
  const remoteGateways = new Map([['dc1', [far.made.address]]])
  near.made.setRoutes(routesFor({ ...common, datacenter: 'dc2', localServers: [], remoteGateways }))
  return { server, near, far }
}

async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  if (!socket.closed) await once(socket, 'close').catch(() => {})
}

test('SniGateway: calls cross two gateways with mutual TLS from end to end', async () => {
  const { near, far } = await federation()
  const pool = new RpcConnectionPool({ dial: (_target, alpn) => toServer(near.made.address, { alpn }) })
  open.push(pool)
  const body = Buffer.concat([Buffer.from('db000f4240', 'hex'), Buffer.alloc(1_000_000, 'b')])
  const call = { target: { datacenter: 'dc1', node: 's1' }, method: 'Test.Echo', body }
  const replies = await Promise.all(Array.from({ length: 8 }, () => pool.call(call)))
  assert.ok(replies.every((reply) => reply.equals(body)))
  assert.equal(near.made.counters.get('*.server.dc1.consul')?.active, 1)
  assert.equal(far.made.counters.get('s1.server.dc1.consul')?.connections, 1)
  pool.close()
  while (near.made.connectionCount + far.made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.ok((far.made.counters.get('s1.server.dc1.consul')?.bytesToUpstream ?? 0) > 8_000_000)
})

test('SniGateway passes a half-close through two gateways and brings the answer back', async () => {
  const { near } = await federation()
  const socket = await toServer(near.made.address, { alpn: 'consul/rpc-snapshot', allowHalfOpen: true })
  socket.end(Buffer.alloc(300_000))
  const answer: Buffer[] = []
  for await (const chunk of socket) answer.push(chunk)
  assert.equal(Buffer.concat(answer).toString(), '300000 bytes taken')
})

test('SniGateway closes both sides when a server dies, and uses another server for the next connection', async () => {
  const servers = [await serverPort(), await serverPort()]
  const { made } = await gateway()
  made.setRoutes(exact({ 's1.server.dc1.consul': servers.map((server) => server.address) }))
  const dial = () => toServer(made.address, { alpn: 'consul/rpc-multi' })
  const first = await dial()
  const used = servers.find((server) => server.connectionCount > 0)
  await used?.close()
  await closed(first)
  while (made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
  for (let n = 0; n < 6; n++) (await dial()).destroy()
  const counters = made.counters.get('s1.server.dc1.consul')
  assert.equal(counters?.connections, 7)
  assert.equal(counters?.failures, 0)
})

test('SniGateway refuses and counts unknown names, missing names, no TLS, and endpoints that are gone', async () => {
  const { made, refused, lines } = await gateway()
  const gone = createServer()
  gone.listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  made.setRoutes(exact({ 'gone.consul': [{ host: '127.0.0.1', port }], 'empty.consul': [] }))
  for (let n = 0; n < 3; n++) {
    await assert.rejects(toServer(made.address, { servername: 'nobody.consul' }), { code: 'DIAL_CLOSED' })
  }
  assert.equal(refused('no route'), 3)
  assert.equal(lines.filter((line) => line.includes('nobody.consul')).length, 1)
  await assert.rejects(toServer(made.address, { servername: 'gone.consul' }), { code: 'DIAL_CLOSED' })
  await assert.rejects(toServer(made.address, { servername: 'empty.consul' }), { code: 'DIAL_CLOSED' })
  assert.equal(refused('no endpoint answers'), 2)
  assert.ok(lines.some((line) => line.includes(`tried 127.0.0.1:${port}`) && line.includes('connection refused')))
  await assert.rejects(toServer(made.address, { servername: '' }), { code: 'DIAL_CLOSED' })
  assert.equal(refused('no server name'), 1)
  const garbage = connect(made.address)
  garbage.write('GET / HTTP/1.1\r\n\r\n')
  await closed(garbage)
  assert.equal(refused('no client hello'), 1)
})

test('SniGateway never connects to itself', async () => {
  const { made, lines } = await gateway({ ownAddresses: [{ host: '192.0.2.9', port: 443 }] })
  made.setRoutes(exact({ 'loop.consul': [made.address, { host: '192.0.2.9', port: 443 }] }))
  await assert.rejects(toServer(made.address, { servername: 'loop.consul' }), { code: 'DIAL_CLOSED' })
  assert.ok(lines.some((line) => line.includes('this gateway itself')))
  assert.equal(made.counters.get('loop.consul')?.connections, 0)
})

test('SniGateway.setRoutes() changes where new connections go and leaves open ones alone', async () => {
  const { server, near, far } = await federation()
  const kept = await toServer(near.made.address, { alpn: 'consul/rpc-multi' })
  near.made.setRoutes(exact({}))
  await assert.rejects(toServer(near.made.address, { alpn: 'consul/rpc-multi' }), { code: 'DIAL_CLOSED' })
  assert.ok(!kept.destroyed && server.connectionCount === 1 && far.made.connectionCount === 1)
  near.made.setRoutes(exact({ 's1.server.dc1.consul': [server.address] }))
  const direct = await toServer(near.made.address, { alpn: 'consul/rpc-multi' })
  assert.equal(far.made.connectionCount, 1)
  kept.destroy()
  direct.destroy()
})

test('SniGateway bounds connections and the time to a complete hello', async () => {
  const clock = new ManualClock()
  const { made, refused } = await gateway({ clock, limits: { connections: 2 } })
  const waiting = [connect(made.address), connect(made.address)]
  waiting[0]?.write(Buffer.from('160301', 'hex'))
  while (made.connectionCount < 2) await new Promise((resolve) => setImmediate(resolve))
  await closed(connect(made.address))
  assert.equal(refused('too many connections'), 1)
  clock.advance(5000)
  for (const socket of waiting) await closed(socket)
  assert.equal(refused('no client hello'), 2)
  while (made.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('SniGateway holds back a sender whose receiver does not read', async () => {
  const { certPem, keyPem } = identities.dc1
  const server = createTlsServer({ cert: certPem, key: keyPem })
  open.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { made } = await gateway()
  made.setRoutes(
    exact({ 's1.server.dc1.consul': [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }] }),
  )
  const accepted = once(server, 'secureConnection')
  const client = await toServer(made.address)
  const [sender]: TLSSocket[] = await accepted
  assert.ok(sender)
  client.pause()
  const totalBytes = 64 * 1024 * 1024
  sender.end(Buffer.alloc(totalBytes))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(sender.bytesWritten >= 0 && !sender.writableFinished)
  let bytes = 0
  for await (const chunk of client) bytes += chunk.length
  assert.equal(bytes, totalBytes)
})
