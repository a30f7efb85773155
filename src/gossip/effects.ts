/**
 * What goes into a pool's core and what comes out: plain values, so that sockets, disks and simulations can all drive it.
 */
import type { LogFields, LogLevel } from '#base'
import type { Member, MemberEvent, MismatchEvent, QueryEvent, UserEvent } from './api.ts'
import type { Coordinate } from './coordinates.ts'
import type { StreamMessage, StreamProblem } from './stream.ts'

/** Where something goes. The name is what routes it when gateways carry it; it may be unknown (""). */
export interface Destination {
  readonly name: string
  /** IP address; "" when only the name is known. */
  readonly address: string
  readonly port: number
}

export type Input =
  | { readonly kind: 'tick' }
  | { readonly kind: 'datagram'; readonly bytes: Buffer; readonly address: string; readonly port: number }
  /** A stream that the other side opened has delivered its message; answered with `answer`. */
  | {
      readonly kind: 'request'
      readonly stream: number
      readonly message: StreamMessage
      readonly address: string
    }
  /** Such a stream could not be read. */
  | {
      readonly kind: 'badRequest'
      readonly stream: number
      readonly error: string
      readonly problem?: StreamProblem
      readonly address: string
    }
  /** The answer to an `exchange` of ours. */
  | { readonly kind: 'answered'; readonly exchange: number; readonly message: StreamMessage }
  | {
      readonly kind: 'failed'
      readonly exchange: number
      readonly error: string
      readonly problem?: StreamProblem
    }

export type CoreEvent =
  | MemberEvent
  | UserEvent
  /** Answered through PoolCore.respond(). */
  | (QueryEvent & { readonly id: number })
  | MismatchEvent

export type Effect =
  | { readonly kind: 'send'; readonly to: Destination; readonly bytes: Buffer }
  /** Open a stream, write `bytes`, read one message; report `answered` or `failed`. */
  | {
      readonly kind: 'exchange'
      readonly exchange: number
      readonly to: Destination
      readonly bytes: Buffer
      readonly timeoutMs: number
    }
  /** Answer a stream (nothing when undefined) and close it. */
  | { readonly kind: 'answer'; readonly stream: number; readonly bytes: Buffer | undefined }
  | { readonly kind: 'members'; readonly changed: readonly Member[]; readonly removed: readonly string[] }
  | { readonly kind: 'coordinate'; readonly node: string; readonly coordinate: Coordinate }
  | { readonly kind: 'event'; readonly event: CoreEvent }
  /** A line for the snapshot file. */
  | { readonly kind: 'record'; readonly line: string }
  | { readonly kind: 'saveKeyring'; readonly keysBase64: readonly string[] }
  | { readonly kind: 'count'; readonly metric: string; readonly by: number }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly message: string; readonly fields: LogFields }
