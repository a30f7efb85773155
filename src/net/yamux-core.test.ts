/**
 * The yamux state machine against a recorded session of a real server and client, rule by rule, and changed bytes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { stepYamux } from './yamux-core.ts'
import { encodeFrameHeader, FLAG, FRAME, type FrameHeader, FrameParser } from './yamux-frame.ts'
import {
  ACCEPT_BACKLOG,
  INITIAL_WINDOW_BYTES,
  KEEPALIVE_TIMEOUT_MS,
  MAX_STREAMS,
  newYamuxState,
  STREAM_OPEN_TIMEOUT_MS,
  type YamuxEffect,
  type YamuxState,
} from './yamux-state.ts'

interface Session {
  readonly client_to_server_hex: string
  readonly server_to_client_hex: string
  readonly client_frames: readonly { type: number; flags: number; stream: number; length: number }[]
  readonly server_frames: readonly { type: number; flags: number; stream: number; length: number }[]
}
const vectors: { sessions: readonly Session[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/yamux-session-raw.json', import.meta.url), 'utf8'),
)
const session = vectors.sessions[0]!
const clientBytes = Buffer.from(session.client_to_server_hex, 'hex')
const serverBytes = Buffer.from(session.server_to_client_hex, 'hex')

interface Frame {
  readonly header: FrameHeader
  payload: Buffer
}

function parse(bytes: Buffer, pieceBytes: number): Frame[] {
  const frames: Frame[] = []
  const parser = new FrameParser({
    onHeader: (header) => frames.push({ header, payload: Buffer.alloc(0) }),
    onPayload: (_header, piece) => {
      const last = frames.at(-1)
      if (last) last.payload = Buffer.concat([last.payload, piece])
    },
  })
  for (let at = 0; at < bytes.length; at += pieceBytes) parser.push(bytes.subarray(at, at + pieceBytes))
  return frames
}

function feed(state: YamuxState, bytes: Buffer, nowMs = 0): YamuxEffect[] {
  const out: YamuxEffect[] = []
  const parser = new FrameParser({
    onHeader: (header) => out.push(...stepYamux(state, { type: 'header', header }, nowMs)),
    onPayload: (header, piece, last) => out.push(...stepYamux(state, { type: 'payload', header, piece, last }, nowMs)),
  })
  parser.push(bytes)
  return out
}

function received(effects: readonly YamuxEffect[], stream: number): Buffer {
  return Buffer.concat(
    effects.flatMap((effect) => (effect.type === 'data' && effect.stream === stream ? [effect.bytes] : [])),
  )
}

function payloads(frames: readonly Frame[], stream: number): Buffer {
  return Buffer.concat(frames.filter(({ header }) => header.stream === stream).map(({ payload }) => payload))
}

const frame = (type: FrameHeader['type'], flags: number, stream: number, length: number) =>
  encodeFrameHeader({ type, flags, stream, length })

function fatalCode(effects: readonly YamuxEffect[]): string | undefined {
  const found = effects.find((effect) => effect.type === 'fatal')
  return found?.type === 'fatal' ? found.error.code : undefined
}

test('FrameParser reads both directions of the recorded session, split anywhere, and encodes back to the byte', () => {
  for (const [bytes, frames] of [
    [clientBytes, session.client_frames],
    [serverBytes, session.server_frames],
  ] as const) {
    for (const pieceBytes of [1, 7, 1000, bytes.length]) {
      const parsed = parse(bytes, pieceBytes)
      assert.deepEqual(
        parsed.map(({ header }) => header),
        frames,
      )
      const again = Buffer.concat(parsed.flatMap(({ header, payload }) => [encodeFrameHeader(header), payload]))
      assert.ok(again.equals(bytes))
    }
  }
})

test('stepYamux() as server acknowledges and delivers what the recorded client sent', () => {
  const effects = feed(newYamuxState('server'), clientBytes)
  const opened = session.client_frames.filter((each) => each.flags === FLAG.syn && each.type === FRAME.windowUpdate)
  const accepted = effects.flatMap((effect) => (effect.type === 'accepted' ? [effect.stream] : []))
  assert.deepEqual(
    accepted,
    opened.map((each) => each.stream),
  )
  for (const stream of accepted) assert.ok(received(effects, stream).equals(payloads(parse(clientBytes, 9999), stream)))
  const pongs = effects.filter((effect) => effect.type === 'send' && effect.header.type === FRAME.ping)
  assert.equal(
    pongs.length,
    session.client_frames.filter((each) => each.type === FRAME.ping && each.flags === FLAG.syn).length,
  )
  assert.equal(fatalCode(effects), undefined)
})

test('stepYamux() as client takes the recorded server answers on the streams it opened', () => {
  const state = newYamuxState('client')
  const ids = [...new Set(session.client_frames.filter((each) => each.stream > 0).map((each) => each.stream))]
  const sent = ids.flatMap(() => stepYamux(state, { type: 'open' }, 0))
  assert.deepEqual(
    sent.flatMap((effect) => (effect.type === 'opened' ? [effect.stream] : [])),
    ids,
  )
  const effects = feed(state, serverBytes)
  for (const stream of ids) assert.ok(received(effects, stream).equals(payloads(parse(serverBytes, 9999), stream)))
  assert.equal(state.unacked, 0)
  assert.equal(fatalCode(effects), undefined)
})

test('stepYamux() accepts data that comes in the opening frame, and a FIN with it', () => {
  const state = newYamuxState('server')
  const bytes = Buffer.concat([frame(FRAME.data, FLAG.syn | FLAG.fin, 1, 3), Buffer.from('abc')])
  const effects = feed(state, bytes)
  assert.deepEqual(
    effects.map((effect) => effect.type),
    ['send', 'accepted', 'data', 'remoteEnd'],
  )
  assert.equal(received(effects, 1).toString(), 'abc')
})

test('stepYamux() sends no more than the window and goes on when it is granted more', () => {
  const state = newYamuxState('client')
  stepYamux(state, { type: 'open' }, 0)
  const bytes = Buffer.alloc(INITIAL_WINDOW_BYTES + 1000, 'x')
  const first = stepYamux(state, { type: 'write', stream: 1, bytes }, 0)
  const sentBytes = (effects: YamuxEffect[]) =>
    effects.reduce((sum, effect) => sum + (effect.type === 'send' ? (effect.payload?.length ?? 0) : 0), 0)
  assert.equal(sentBytes(first), INITIAL_WINDOW_BYTES)
  assert.ok(!first.some((effect) => effect.type === 'written'))
  const second = feed(state, frame(FRAME.windowUpdate, FLAG.ack, 1, 600))
  assert.equal(sentBytes(second), 600)
  const third = feed(state, frame(FRAME.windowUpdate, 0, 1, 600))
  assert.equal(sentBytes(third), 400)
  assert.equal(third.at(-1)?.type, 'written')
})

test('stepYamux() grants more only when half of the window was read', () => {
  const state = newYamuxState('server')
  feed(state, frame(FRAME.windowUpdate, FLAG.syn, 1, 0))
  feed(state, Buffer.concat([frame(FRAME.data, 0, 1, INITIAL_WINDOW_BYTES), Buffer.alloc(INITIAL_WINDOW_BYTES)]))
  const half = INITIAL_WINDOW_BYTES / 2
  assert.deepEqual(stepYamux(state, { type: 'consumed', stream: 1, bytes: half - 1 }, 0), [])
  const update = stepYamux(state, { type: 'consumed', stream: 1, bytes: 1 }, 0)[0]
  assert.deepEqual(update, { type: 'send', header: { type: FRAME.windowUpdate, flags: 0, stream: 1, length: half } })
})

test('stepYamux() ends the session on a window overrun, a duplicate open, a foreign id and data after the end', () => {
  const opened = () => {
    const state = newYamuxState('server')
    feed(state, frame(FRAME.windowUpdate, FLAG.syn, 1, 0))
    return state
  }
  assert.equal(fatalCode(feed(opened(), frame(FRAME.data, 0, 1, INITIAL_WINDOW_BYTES + 1))), 'YAMUX_WINDOW')
  assert.equal(fatalCode(feed(opened(), frame(FRAME.windowUpdate, FLAG.syn, 1, 0))), 'YAMUX_PROTOCOL')
  assert.equal(fatalCode(feed(opened(), frame(FRAME.windowUpdate, FLAG.syn, 2, 0))), 'YAMUX_PROTOCOL')
  assert.equal(fatalCode(feed(opened(), frame(FRAME.data, 0, 0, 0))), 'YAMUX_PROTOCOL')
  assert.equal(fatalCode(feed(opened(), frame(FRAME.goAway, 0, 0, 1))), 'YAMUX_PROTOCOL')
  const state = opened()
  feed(state, frame(FRAME.windowUpdate, FLAG.fin, 1, 0))
  assert.equal(fatalCode(feed(state, frame(FRAME.data, 0, 1, 5))), 'YAMUX_PROTOCOL')
})

test('stepYamux() throws away data for streams it does not know', () => {
  const state = newYamuxState('server')
  const effects = feed(
    state,
    Buffer.concat([frame(FRAME.data, 0, 7, 4), Buffer.from('gone'), frame(FRAME.ping, 1, 0, 9)]),
  )
  assert.deepEqual(effects, [{ type: 'send', header: { type: FRAME.ping, flags: FLAG.ack, stream: 0, length: 9 } }])
})

test('stepYamux() forgets a stream when both ends have closed, and at a reset', () => {
  const state = newYamuxState('client')
  stepYamux(state, { type: 'open' }, 0)
  stepYamux(state, { type: 'end', stream: 1 }, 0)
  const effects = feed(state, frame(FRAME.windowUpdate, FLAG.fin | FLAG.ack, 1, 0))
  assert.deepEqual(
    effects.map((effect) => effect.type),
    ['acknowledged', 'remoteEnd', 'finished'],
  )
  stepYamux(state, { type: 'open' }, 0)
  assert.equal(feed(state, frame(FRAME.windowUpdate, FLAG.rst, 3, 0))[0]?.type, 'remoteReset')
  assert.equal(state.streams.size, 0)
  assert.equal(state.unacked, 0)
})

test('stepYamux() refuses streams above the limits, and after go away', () => {
  const server = newYamuxState('server')
  for (let n = 0; n < MAX_STREAMS + 1; n++) feed(server, frame(FRAME.windowUpdate, FLAG.syn, 2 * n + 1, 0))
  assert.equal(server.streams.size, MAX_STREAMS)
  assert.equal(server.refused, 1)
  const client = newYamuxState('client')
  for (let n = 0; n < ACCEPT_BACKLOG; n++) stepYamux(client, { type: 'open' }, 0)
  assert.equal(stepYamux(client, { type: 'open' }, 0)[0]?.type, 'openRefused')
  const leaving = newYamuxState('client')
  feed(leaving, frame(FRAME.goAway, 0, 0, 0))
  assert.equal(stepYamux(leaving, { type: 'open' }, 0)[0]?.type, 'openRefused')
})

test('stepYamux() takes a stream that crosses its own go away', () => {
  const leaving = newYamuxState('server')
  stepYamux(leaving, { type: 'goAway' }, 0)
  const effects = feed(leaving, frame(FRAME.windowUpdate, FLAG.syn, 1, 0))
  assert.deepEqual(
    effects.filter(({ type }) => type === 'accepted'),
    [{ type: 'accepted', stream: 1 }],
  )
  assert.equal(stepYamux(leaving, { type: 'open' }, 0)[0]?.type, 'openRefused')
})

test('stepYamux() says farewell with a ping, whose answer is told apart from that of a keep-alive', () => {
  const leaving = newYamuxState('server')
  const [keepAlive] = stepYamux(leaving, { type: 'keepAlive' }, 0)
  const [away, ping] = stepYamux(leaving, { type: 'farewell' }, 0)
  assert.ok(keepAlive?.type === 'send' && away?.type === 'send' && ping?.type === 'send')
  assert.deepEqual([away.header.type, ping.header.type], [FRAME.goAway, FRAME.ping])
  assert.notEqual(ping.header.length, keepAlive.header.length)
  const answer = (id: number) => feed(leaving, frame(FRAME.ping, FLAG.ack, 0, id)).map(({ type }) => type)
  assert.deepEqual(answer(keepAlive.header.length), ['pong'])
  assert.deepEqual(answer(ping.header.length), ['farewellHeard'])
  assert.deepEqual(stepYamux(leaving, { type: 'goAway' }, 0), [])
})

test('stepYamux() refuses streams unseen while none are taken, and tells such a refusal from a reset', () => {
  const server = newYamuxState('server')
  const client = newYamuxState('client')
  const answerTo = (stream: number) =>
    feed(server, frame(FRAME.windowUpdate, FLAG.syn, stream, 0)).flatMap((effect) => {
      if (effect.type !== 'send') return []
      const { type, flags, length } = effect.header
      return feed(client, frame(type, flags, effect.header.stream, length))
    })
  for (let n = 0; n < 2; n++) stepYamux(client, { type: 'open' }, 0)
  server.accepting = false
  assert.deepEqual(answerTo(1), [{ type: 'remoteReset', stream: 1, refused: true }])
  server.accepting = true
  answerTo(3)
  assert.deepEqual(feed(client, frame(FRAME.windowUpdate, FLAG.rst, 3, 0)), [
    { type: 'remoteReset', stream: 3, refused: false },
  ])
})

test('stepYamux() ends the session when a ping or an open stays without answer', () => {
  const state = newYamuxState('client')
  const ping = stepYamux(state, { type: 'keepAlive' }, 0)[0]
  assert.ok(ping?.type === 'send' && ping.header.type === FRAME.ping && ping.header.flags === FLAG.syn)
  assert.deepEqual(feed(state, frame(FRAME.ping, FLAG.ack, 0, ping.header.length), 25), [
    { type: 'pong', roundTripMs: 25 },
  ])
  stepYamux(state, { type: 'keepAlive' }, 100)
  assert.equal(fatalCode(stepYamux(state, { type: 'keepAlive' }, 100 + KEEPALIVE_TIMEOUT_MS)), 'YAMUX_KEEPALIVE')
  const opening = newYamuxState('client')
  stepYamux(opening, { type: 'open' }, 0)
  assert.equal(fatalCode(stepYamux(opening, { type: 'keepAlive' }, STREAM_OPEN_TIMEOUT_MS)), 'YAMUX_OPEN_TIMEOUT')
})

test('FrameParser and stepYamux() answer changed bytes with a YAMUX_ error or effects, never another error', () => {
  const random = seededRandom(11)
  for (let round = 0; round < 1500; round++) {
    const source = round % 2 === 0 ? clientBytes : serverBytes
    const from = random.int(source.length)
    const bytes = round % 5 === 0 ? random.bytes(300) : Buffer.from(source.subarray(from - (from % 12), from + 2000))
    for (let change = 0; change < 6; change++) bytes[random.int(bytes.length)] = random.int(256)
    const state = newYamuxState(round % 3 === 0 ? 'client' : 'server')
    try {
      for (const effect of feed(state, bytes)) {
        if (effect.type === 'fatal') assert.match(effect.error.code, /^YAMUX_/)
      }
    } catch (error) {
      assert.ok(error instanceof HanseError && error.code === 'YAMUX_PROTOCOL', String(error))
    }
    assert.ok(state.streams.size <= MAX_STREAMS)
  }
})
