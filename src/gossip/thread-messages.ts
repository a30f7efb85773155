/**
 * What the main thread and the gossip thread say to each other.
 */
import { type ErrorFacts, HanseError, type LogFields, type LogLevel, messageOf } from '#base'
import type { JoinResult, KeyringResult, Member, PoolName, PoolOptions, QueryOptions, QueryResult } from './api.ts'
import type { Coordinate } from './coordinates.ts'
import type { CoreEvent } from './effects.ts'
import type { KeyOperation } from './key-queries.ts'

/** Handed to the thread when it starts; never through arguments or the environment, as it holds keys. */
export interface ThreadOptions {
  readonly nodeName: string
  readonly datacenter: string
  readonly nodeId: string
  readonly lan: PoolOptions
  readonly wan?: PoolOptions & { readonly carried: boolean }
  readonly keyrings: { readonly lan?: readonly string[]; readonly wan?: readonly string[] }
  readonly dataDir?: string
  readonly disableKeyringFile: boolean
  readonly rejoinAfterLeave: boolean
}

export type PoolRequest =
  | { readonly op: 'join'; readonly addresses: readonly string[]; readonly ignoreOld: boolean }
  | { readonly op: 'leave' }
  | { readonly op: 'forceLeave'; readonly name: string; readonly prune: boolean }
  | { readonly op: 'setTags'; readonly tags: Readonly<Record<string, string>> }
  | { readonly op: 'userEvent'; readonly name: string; readonly payload: Uint8Array; readonly coalesce: boolean }
  | { readonly op: 'query'; readonly name: string; readonly payload: Uint8Array; readonly options: QueryOptions }
  | { readonly op: 'respond'; readonly query: number; readonly payload: Uint8Array }
  | {
      readonly op: 'keys'
      readonly operation: KeyOperation
      /** Base64; "" for list-keys. */
      readonly key: string
      readonly relayFactor: number
    }
  | { readonly op: 'stats' }

/** Answers by operation; those that only succeed or fail answer null. */
export interface PoolReplies {
  readonly join: JoinResult
  readonly leave: null
  readonly forceLeave: null
  readonly setTags: null
  readonly userEvent: null
  readonly query: QueryResult
  readonly respond: null
  readonly keys: KeyringResult
  readonly stats: Readonly<Record<string, string>>
}
export type PoolReply = {
  [Op in keyof PoolReplies]: { readonly op: Op; readonly value: PoolReplies[Op] }
}[keyof PoolReplies]

/** Bytes of WAN streams that gateways carry, both ways, by stream number. */
export type CarriedMessage =
  | { readonly kind: 'streamData'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: 'streamEnd'; readonly stream: number }
  | { readonly kind: 'streamClose'; readonly stream: number; readonly error?: string }

export type ToThread =
  | { readonly kind: 'request'; readonly id: number; readonly pool: PoolName; readonly request: PoolRequest }
  | { readonly kind: 'wanPacket'; readonly bytes: Uint8Array }
  /** A WAN stream came in on the TLS port. */
  | { readonly kind: 'streamOpen'; readonly stream: number }
  | CarriedMessage
  | { readonly kind: 'shutdown' }

export interface PoolFacts {
  readonly localName: string
  readonly bindAddress: string
  readonly port: number
  readonly encrypted: boolean
}

export type FromThread =
  | { readonly kind: 'ready'; readonly lan: PoolFacts; readonly wan?: PoolFacts }
  | { readonly kind: 'startFailed'; readonly error: ErrorMessage }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: PoolReply }
  | { readonly kind: 'refused'; readonly id: number; readonly error: ErrorMessage }
  | {
      readonly kind: 'members'
      readonly pool: PoolName
      readonly changed: readonly Member[]
      readonly removed: readonly string[]
    }
  | {
      readonly kind: 'coordinates'
      readonly pool: PoolName
      readonly entries: readonly (readonly [string, Coordinate])[]
    }
  | { readonly kind: 'event'; readonly pool: PoolName; readonly event: CoreEvent }
  | {
      readonly kind: 'log'
      readonly pool: PoolName
      readonly level: LogLevel
      readonly message: string
      readonly fields: LogFields
    }
  | { readonly kind: 'counts'; readonly entries: readonly (readonly [string, number])[] }
  | { readonly kind: 'carryPacket'; readonly node: string; readonly datacenter: string; readonly bytes: Uint8Array }
  | { readonly kind: 'streamDial'; readonly stream: number; readonly node: string; readonly datacenter: string }
  | CarriedMessage
  | { readonly kind: 'stopped' }

/** An error as it crosses threads. */
export interface ErrorMessage {
  readonly code: string
  readonly status: number
  readonly message: string
  readonly hint?: string
  readonly facts: ErrorFacts
}

export function toErrorMessage(thrown: unknown): ErrorMessage {
  if (!(thrown instanceof HanseError)) return { code: 'INTERNAL', status: 500, message: messageOf(thrown), facts: {} }
  const { code, status, message, hint, facts } = thrown
  return { code, status, message, hint, facts }
}

export function fromErrorMessage({ code, status, message, hint, facts }: ErrorMessage): HanseError {
  const row = { status, message: () => message, ...(hint === undefined ? {} : { hint: () => hint }) }
  return new HanseError(code, row, facts)
}

/** A copy that owns its memory: a slice of a pooled buffer would be cloned with the whole pool. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
