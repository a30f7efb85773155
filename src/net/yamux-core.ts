/**
 * The yamux session as a value: what each frame and each wish of the user changes, and what is to be sent for it.
 *
 * `stepYamux(state, input, nowMs)` changes `state` in place and returns effects; it knows no socket, clock or Duplex
 * (yamux-session.ts drives it). Send windows, receive windows, half-closes, resets, go-away and keep-alive are here.
 *
 * Source: yamux specification, version 0; RPC wire notes §3.
 */
import type { HanseError } from '#base'
import { netError } from './errors.ts'
import { FLAG, FRAME, type FrameHeader, GO_AWAY } from './yamux-frame.ts'
import {
  ACCEPT_BACKLOG,
  INITIAL_WINDOW_BYTES,
  KEEPALIVE_TIMEOUT_MS,
  MAX_FRAME_PAYLOAD_BYTES,
  MAX_STREAM_ID,
  MAX_STREAMS,
  MAX_WINDOW_BYTES,
  STREAM_OPEN_TIMEOUT_MS,
  type StreamState,
  type YamuxEffect,
  type YamuxInput,
  type YamuxState,
} from './yamux-state.ts'

export function stepYamux(state: YamuxState, input: YamuxInput, nowMs: number): YamuxEffect[] {
  const out: YamuxEffect[] = []
  switch (input.type) {
    case 'header':
      onHeader(state, input.header, nowMs, out)
      break
    case 'payload':
      onPayload(state, input, out)
      break
    case 'open':
      onOpen(state, nowMs, out)
      break
    case 'write':
      onWrite(state, input.stream, input.bytes, out)
      break
    case 'consumed':
      onConsumed(state, input.stream, input.bytes, out)
      break
    case 'end':
      onEnd(state, input.stream, out)
      break
    case 'reset':
      if (!forget(state, input.stream)) break
      out.push(control(FRAME.windowUpdate, FLAG.rst, input.stream))
      break
    case 'goAway':
      onLocalGoAway(state, out)
      break
    case 'farewell':
      onLocalGoAway(state, out)
      if (state.farewellPing !== undefined) break
      state.farewellPing = nextPing(state)
      out.push(control(FRAME.ping, FLAG.syn, 0, state.farewellPing))
      break
    case 'keepAlive':
      onKeepAlive(state, nowMs, out)
      break
  }
  return out
}

function control(type: FrameHeader['type'], flags: number, stream: number, length = 0): YamuxEffect {
  return { type: 'send', header: { type, flags, stream, length } }
}

function newStream(unackedSinceMs: number | undefined): StreamState {
  return {
    sendWindow: INITIAL_WINDOW_BYTES,
    recvWindow: INITIAL_WINDOW_BYTES,
    consumed: 0,
    pending: undefined,
    ending: false,
    finSent: false,
    finReceived: false,
    unackedSinceMs,
  }
}

function forget(state: YamuxState, id: number): boolean {
  const stream = state.streams.get(id)
  if (stream?.unackedSinceMs !== undefined) state.unacked--
  return state.streams.delete(id)
}

function fatal(out: YamuxEffect[], reason: string): void {
  out.push({ type: 'fatal', error: netError('YAMUX_PROTOCOL', { reason }) })
}

function onHeader(state: YamuxState, header: FrameHeader, nowMs: number, out: YamuxEffect[]) {
  if (header.type === FRAME.ping) return onPing(state, header, nowMs, out)
  if (header.type === FRAME.goAway) return onGoAway(state, header, out)
  if (header.stream === 0) return fatal(out, 'data on stream 0')
  if ((header.flags & FLAG.syn) !== 0 && !onSyn(state, header, out)) return
  const stream = state.streams.get(header.stream)
  if (!stream) return
  if ((header.flags & FLAG.ack) !== 0 && stream.unackedSinceMs !== undefined) {
    stream.unackedSinceMs = undefined
    state.unacked--
    out.push({ type: 'acknowledged', stream: header.stream })
  }
  if ((header.flags & FLAG.rst) !== 0) {
    const refused = stream.unackedSinceMs !== undefined
    forget(state, header.stream)
    out.push({ type: 'remoteReset', stream: header.stream, refused })
    return
  }
  if (header.type === FRAME.windowUpdate) {
    stream.sendWindow = Math.min(stream.sendWindow + header.length, MAX_WINDOW_BYTES)
    flush(header.stream, stream, out)
  } else if (header.length > stream.recvWindow) {
    const facts = { stream: header.stream, bytes: header.length, window: stream.recvWindow }
    out.push({ type: 'fatal', error: netError('YAMUX_WINDOW', facts) })
    return
  } else {
    if (header.length > 0 && stream.finReceived) return fatal(out, `data after the end of stream ${header.stream}`)
    stream.recvWindow -= header.length
  }
  const complete = header.type !== FRAME.data || header.length === 0
  if ((header.flags & FLAG.fin) !== 0 && complete) onRemoteFin(state, header.stream, stream, out)
}

/** @returns false when nothing else of the frame counts */
function onSyn(state: YamuxState, header: FrameHeader, out: YamuxEffect[]): boolean {
  const theirs = header.stream % 2 === (state.role === 'server' ? 1 : 0)
  if (!theirs) {
    fatal(out, `open of stream ${header.stream}, an id of this side`)
    return false
  }
  if (state.streams.has(header.stream)) {
    fatal(out, `duplicate open of stream ${header.stream}`)
    return false
  }
  // One that the other side opened before it heard that we go is still taken: it may carry what must not be sent twice.
  if (!state.accepting || state.streams.size >= MAX_STREAMS) {
    state.refused++
    out.push(control(FRAME.windowUpdate, FLAG.rst, header.stream))
    return false
  }
  state.streams.set(header.stream, newStream(undefined))
  out.push(control(FRAME.windowUpdate, FLAG.ack, header.stream))
  out.push({ type: 'accepted', stream: header.stream })
  return true
}

function onPayload(
  state: YamuxState,
  { header, piece, last }: { header: FrameHeader; piece: Buffer; last: boolean },
  out: YamuxEffect[],
) {
  const stream = state.streams.get(header.stream)
  if (!stream) return
  out.push({ type: 'data', stream: header.stream, bytes: piece })
  if (last && (header.flags & FLAG.fin) !== 0) onRemoteFin(state, header.stream, stream, out)
}

function onRemoteFin(state: YamuxState, id: number, stream: StreamState, out: YamuxEffect[]) {
  if (stream.finReceived) return
  stream.finReceived = true
  out.push({ type: 'remoteEnd', stream: id })
  finishIfDone(state, id, stream, out)
}

function finishIfDone(state: YamuxState, id: number, stream: StreamState, out: YamuxEffect[]): void {
  if (!stream.finSent || !stream.finReceived) return
  forget(state, id)
  out.push({ type: 'finished', stream: id })
}

function onPing(state: YamuxState, header: FrameHeader, nowMs: number, out: YamuxEffect[]) {
  if ((header.flags & FLAG.syn) !== 0) {
    out.push(control(FRAME.ping, FLAG.ack, 0, header.length))
  } else if ((header.flags & FLAG.ack) !== 0 && state.ping?.id === header.length) {
    out.push({ type: 'pong', roundTripMs: nowMs - state.ping.sentAtMs })
    state.ping = undefined
  } else if ((header.flags & FLAG.ack) !== 0 && state.farewellPing === header.length) {
    out.push({ type: 'farewellHeard' })
  }
}

function onLocalGoAway(state: YamuxState, out: YamuxEffect[]) {
  if (state.localGoAway) return
  state.localGoAway = true
  out.push(control(FRAME.goAway, 0, 0, GO_AWAY.normal))
}

function nextPing(state: YamuxState): number {
  const id = state.nextPing
  state.nextPing = id >= 0xffff_ffff ? 1 : id + 1
  return id
}

function onGoAway(state: YamuxState, header: FrameHeader, out: YamuxEffect[]) {
  if (header.length !== GO_AWAY.normal) {
    const reason = header.length === GO_AWAY.protocolError ? 'a protocol error' : `error ${header.length}`
    return fatal(out, `the other side reports ${reason}`)
  }
  state.remoteGoAway = true
  out.push({ type: 'remoteGoAway', code: header.length })
}

function onOpen(state: YamuxState, nowMs: number, out: YamuxEffect[]) {
  const refuse = (error: HanseError) => out.push({ type: 'openRefused', error })
  if (state.remoteGoAway) return void refuse(netError('YAMUX_GO_AWAY', { by: 'remote' }))
  if (state.localGoAway || state.nextId > MAX_STREAM_ID) return void refuse(netError('YAMUX_GO_AWAY', { by: 'this' }))
  if (state.streams.size >= MAX_STREAMS) return void refuse(netError('YAMUX_STREAMS', { limit: MAX_STREAMS }))
  if (state.unacked >= ACCEPT_BACKLOG) return void refuse(netError('YAMUX_STREAMS', { limit: ACCEPT_BACKLOG }))
  const id = state.nextId
  state.nextId += 2
  state.unacked++
  state.streams.set(id, newStream(nowMs))
  out.push(control(FRAME.windowUpdate, FLAG.syn, id), { type: 'opened', stream: id })
}

function onWrite(state: YamuxState, id: number, bytes: Buffer, out: YamuxEffect[]) {
  const stream = state.streams.get(id)
  if (!stream || stream.ending) return
  stream.pending = bytes
  flush(id, stream, out)
}

/** Sends what the window lets through, in frames of bounded size. */
function flush(id: number, stream: StreamState, out: YamuxEffect[]): void {
  if (!stream.pending) return
  while (stream.pending.length > 0 && stream.sendWindow > 0) {
    const payload = stream.pending.subarray(0, Math.min(stream.sendWindow, MAX_FRAME_PAYLOAD_BYTES))
    stream.sendWindow -= payload.length
    stream.pending = stream.pending.subarray(payload.length)
    out.push({ type: 'send', header: { type: FRAME.data, flags: 0, stream: id, length: payload.length }, payload })
  }
  if (stream.pending.length > 0) return
  stream.pending = undefined
  out.push({ type: 'written', stream: id })
}

/** Grants the sender more when at least half of the window was read. */
function onConsumed(state: YamuxState, id: number, bytes: number, out: YamuxEffect[]) {
  const stream = state.streams.get(id)
  if (!stream) return
  stream.consumed += bytes
  if (stream.consumed < INITIAL_WINDOW_BYTES / 2 || stream.finReceived) return
  stream.recvWindow += stream.consumed
  out.push(control(FRAME.windowUpdate, 0, id, stream.consumed))
  stream.consumed = 0
}

/** The driver ends a stream only after its last write was reported as written. */
function onEnd(state: YamuxState, id: number, out: YamuxEffect[]) {
  const stream = state.streams.get(id)
  if (!stream || stream.finSent) return
  stream.ending = true
  stream.finSent = true
  out.push(control(FRAME.windowUpdate, FLAG.fin, id))
  finishIfDone(state, id, stream, out)
}

function onKeepAlive(state: YamuxState, nowMs: number, out: YamuxEffect[]) {
  if (state.ping && nowMs - state.ping.sentAtMs >= KEEPALIVE_TIMEOUT_MS) {
    out.push({ type: 'fatal', error: netError('YAMUX_KEEPALIVE', { timeoutMs: KEEPALIVE_TIMEOUT_MS }) })
    return
  }
  for (const [stream, { unackedSinceMs }] of state.streams) {
    if (unackedSinceMs === undefined || nowMs - unackedSinceMs < STREAM_OPEN_TIMEOUT_MS) continue
    const facts = { stream, timeoutMs: STREAM_OPEN_TIMEOUT_MS }
    out.push({ type: 'fatal', error: netError('YAMUX_OPEN_TIMEOUT', facts) })
    return
  }
  if (state.ping) return
  state.ping = { id: nextPing(state), sentAtMs: nowMs }
  out.push(control(FRAME.ping, FLAG.syn, 0, state.ping.id))
}
