/**
 * WAN gossip bytes over real TLS: datagrams arrive whole and in order, streams both ways, and nothing queues without end.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, sleep, systemClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { receivePackets, ServerPort, type TlsIdentity } from '#net'
import { MAX_QUEUED_PACKETS } from './wan-carrier.ts'
import { createWanLink } from './wan-link.ts'

const ca = createCertificateAuthority()

function identityOf(datacenter: string): TlsIdentity {
  const dnsNames = [`server.${datacenter}.consul`, `*.server.${datacenter}.consul`]
  const { certPem, keyPem } = createCertificate({ ca, commonName: dnsNames[0] ?? '', dnsNames })
  return { caPem: ca.certPem, certPem, keyPem }
}

const packets: string[] = []
let connections = 0
let server: ServerPort
const serverIdentity = identityOf('dc1')

before(async () => {
  server = new ServerPort({
    host: '127.0.0.1',
    port: 0,
    identity: () => serverIdentity,
    verifyIncoming: () => true,
    handlers: {
      rpc: (stream) => stream.destroy(),
      packets: (stream) => {
        connections++
        receivePackets(stream, { onPacket: (packet) => packets.push(packet.toString()) })
      },
      gossipStream: (stream) => stream.on('data', (chunk) => stream.end(`echo ${chunk}`)),
    },
  })
  await server.listen()
})
after(() => server.close())

function carrierTo(port: number) {
  const metrics = new Metrics()
  const identity = identityOf('dc2')
  const link = createWanLink(
    {
      datacenter: 'dc2',
      primaryDatacenter: 'dc1',
      domain: 'consul',
      primaryGateways: [{ host: '127.0.0.1', port }],
    },
    { identity: () => identity, clock: systemClock, random: seededRandom(1), log: silentLogger, metrics },
  )
  const dropped = () => [...metrics.counters.values()].reduce((sum, counter) => sum + counter.sum, 0)
  return { carrier: link.carrier, dropped }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 2_000, 'the condition did not come true')
    await sleep(systemClock, 5)
  }
}

test('sendPacket() delivers datagrams whole and in order over one connection per node', async () => {
  const { carrier } = carrierTo(server.address.port)
  const sent = Array.from({ length: 200 }, (_, index) => `packet ${index} ${'x'.repeat(index * 7)}`)
  for (const text of sent) carrier.sendPacket('s1', 'dc1', Buffer.from(text))
  await until(() => packets.length >= sent.length)
  assert.deepEqual(packets, sent)
  assert.equal(connections, 1)
  carrier.close()
})

test('exchange() gives a stream to the server, which may answer', async () => {
  const { carrier } = carrierTo(server.address.port)
  const stream = await carrier.exchange('*', 'dc1')
  stream.write('join')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'echo join')
  carrier.close()
})

test('sendPacket() to a node that cannot be reached drops and counts, and keeps no more than its limit', async () => {
  const { carrier, dropped } = carrierTo(9)
  const sent = MAX_QUEUED_PACKETS * 3
  for (let index = 0; index < sent; index++) carrier.sendPacket('s1', 'dc1', Buffer.from('lost'))
  assert.ok(dropped() >= sent - MAX_QUEUED_PACKETS)
  await until(() => dropped() > sent - MAX_QUEUED_PACKETS)
  await assert.rejects(carrier.exchange('s1', 'dc1'), /Remote DC has no server currently reachable/)
  carrier.close()
})

test('drop() leaves the connections to a datacenter, and the next datagram goes over a new one', async () => {
  const { carrier } = carrierTo(server.address.port)
  packets.length = 0
  connections = 0
  carrier.sendPacket('s1', 'dc1', Buffer.from('before'))
  await until(() => packets.length === 1)
  carrier.drop('dc1')
  carrier.sendPacket('s1', 'dc1', Buffer.from('after'))
  await until(() => packets.length === 2)
  assert.deepEqual(packets, ['before', 'after'])
  assert.equal(connections, 2)
  carrier.close()
})
