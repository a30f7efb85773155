/**
 * Packets in and out of a stream of bytes, in any pieces.
 */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { HanseError, ManualClock, seededRandom } from '#base'
import { encodePacketFrame, MAX_PACKET_BYTES, PACKET_IDLE_MS, PacketFrameDecoder, receivePackets } from './packets.ts'

const packets = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(70_000, 'x'), Buffer.from('four')]

test('PacketFrameDecoder returns the packets that were encoded, in any pieces', () => {
  const stream = Buffer.concat(packets.map(encodePacketFrame))
  for (const pieceBytes of [1, 3, 1000, stream.length]) {
    const decoder = new PacketFrameDecoder()
    const got: Buffer[] = []
    for (let at = 0; at < stream.length; at += pieceBytes)
      got.push(...decoder.push(stream.subarray(at, at + pieceBytes)))
    assert.deepEqual(
      got.map((each) => each.toString('latin1')),
      packets.map((each) => each.toString('latin1')),
    )
    assert.equal(decoder.midFrame, false)
  }
})

test('encodePacketFrame() and PacketFrameDecoder refuse packets above the limit before they are there', () => {
  assert.throws(() => encodePacketFrame(Buffer.alloc(MAX_PACKET_BYTES + 1)), { code: 'PACKET_TOO_LARGE' })
  assert.throws(() => new PacketFrameDecoder().push(Buffer.from('00400001', 'hex')), { code: 'PACKET_TOO_LARGE' })
})

test('PacketFrameDecoder answers random bytes with packets or PACKET_TOO_LARGE, and holds no more than they were', () => {
  const random = seededRandom(2)
  for (let round = 0; round < 3000; round++) {
    const bytes = random.bytes(1 + random.int(60))
    bytes[0] = random.int(4) === 0 ? random.int(256) : 0
    bytes[1] = 0
    try {
      const got = new PacketFrameDecoder().push(bytes)
      assert.ok(got.reduce((sum, each) => sum + each.length, 0) <= bytes.length)
    } catch (error) {
      assert.ok(error instanceof HanseError && error.code === 'PACKET_TOO_LARGE')
    }
  }
})

test('receivePackets() hands packets on and ends an idle stream and one with a bad length', async () => {
  const clock = new ManualClock()
  const got: string[] = []
  const streamOf = () => {
    const stream = new PassThrough()
    const { promise, resolve } = Promise.withResolvers<HanseError | undefined>()
    receivePackets(stream, { clock, onPacket: (packet) => got.push(packet.toString()), onClose: resolve })
    return { stream, closed: promise }
  }
  const idle = streamOf()
  idle.stream.write(encodePacketFrame(Buffer.from('hello')))
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(PACKET_IDLE_MS)
  assert.equal(await idle.closed, undefined)
  const bad = streamOf()
  bad.stream.write(Buffer.from('ffffffff', 'hex'))
  assert.equal((await bad.closed)?.code, 'PACKET_TOO_LARGE')
  assert.deepEqual(got, ['hello'])
})
