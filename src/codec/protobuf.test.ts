/**
 * Protobuf against recorded gRPC messages, against the encoding's own rules, and against damaged bytes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import {
  CheckServiceNode,
  CheckServiceNodeMessage,
  EventBatch,
  encodeInstance,
  HealthCheck,
  NodeService,
  Node as NodeShape,
  SubscribeEvent,
  SubscribeRequest,
  subscribeEvent,
} from './index.ts'
import { ProtobufReader, ProtobufWriter } from './protobuf.ts'
import { anyMap } from './protobuf-any.ts'
import { count, message, optional, text } from './protobuf-message.ts'

const tableNode = NodeShape.of({})
const tableService = NodeService.of({})
const tableCheck = HealthCheck.of({})

interface Frame {
  readonly dir: 'c2s' | 's2c'
  readonly type: string
  readonly payload_hex: string
}

const file = new URL('../../test/vectors/grpc-subscribe.json', import.meta.url)
const recorded: { vectors: { frames: Frame[] }[] } = JSON.parse(readFileSync(file, 'utf8'))

/** The recorded messages of one direction, without the five bytes before each. */
function recordedMessages(dir: Frame['dir']): Buffer[] {
  return recorded.vectors
    .flatMap(({ frames }) => frames)
    .filter((frame) => frame.dir === dir && frame.type === 'DATA')
    .map(({ payload_hex: hex }) => {
      const bytes = Buffer.from(hex, 'hex')
      assert.equal(bytes.readUInt32BE(1), bytes.length - 5)
      return bytes.subarray(5)
    })
}

test('SubscribeRequest reads and writes the recorded requests to the byte', () => {
  const requests = recordedMessages('c2s')
  assert.equal(requests.length, 4)
  for (const bytes of requests) assert.deepEqual(SubscribeRequest.encode(SubscribeRequest.decode(bytes)), bytes)
  const [first = Buffer.alloc(0)] = requests
  const { Topic, Datacenter, NamedSubject } = SubscribeRequest.decode(first)
  assert.deepEqual(
    { Topic, Datacenter, NamedSubject },
    { Topic: 2, Datacenter: 'dc1', NamedSubject: { Key: 'db', Namespace: '', Partition: '', PeerName: '' } },
  )
})

test('SubscribeEvent reads and writes the recorded events to the byte, and so does the instance in them', () => {
  const events = recordedMessages('s2c')
  assert.equal(events.length, 8)
  for (const bytes of events) {
    const event = SubscribeEvent.decode(bytes)
    assert.deepEqual(SubscribeEvent.encode(event), bytes)
    const instance = event.ServiceHealth?.CheckServiceNode
    if (!instance) assert.ok(event.EndOfSnapshot)
    else assert.deepEqual(CheckServiceNodeMessage.encode(CheckServiceNodeMessage.decode(instance)), instance)
  }
})

test('encodeInstance() gives the recorded bytes for the recorded instance out of our own tables', () => {
  for (const bytes of recordedMessages('s2c')) {
    const wanted = SubscribeEvent.decode(bytes).ServiceHealth?.CheckServiceNode
    if (!wanted) continue
    const { Node, Service, Checks } = CheckServiceNodeMessage.decode(wanted)
    assert.ok(Node && Service && Checks)
    // Through the shape that tables hold, which knows nothing of protobuf.
    const ours = CheckServiceNode.of({
      Node: { ...tableNode, ...Node, ...Node.RaftIndex },
      Service: {
        ...tableService,
        ...Service,
        Proxy: {
          ...tableService.Proxy,
          ...Service.Proxy,
          Expose: { Checks: true, Paths: null },
          TransparentProxy: { OutboundListenerPort: 15001, DialedDirectly: false },
          AccessLogs: tableService.Proxy.AccessLogs,
        },
        Connect: tableService.Connect,
        ...Service.RaftIndex,
      },
      Checks: Checks.map((check) => ({
        ...tableCheck,
        ...check,
        ...check.RaftIndex,
        Definition: tableCheck.Definition,
      })),
    })
    assert.deepEqual(encodeInstance(ours), wanted)
  }
})

test('EventBatch holds events with their indexes', () => {
  const one = subscribeEvent({ Index: 7, EndOfSnapshot: true })
  const batch = EventBatch.encode({ Events: [one, one] })
  assert.equal(batch.toString('hex'), '0a04080710010a0408071001')
  assert.deepEqual(EventBatch.decode(batch).Events, [one, one])
})

test('integers are written and read as the encoding says, negative ones in ten bytes', () => {
  const writer = new ProtobufWriter()
  writer.varint(1, 150)
  writer.varint(2, -1)
  writer.varint(3, Number.MAX_SAFE_INTEGER)
  const bytes = writer.finish()
  assert.equal(bytes.toString('hex'), '08960110ffffffffffffffffff0118ffffffffffffff0f')
  const reader = new ProtobufReader(bytes)
  assert.equal(reader.tag(), 0x08)
  assert.equal(reader.uint(), 150)
  reader.tag()
  assert.equal(reader.int32(), -1)
  reader.tag()
  assert.equal(reader.uint(), Number.MAX_SAFE_INTEGER)
  assert.equal(reader.tag(), 0)
})

test('nested messages are written in place, whatever the length of their length', () => {
  const inner = message({ text: text(1) })
  const outer = message({ before: count(1), inner: optional(2, inner), after: count(3) })
  for (const length of [0, 1, 100, 125, 126, 127, 128, 16_379, 16_380, 16_381, 16_384, 300_000]) {
    const written = outer.encode({ before: 7, inner: { text: 'x'.repeat(length) }, after: 9 })
    const nested = inner.encode({ text: 'x'.repeat(length) })
    const byHand = new ProtobufWriter()
    byHand.varint(1, 7)
    byHand.bytes(2, nested)
    byHand.varint(3, 9)
    assert.ok(written.equals(byHand.finish()), `length ${length}`)
    assert.deepEqual(outer.decode(written), { before: 7, inner: { text: 'x'.repeat(length) }, after: 9 })
  }
})

test('maps without a schema keep every kind of value, and a key that names the prototype', () => {
  const type = message({ Config: anyMap(5) })
  const Config = JSON.parse('{"a":null,"b":[1,"two",2.5,true,{}],"c":{"d":false},"__proto__":{"x":1},"e":""}')
  assert.deepEqual(type.decode(type.encode({ Config })), { Config })
  assert.equal(type.encode({ Config: {} }).length, 0)
})

test('unknown fields of every kind are passed over', () => {
  const known = SubscribeRequest.encode({ ...SubscribeRequest.decode(new Uint8Array()), Topic: 2 })
  const unknown = Buffer.from('a00601a1060102030405060708a2060261 62a50601020304'.replaceAll(' ', ''), 'hex')
  assert.equal(SubscribeRequest.decode(Buffer.concat([unknown, known, unknown])).Topic, 2)
})

test('what is not protobuf is refused with a reason', () => {
  const refused = (hex: string, code: string) =>
    assert.throws(() => SubscribeRequest.decode(Buffer.from(hex, 'hex')), { code }, hex)
  refused('08', 'PROTOBUF_TRUNCATED')
  refused('1a05616263', 'PROTOBUF_TRUNCATED')
  refused('1affffffff0f', 'PROTOBUF_TRUNCATED')
  refused('0a0101', 'PROTOBUF_INVALID')
  refused('1a01ff', 'PROTOBUF_INVALID')
  refused('0001', 'PROTOBUF_INVALID')
  refused('a306a406', 'PROTOBUF_INVALID')
  refused(`08${'ff'.repeat(10)}01`, 'PROTOBUF_INVALID')
  refused('20ffffffffffffffffff01', 'PROTOBUF_INVALID')
  const deep = message({ Config: anyMap(5) })
  let value: Record<string, unknown> = {}
  for (let i = 0; i < 200; i++) value = { a: value }
  const bytes = deep.encode({ Config: value as { a: null } })
  assert.throws(() => deep.decode(bytes), { code: 'PROTOBUF_INVALID' })
})

test('decode() of damaged messages throws its own errors only', () => {
  const random = seededRandom(20_261_130)
  const all = [...recordedMessages('c2s'), ...recordedMessages('s2c')]
  const types = [SubscribeRequest, SubscribeEvent, CheckServiceNodeMessage, EventBatch]
  for (let round = 0; round < 6_000; round++) {
    let bytes = Buffer.from(all[random.int(all.length)] ?? [])
    if (round % 4 === 0) bytes = Buffer.from(random.bytes(random.int(80)))
    // The instance itself, in which most of the fields are.
    else if (round % 4 === 1 && bytes.length > 100) bytes = bytes.subarray(8)
    for (let i = 0; i < 1 + random.int(3) && bytes.length > 0; i++) bytes[random.int(bytes.length)] = random.int(256)
    if (random.int(4) === 0) bytes = bytes.subarray(0, random.int(bytes.length + 1))
    for (const type of types) {
      try {
        type.decode(bytes)
      } catch (error) {
        assert.ok(error instanceof HanseError && error.code.startsWith('PROTOBUF_'), String(error))
      }
    }
  }
})
