/**
 * What a yamux session remembers, what can happen to it, and what it wants done: the values that yamux-core.ts works on.
 *
 * Source: yamux specification, version 0; RPC wire notes §3.
 */
import type { HanseError } from '#base'
import type { FrameHeader } from './yamux-frame.ts'

/** Bytes that may be under way before the receiver has to grant more, each way, per stream. */
export const INITIAL_WINDOW_BYTES = 256 * 1024
/** Longest payload put into one frame, so that a bulk stream leaves gaps for the others. */
export const MAX_FRAME_PAYLOAD_BYTES = 64 * 1024
/** Opens that the other side has not acknowledged yet. */
export const ACCEPT_BACKLOG = 256
/** Streams of one session, both directions together. */
export const MAX_STREAMS = 1024
/** An open that is not acknowledged for that long ends the session. */
export const STREAM_OPEN_TIMEOUT_MS = 75_000
/** A ping that is not answered for that long ends the session. */
export const KEEPALIVE_TIMEOUT_MS = 10_000
export const MAX_WINDOW_BYTES = 0xffff_ffff
export const MAX_STREAM_ID = 0xffff_ffff

export interface StreamState {
  sendWindow: number
  recvWindow: number
  /** Bytes the user has read since the last window update. */
  consumed: number
  /** What the user wants to send and the window does not let through yet. */
  pending: Buffer | undefined
  /** The user has ended its side; FIN goes out as soon as nothing is pending. */
  ending: boolean
  finSent: boolean
  finReceived: boolean
  /** Set while our open waits for its ACK. */
  unackedSinceMs: number | undefined
}

export interface YamuxState {
  readonly role: 'client' | 'server'
  readonly streams: Map<number, StreamState>
  nextId: number
  unacked: number
  remoteGoAway: boolean
  localGoAway: boolean
  /** The ping behind our own go away: its answer says that the other side has heard it. */
  farewellPing: number | undefined
  /** Whether streams that the other side opens are taken; they are reset without an acknowledgement where not. */
  accepting: boolean
  ping: { readonly id: number; readonly sentAtMs: number } | undefined
  nextPing: number
  /** Inbound streams refused, because of MAX_STREAMS or while none are taken. */
  refused: number
}

export type YamuxInput =
  | { readonly type: 'header'; readonly header: FrameHeader }
  | { readonly type: 'payload'; readonly header: FrameHeader; readonly piece: Buffer; readonly last: boolean }
  | { readonly type: 'open' }
  | { readonly type: 'write'; readonly stream: number; readonly bytes: Buffer }
  | { readonly type: 'consumed'; readonly stream: number; readonly bytes: number }
  | { readonly type: 'end'; readonly stream: number }
  | { readonly type: 'reset'; readonly stream: number }
  | { readonly type: 'goAway' }
  /** Go away, and ask whether it was heard. */
  | { readonly type: 'farewell' }
  | { readonly type: 'keepAlive' }

export type YamuxEffect =
  | { readonly type: 'send'; readonly header: FrameHeader; readonly payload?: Buffer }
  | { readonly type: 'opened'; readonly stream: number }
  | { readonly type: 'openRefused'; readonly error: HanseError }
  | { readonly type: 'accepted'; readonly stream: number }
  /** An open was acknowledged: another one may follow. */
  | { readonly type: 'acknowledged'; readonly stream: number }
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Buffer }
  | { readonly type: 'remoteEnd'; readonly stream: number }
  /** `refused`: before it was acknowledged, so that nobody there has seen anything of it. */
  | { readonly type: 'remoteReset'; readonly stream: number; readonly refused: boolean }
  /** All of the last write is on its way. */
  | { readonly type: 'written'; readonly stream: number }
  /** Both sides are done; the id is forgotten. */
  | { readonly type: 'finished'; readonly stream: number }
  | { readonly type: 'pong'; readonly roundTripMs: number }
  /** The other side knows that we go, and all that it sent before it knew is here. */
  | { readonly type: 'farewellHeard' }
  | { readonly type: 'remoteGoAway'; readonly code: number }
  | { readonly type: 'fatal'; readonly error: HanseError }

export function newYamuxState(role: 'client' | 'server'): YamuxState {
  return {
    role,
    streams: new Map(),
    nextId: role === 'client' ? 1 : 2,
    unacked: 0,
    remoteGoAway: false,
    localGoAway: false,
    farewellPing: undefined,
    accepting: true,
    ping: undefined,
    nextPing: 1,
    refused: 0,
  }
}
