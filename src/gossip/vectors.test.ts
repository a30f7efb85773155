/**
 * Recorded bytes of real agents and of the real library: read, and written again to the byte.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { codeOf, type Random, seededRandom } from '#base'
import { decode, type Kind } from '#codec'
import { gossipKey, Keyring, parseGossipKey } from './keyring.ts'
import { AckResp, Alive, Dead, encodeMessage, IndirectPing, MESSAGE, NackResp, Ping, Suspect } from './messages.ts'
import {
  compoundParts,
  decompressMessage,
  eachMessage,
  makeCompound,
  openPacket,
  type PacketLayers,
  sealPacket,
} from './packet.ts'
import { PoolCore } from './pool-core.ts'
import {
  encodeSerf,
  KeyRequest,
  KeyResponse,
  RelayHeader,
  SERF_MESSAGE,
  SerfJoin,
  SerfLeave,
  SerfPushPull,
  SerfQuery,
  SerfQueryResponse,
  SerfUserEvent,
  splitRelay,
} from './serf-messages.ts'
import { encodePushPull, encodeUserStream, type StreamMessage, StreamReader, sealStream } from './stream.ts'
import { gossipTiming } from './timing.ts'

interface VectorFile<V> {
  vectors: V[]
  keys_base64?: string[]
  key_base64?: string
}

function load<V>(name: string): VectorFile<V> {
  return JSON.parse(readFileSync(new URL(`../../test/vectors/${name}.json`, import.meta.url), 'utf8'))
}

const hex = (text: string) => Buffer.from(text, 'hex')

/** Hands out the nonce that was recorded, so that encryption gives the recorded bytes. */
function recordedNonce(envelope: Buffer): Random {
  return { ...seededRandom(1), bytes: (length) => Buffer.from(envelope.subarray(1, 1 + length)) }
}

/** The layers with which a packet can be opened: recordings of a rotation hold packets of several keys. */
function openWithOne(bytes: Buffer, keys: readonly string[]): { message: Buffer; layers: PacketLayers } {
  if (keys.length === 0) return { message: openPacket(bytes, plain), layers: plain }
  for (const key of keys) {
    const layers = { label: '', keyring: new Keyring([parseGossipKey(key)]) }
    try {
      return { message: openPacket(bytes, layers), layers }
    } catch (thrown) {
      if (codeOf(thrown) !== 'GOSSIP_UNDECRYPTABLE') throw thrown
    }
  }
  throw new Error('no recorded key fits')
}

const plain: PacketLayers = { label: '', keyring: undefined }

function again<T>(type: number, kind: Kind<T>, body: Buffer): Buffer {
  return encodeMessage(type, kind, decode(kind, body))
}

function serfAgain<T>(type: number, kind: Kind<T>, body: Buffer): Buffer {
  return encodeSerf(type, kind, decode(kind, body))
}

function reencodeSerf(bytes: Buffer): Buffer {
  const type = bytes[0] ?? 255
  const body = bytes.subarray(1)
  switch (type) {
    case SERF_MESSAGE.leave:
      return serfAgain(type, SerfLeave, body)
    case SERF_MESSAGE.join:
      return serfAgain(type, SerfJoin, body)
    case SERF_MESSAGE.userEvent:
      return serfAgain(type, SerfUserEvent, body)
    case SERF_MESSAGE.query:
      return serfAgain(type, SerfQuery, body)
    case SERF_MESSAGE.queryResponse:
      return serfAgain(type, SerfQueryResponse, body)
    case SERF_MESSAGE.relay: {
      const { header, inner } = splitRelay(body)
      return Buffer.concat([encodeSerf(type, RelayHeader, header), reencodeSerf(inner)])
    }
    default:
      throw new Error(`unexpected serf message ${type}`)
  }
}

/** The message decoded into values and written again, compounds and compression included. */
function reencode(message: Buffer): Buffer {
  const type = message[0] ?? 255
  const body = message.subarray(1)
  switch (type) {
    case MESSAGE.ping:
      return again(type, Ping, body)
    case MESSAGE.indirectPing:
      return again(type, IndirectPing, body)
    case MESSAGE.ackResp:
      return again(type, AckResp, body)
    case MESSAGE.nackResp:
      return again(type, NackResp, body)
    case MESSAGE.suspect:
      return again(type, Suspect, body)
    case MESSAGE.dead:
      return again(type, Dead, body)
    case MESSAGE.alive:
      return again(type, Alive, body)
    case MESSAGE.compound:
      return makeCompound(compoundParts(body).map(reencode))
    case MESSAGE.user:
      return Buffer.concat([Buffer.from([type]), reencodeSerf(body)])
    default:
      throw new Error(`unexpected message ${type}`)
  }
}

/** Reads a recorded datagram and writes it again; both ways through every layer. */
function checkPacket(bytes: Buffer, keys: readonly string[], crc: boolean): void {
  const { message, layers } = openWithOne(bytes, keys)
  const inner = message[0] === MESSAGE.compress ? decompressMessage(message.subarray(1), 1 << 20) : message
  const written = reencode(inner)
  // Tags are a map, whose keys the peer writes in any order: they stay bytes here, so that the whole is exact.
  assert.equal(written.toString('hex'), inner.toString('hex'))
  const sealed = sealPacket(written, layers, recordedNonce(bytes), { crc })
  assert.equal(sealed.toString('hex'), bytes.toString('hex'))
}

for (const name of ['serf-udp-plain', 'serf-udp-encrypted']) {
  const file = load<{ kind: string; hex: string; crc: boolean }>(name)
  for (const [index, vector] of file.vectors.entries()) {
    test(`packets of a real agent are read and written to the byte: ${name} ${index} ${vector.kind}`, () => {
      checkPacket(hex(vector.hex), file.keys_base64 ?? [], vector.crc)
    })
  }
}

test('key queries and answers of a real agent are read and written to the byte', () => {
  const file = load<{ packet_hex: string; plain_hex: string; serf: { serf: string } }>('serf-keyring')
  for (const vector of file.vectors) {
    const bytes = hex(vector.packet_hex)
    checkPacket(bytes, file.keys_base64 ?? [], vector.plain_hex.startsWith('0c'))
    eachMessage(openWithOne(bytes, file.keys_base64 ?? []).message, (type, body) => {
      if (type !== MESSAGE.user) return
      const payload =
        body[0] === SERF_MESSAGE.query
          ? decode(SerfQuery, body.subarray(1)).Payload
          : decode(SerfQueryResponse, body.subarray(1)).Payload
      assert.ok(payload)
      const kind = payload[0]
      assert.ok(kind === SERF_MESSAGE.keyRequest || kind === SERF_MESSAGE.keyResponse)
      const written =
        kind === SERF_MESSAGE.keyRequest
          ? serfAgain(kind, KeyRequest, payload.subarray(1))
          : serfAgain(kind, KeyResponse, payload.subarray(1))
      assert.equal(written.toString('hex'), payload.toString('hex'))
    })
  }
})

/** Reads a stream in chunks of every size and checks that the result does not depend on it. */
function readStream(bytes: Buffer, layers: PacketLayers, writer: 'initiator' | 'responder'): StreamMessage {
  let first: StreamMessage | undefined
  for (const step of [bytes.length, 1, 7, 100]) {
    const reader = new StreamReader(layers, writer)
    let message: StreamMessage | undefined
    for (let at = 0; at < bytes.length && !message; at += step) message = reader.push(bytes.subarray(at, at + step))
    assert.ok(message, `in chunks of ${step}`)
    first ??= message
    assert.deepEqual(message, first)
  }
  assert.ok(first)
  return first
}

/** The one key that this stream was encrypted with: the recording changes it on the way. */
function layersOfStream(bytes: Buffer, keys: readonly string[]): PacketLayers {
  const fitting = keys.filter((key) => {
    const reader = new StreamReader({ label: '', keyring: new Keyring([parseGossipKey(key)]) }, 'initiator')
    try {
      return reader.push(bytes) !== undefined
    } catch {
      return false
    }
  })
  return { label: '', keyring: new Keyring(fitting.map(parseGossipKey)) }
}

function checkPushPull(bytes: Buffer, layers: PacketLayers, writer: 'initiator' | 'responder'): void {
  const message = readStream(bytes, layers, writer)
  assert.equal(message.kind, 'pushPull')
  if (message.kind !== 'pushPull') return
  const sealed = sealStream(encodePushPull(message.state), layers, recordedNonce(bytes.subarray(5)), writer)
  assert.equal(sealed.toString('hex'), bytes.toString('hex'))
  const { userState } = message.state
  const state = decode(SerfPushPull, userState.subarray(1))
  const written = encodeSerf(SERF_MESSAGE.pushPull, SerfPushPull, state)
  assert.deepEqual(decode(SerfPushPull, written.subarray(1)), state)
  const unordered = Object.keys(state.StatusLTimes ?? {}).length > 1
  if (!unordered) assert.equal(written.toString('hex'), userState.toString('hex'))
}

for (const name of ['serf-stream-plain', 'serf-stream-encrypted']) {
  const file = load<{ hex: string; side: 'initiator' | 'responder' }>(name)
  for (const [index, vector] of file.vectors.entries()) {
    test(`streams of a real agent are read and written to the byte: ${name} ${index}`, () => {
      const bytes = hex(vector.hex)
      const keys = file.keys_base64 ?? []
      checkPushPull(bytes, keys.length === 0 ? plain : layersOfStream(bytes, keys), vector.side)
    })
  }
}

test('WAN gossip of a federated pair is read and written to the byte: packets and streams', () => {
  const file = load<{ frame_hex?: string; client_hex?: string; server_hex?: string }>('wan-gossip-through-gateway')
  const keys = [file.key_base64 ?? '']
  const layers = { label: '', keyring: new Keyring(keys.map(parseGossipKey)) }
  for (const vector of file.vectors) {
    if (vector.frame_hex) {
      const frame = hex(vector.frame_hex)
      const crc = openCrc(frame.subarray(4), layers)
      checkPacket(frame.subarray(4), keys, crc)
    }
    if (vector.client_hex) checkPushPull(hex(vector.client_hex), layers, 'initiator')
    if (vector.server_hex) checkPushPull(hex(vector.server_hex), layers, 'responder')
  }
})

/** Whether the sender added a CRC: it depends on what it knew of the receiver. */
function openCrc(bytes: Buffer, layers: PacketLayers): boolean {
  const message = openPacket(bytes, layers)
  return bytes.length - message.length === 29 + 5
}

interface LibraryVector {
  name: string
  label: string
  key_hex: string
  protocol_version: number
  compression: boolean
  udp_ping_hex: string
  udp_user_hex: string
  udp_user_crc_hex: string
  tcp_join_hex: string
  tcp_user_hex: string
}

for (const vector of load<LibraryVector>('memberlist-library').vectors) {
  const keyring = vector.key_hex === '' ? undefined : new Keyring([gossipKey(hex(vector.key_hex))])
  const layers = { label: vector.label, keyring }

  test(`the library's packets and streams are read: ${vector.name}`, () => {
    assert.equal(
      openPacket(hex(vector.udp_user_hex), layers).toString('latin1'),
      `\x08${'hello user message '.repeat(3).trim()}`,
    )
    assert.equal(openPacket(hex(vector.udp_user_crc_hex), layers).toString('latin1'), '\x08crc me')
    const types: number[] = []
    eachMessage(openPacket(hex(vector.udp_ping_hex), layers), (type) => types.push(type))
    assert.deepEqual(types, [MESSAGE.ping, MESSAGE.alive])
    const join = readStream(hex(vector.tcp_join_hex), layers, 'initiator')
    assert.ok(join.kind === 'pushPull' && join.state.join && join.state.nodes[0]?.Name === 'n1')
    const user = readStream(hex(vector.tcp_user_hex), layers, 'initiator')
    assert.ok(user.kind === 'user' && user.bytes.toString() === 'reliable user bytes')
  })

  // Version 0 is only read; streams without compression are never written by us.
  if (vector.protocol_version < 2) continue
  test(`the library's packets are written to the byte: ${vector.name}`, () => {
    const skip = vector.label === '' ? 0 : 2 + vector.label.length
    const write = (bytes: Buffer, crc: boolean) =>
      sealPacket(openPacket(bytes, layers), layers, recordedNonce(bytes.subarray(skip)), { crc }).toString('hex')
    assert.equal(write(hex(vector.udp_user_crc_hex), true), vector.udp_user_crc_hex)
    if (!vector.compression) return
    const stream = hex(vector.tcp_user_hex)
    const sealed = sealStream(
      encodeUserStream(Buffer.from('reliable user bytes')),
      layers,
      seededRandom(1),
      'initiator',
    )
    assert.equal(sealed.toString('hex'), stream.toString('hex'))
  })
}

interface Dialogue {
  name: string
  sent_hex?: string
  answers?: (string | { hex: string })[]
  answer_hex?: string
}

/** The agent of the recording: no tags, fresh, alone. */
function recordedAgent(): PoolCore {
  return new PoolCore(
    {
      name: 'target',
      address: '127.0.0.1',
      port: 18946,
      timing: gossipTiming('local'),
      layers: plain,
      identity: { pool: 'lan', localName: 'target', datacenter: '', nodeId: '' },
      tags: {},
      streamPingAllowed: () => true,
    },
    { random: seededRandom(1), nowMs: 0 },
  )
}

/**
 * An answer without its compression and with the version that we speak: the recorded agent speaks Serf protocol 5,
 * Consul's pools 4.
 */
function comparable(text: string): string {
  const bytes = hex(text)
  const message = bytes[0] === MESSAGE.compress ? decompressMessage(bytes.subarray(1), 1 << 20) : bytes
  return message.toString('hex').replaceAll('010502020505', '010502020504')
}

test('we answer hand-made datagrams with the very bytes of the real agent, and stay silent where it does', () => {
  const core = recordedAgent()
  const sent = (effects: ReturnType<PoolCore['step']>) =>
    effects.flatMap((effect) => (effect.kind === 'send' ? [effect.bytes.toString('hex')] : []))
  for (const dialogue of load<Dialogue>('serf-probe-dialogues').vectors) {
    if (!dialogue.answers || !dialogue.sent_hex) continue
    const input = { kind: 'datagram', bytes: hex(dialogue.sent_hex), address: '127.0.0.1', port: 18950 } as const
    const answers = sent(core.step(input, 10))
    // The answer to an indirect ping comes when the pinged node has been silent for long enough.
    const late = dialogue.name.startsWith('indirectPing') ? sent(core.step({ kind: 'tick' }, 10 + 200)) : []
    const recorded = dialogue.answers.flatMap((answer) => (typeof answer === 'string' ? [] : [answer.hex]))
    if (dialogue.name.startsWith('indirectPing')) {
      assert.equal(late.at(-1), recorded.at(-1), dialogue.name)
    } else assert.deepEqual(answers.map(comparable), recorded.map(comparable), dialogue.name)
  }
})

test('we answer hand-made streams with the very bytes of the real agent', () => {
  const core = recordedAgent()
  const from = '127.0.0.1:4000'
  for (const dialogue of load<Dialogue>('serf-probe-dialogues').vectors) {
    if (!dialogue.sent_hex || dialogue.answer_hex === undefined || dialogue.answer_hex === '') continue
    const reader = new StreamReader(plain, 'initiator')
    let effects: ReturnType<PoolCore['step']>
    try {
      const message = reader.push(hex(dialogue.sent_hex))
      assert.ok(message, dialogue.name)
      effects = core.step({ kind: 'request', stream: 1, message, address: from }, 0)
    } catch (thrown) {
      if (!(thrown instanceof Error) || !reader.problem) throw thrown
      effects = core.step({ kind: 'badRequest', stream: 1, error: reasonOf(thrown), address: from }, 0)
    }
    const answer = effects.find((effect) => effect.kind === 'answer')
    assert.equal(comparable(answer?.bytes?.toString('hex') ?? ''), comparable(dialogue.answer_hex), dialogue.name)
  }
})

const reasonOf = (error: Error) => error.message.replace(/^Read gossip stream: /, '')
