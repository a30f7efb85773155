/**
 * Bytes from outside may be anything: they are dropped or refused with a typed error, quickly, and change nothing else.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, type Random, seededRandom } from '#base'
import { gossipKey, Keyring, parseKeyringFile } from './keyring.ts'
import { compressMessage, eachMessage, makeCompound, openPacket, type PacketLayers, sealPacket } from './packet.ts'
import { PoolCore } from './pool-core.ts'
import { decodeAckPayload, decodeTags, filtersMatch } from './serf-messages.ts'
import { StreamReader, sealStream } from './stream.ts'
import { gossipTiming } from './timing.ts'

const ROUNDS = 1500
const plain: PacketLayers = { label: '', keyring: undefined }
const encrypted: PacketLayers = { label: '', keyring: new Keyring([gossipKey(Buffer.alloc(16, 1))]) }

function recorded(name: string, pattern: RegExp): Buffer[] {
  const text = readFileSync(new URL(`../../test/vectors/${name}.json`, import.meta.url), 'utf8')
  return [...text.matchAll(pattern)].map((match) => Buffer.from(match[1] ?? '', 'hex'))
}

const packets = recorded('serf-udp-plain', /"hex": "([0-9a-f]{20,})"/g)
const plains = recorded('serf-udp-encrypted', /"plain_hex": "([0-9a-f]{8,})"/g)
const streams = recorded('serf-stream-plain', /"hex": "([0-9a-f]{100,})"/g)
const streamPlains = recorded('serf-stream-plain', /"plain_hex": "(06[0-9a-f]{100,})"/g)

function mutate(sample: Buffer, random: Random): Buffer {
  const kind = random.int(6)
  if (kind === 0) return random.bytes(random.int(120))
  if (kind === 1) return Buffer.from(sample.subarray(0, random.int(sample.length)))
  const bytes = Buffer.from(sample)
  for (let flips = 1 + random.int(4); flips > 0; flips--) bytes[random.int(bytes.length)] = random.int(256)
  return bytes
}

function typedOnly(task: () => void): void {
  try {
    task()
  } catch (thrown) {
    assert.ok(thrown instanceof HanseError, String(thrown instanceof Error ? thrown.stack : thrown))
  }
}

const pick = <T>(items: readonly T[], random: Random): T => {
  const item = items[random.int(items.length)]
  assert.ok(item !== undefined)
  return item
}

test('recorded samples are there', () => {
  for (const samples of [packets, plains, streams, streamPlains]) assert.ok(samples.length >= 4)
})

test('openPacket() and eachMessage() throw nothing but typed errors', () => {
  const random = seededRandom(1)
  for (let round = 0; round < ROUNDS; round++) {
    typedOnly(() => eachMessage(openPacket(mutate(pick(packets, random), random), plain), () => {}))
    typedOnly(() =>
      openPacket(mutate(sealPacket(pick(plains, random), encrypted, random, { crc: true }), random), encrypted),
    )
  }
})

test('eachMessage() refuses packets that unfold without end', () => {
  let nested: Buffer = Buffer.from([8, 1])
  for (let depth = 0; depth < 10; depth++) nested = compressMessage(nested)
  assert.throws(() => eachMessage(nested, () => {}), { code: 'GOSSIP_PACKET' })
  const bomb = compressMessage(Buffer.alloc(300 * 1024, 8))
  assert.throws(() => eachMessage(bomb, () => {}), { code: 'GOSSIP_PACKET' })
  const many = makeCompound(Array(255).fill(makeCompound(Array(255).fill(Buffer.from([8])))))
  let seen = 0
  assert.throws(() => eachMessage(many, () => seen++), { code: 'GOSSIP_PACKET' })
  assert.ok(seen <= 1024)
})

test('StreamReader throws nothing but typed errors and keeps no more than it was given', () => {
  const random = seededRandom(2)
  for (let round = 0; round < ROUNDS; round++) {
    const layers = round % 3 === 0 ? encrypted : plain
    const sample = round % 2 === 0 ? pick(streamPlains, random) : pick(streams, random)
    const bytes = mutate(round % 6 === 0 ? sealStream(sample, encrypted, random, 'initiator') : sample, random)
    const reader = new StreamReader(layers, 'initiator')
    const middle = random.int(bytes.length + 1)
    typedOnly(() => {
      reader.push(bytes.subarray(0, middle))
      reader.push(bytes.subarray(middle))
    })
    assert.ok(reader.bufferedBytes <= bytes.length)
  }
})

test('StreamReader refuses what announces more than the limits', () => {
  const frame = Buffer.from([10, 0x7f, 0xff, 0xff, 0xff])
  assert.throws(() => new StreamReader(encrypted, 'initiator').push(frame), { code: 'GOSSIP_STREAM' })
  const label = { label: 'blue', keyring: undefined }
  assert.throws(() => new StreamReader(label, 'initiator').push(Buffer.from([6])), { code: 'GOSSIP_PACKET' })
  const reader = new StreamReader(plain, 'initiator')
  const header = Buffer.from('0683a44a6f696ec3a54e6f646573cd2710ac5573657253746174654c656e00', 'hex')
  assert.equal(reader.push(header), undefined)
  const megabyte = Buffer.alloc(1 << 20, 0x80)
  assert.throws(
    () => {
      for (let i = 0; i < 30; i++) reader.push(megabyte)
    },
    (thrown) => thrown instanceof HanseError,
  )
})

test('a core that is fed with anything goes on: it never throws, and its own member stays alive', () => {
  const random = seededRandom(3)
  const core = new PoolCore(
    {
      name: 'alpha',
      address: '127.0.0.1',
      port: 17946,
      timing: gossipTiming('local'),
      layers: plain,
      identity: { pool: 'lan', localName: 'alpha', datacenter: 'dc1', nodeId: 'a' },
      tags: { dc: 'dc1' },
      streamPingAllowed: () => true,
    },
    { random, nowMs: 0 },
  )
  for (let round = 0; round < ROUNDS; round++) {
    const now = round * 3
    const bytes = mutate(pick(random.int(2) === 0 ? packets : plains, random), random)
    core.step({ kind: 'datagram', bytes, address: '127.0.0.1', port: 1 }, now)
    typedOnly(() => {
      const message = new StreamReader(plain, 'initiator').push(mutate(pick(streamPlains, random), random))
      if (message) core.step({ kind: 'request', stream: round, message, address: '127.0.0.1:1' }, now)
    })
  }
  assert.equal(core.members().find((member) => member.name === 'alpha')?.status, 'alive')
})

test('tags, filters, coordinates and keyring files take any bytes', () => {
  const random = seededRandom(4)
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = random.bytes(random.int(60))
    decodeTags(bytes)
    filtersMatch([bytes], { name: 'a', tags: {} })
    typedOnly(() => decodeAckPayload(Buffer.concat([Buffer.from([1]), bytes])))
    typedOnly(() => parseKeyringFile(bytes.toString('latin1'), '/f'))
  }
})
