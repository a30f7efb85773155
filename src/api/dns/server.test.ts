/**
 * DNS over real sockets: shares, changes, other datacenters, broken input, TCP, recursors.
 */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { ManualClock, Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import { type TwoDatacenters, twoDatacenters } from '../fixture.ts'
import { Responder } from './responder.ts'
import { DnsServer } from './server.ts'
import { DEFAULT_DNS_SETTINGS } from './settings.ts'

const oracle: {
  encode(packet: object): Buffer
  decode(message: Buffer): { id: number; rcode: string; flag_ra: boolean; answers: { data: unknown }[] }
} = createRequire(import.meta.url)('dns-packet')

let federation: TwoDatacenters
let server: DnsServer
const metrics = new Metrics()
let port = 0

before(async () => {
  federation = await twoDatacenters()
  for (let n = 1; n <= 9; n++) await register('web', n)
  const base = { clock: systemClock, random: seededRandom(5), log: silentLogger, metrics }
  server = new DnsServer({ ...base, endpoints: federation.dc1.endpoints })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
})

after(async () => {
  await server.close()
  await federation.close()
})

async function register(name: string, n: number): Promise<void> {
  const Service = NodeService.of({ ID: name, Service: name, Port: 80, Weights: { Passing: 1, Warning: 1 } })
  const args = RegisterRequest.of({ Node: `n${n}`, Address: `10.0.0.${n}`, Service })
  await federation.dc1.endpoints.call(catalog.register, args)
}

function send(message: Buffer, to = port): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('message', (answer) => {
      socket.close()
      resolve(answer)
    })
    socket.send(message, to, '127.0.0.1')
  })
}

const query = (name: string, type: string, id = 1) => oracle.encode({ id, flags: 0x100, questions: [{ type, name }] })
const askName = async (name: string, type = 'A', id = 1) => oracle.decode(await send(query(name, type, id)))

test('DnsServer gives every instance its share over many questions', async () => {
  const seen = new Map<string, number>()
  for (let round = 0; round < 300; round++) {
    const { id, answers } = await askName('web.service.consul', 'A', round)
    assert.equal(id, round)
    assert.equal(answers.length, 3)
    for (const { data } of answers) seen.set(String(data), (seen.get(String(data)) ?? 0) + 1)
  }
  assert.equal(seen.size, 9)
})

test('DnsServer answers with what is registered now, also where it answered before', async () => {
  assert.equal((await askName('later.service.consul')).rcode, 'NXDOMAIN')
  await register('later', 1)
  assert.equal((await askName('later.service.consul')).rcode, 'NOERROR')
})

test('DnsServer says SERVFAIL for a datacenter that does not answer, NXDOMAIN for one that nobody knows', async () => {
  federation.fail('dc2', 'unreachable')
  assert.equal((await askName('web.service.dc2.consul')).rcode, 'SERVFAIL')
  assert.equal((await askName('web.service.dc9.consul')).rcode, 'NXDOMAIN')
})

test('a datacenter that never answers gets 4 s, then SERVFAIL', async () => {
  const clock = new ManualClock()
  const base = { clock, random: seededRandom(5), log: silentLogger, metrics: new Metrics() }
  const responder = new Responder({ ...base, endpoints: federation.dc1.endpoints }, DEFAULT_DNS_SETTINGS)
  federation.fail('dc2', 'hang')
  const answer = responder.respond(query('web.service.dc2.consul', 'A'), 'udp')
  assert.ok(answer instanceof Promise)
  await new Promise(setImmediate)
  clock.advance(4000)
  assert.equal(oracle.decode(await answer).rcode, 'SERVFAIL')
})

test('DnsServer answers a broken message with FORMERR and counts it, and drops what is no question', async () => {
  const counted = () => metrics.counters.get('hanse.dns.malformed')?.count ?? 0
  const before = counted()
  const broken = query('web.service.consul', 'A')
  broken.writeUInt16BE(2, 4)
  assert.equal(oracle.decode(await send(broken)).rcode, 'FORMERR')
  const answer = query('web.service.consul', 'A')
  answer[2] = 0x80
  const silent = createSocket('udp4')
  silent.send(answer, port, '127.0.0.1')
  silent.send(Buffer.from('short'), port, '127.0.0.1')
  await askName('web.service.consul')
  await askName('web.service.consul')
  silent.close()
  assert.equal(counted(), before + 3)
})

test('DnsServer answers several questions on one TCP connection and closes one that says too much', async () => {
  const framed = (message: Buffer) =>
    Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message])
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  socket.on('data', (chunk) => received.push(chunk))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(framed(query('web.service.consul', 'A', 1)))
  socket.write(framed(query('web.service.consul', 'SRV', 2)))
  socket.write(Buffer.from([0xff, 0xff, 0, 0]))
  await closed
  const all = Buffer.concat(received)
  const firstLength = all.readUInt16BE(0)
  assert.equal(oracle.decode(all.subarray(2, 2 + firstLength)).answers.length, 9)
  assert.equal(oracle.decode(all.subarray(4 + firstLength)).answers.length, 9)
})

test('DnsServer asks the next recursor when one is silent, and gives its answer under the ID of the question', async () => {
  const upstream: Socket = createSocket('udp4')
  upstream.on('message', (message, from) => {
    const { id } = oracle.decode(message)
    const answers = [{ type: 'A', name: 'www.example.com', ttl: 1, data: '192.0.2.7' }]
    const reply = oracle.encode({ type: 'response', id, questions: [], answers })
    upstream.send(reply, from.port, from.address)
  })
  await new Promise<void>((resolve) => upstream.bind(0, '127.0.0.1', resolve))
  const dead = createSocket('udp4')
  await new Promise<void>((resolve) => dead.bind(0, '127.0.0.1', resolve))
  const recursors = [`127.0.0.1:${dead.address().port}`, `127.0.0.1:${upstream.address().port}`]
  server.configure({ recursors, recursorTimeoutMs: 50 })
  const found = await askName('www.example.com', 'A', 77)
  assert.equal(found.id, 77)
  assert.equal(found.answers[0]?.data, '192.0.2.7')
  assert.equal((await askName('web.service.consul')).flag_ra, true)
  upstream.close()
  assert.equal((await askName('other.example.com')).rcode, 'SERVFAIL')
  dead.close()
  server.configure({})
})

test('recursor_strategy "random" asks each recursor first at some time, "sequential" always the first', async () => {
  const upstreams = await Promise.all(
    [1, 2].map(async (last) => {
      const socket: Socket = createSocket('udp4')
      socket.on('message', (message, from) => {
        const { id } = oracle.decode(message)
        const answers = [{ type: 'A', name: 'www.example.com', ttl: 1, data: `192.0.2.${last}` }]
        socket.send(oracle.encode({ type: 'response', id, questions: [], answers }), from.port, from.address)
      })
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
      return socket
    }),
  )
  const recursors = upstreams.map((socket) => `127.0.0.1:${socket.address().port}`)
  const answeredBy = async (recursorStrategy: 'sequential' | 'random') => {
    server.configure({ recursors, recursorStrategy, recursorTimeoutMs: 10_000 })
    const seen = new Set<string>()
    for (let asked = 0; asked < 40; asked++) {
      seen.add(String((await askName('www.example.com', 'A', asked)).answers[0]?.data))
    }
    return [...seen].sort()
  }
  assert.deepEqual(await answeredBy('sequential'), ['192.0.2.1'])
  assert.deepEqual(await answeredBy('random'), ['192.0.2.1', '192.0.2.2'])
  for (const socket of upstreams) socket.close()
  server.configure({})
})

test('DnsServer says what is wrong when its port is taken', async () => {
  await assert.rejects(server.listen({ host: '127.0.0.1', port }), {
    code: 'LISTEN_FAILED',
    message: `Cannot listen for DNS on "127.0.0.1:${port}": the port is in use`,
  })
})
