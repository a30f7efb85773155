/**
 * Serf messages, as they travel inside memberlist user messages and push/pulls: a type byte and a msgpack map.
 *
 * Source: gossip wire notes §10, §12, §13.
 */
import {
  bool,
  bytes,
  decode,
  encode,
  float,
  type Infer,
  int,
  type Kind,
  list,
  MsgpackReader,
  map,
  pointer,
  string,
  struct,
  uint,
} from '#codec'
import type { Coordinate } from './coordinates.ts'

export const SERF_MESSAGE = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const

export const SerfLeave = struct('messageLeave', { LTime: uint, Node: string, Prune: bool })
export const SerfJoin = struct('messageJoin', { LTime: uint, Node: string })
export const SerfUserEvent = struct('messageUserEvent', { LTime: uint, Name: string, Payload: bytes, CC: bool })
export const SerfQuery = struct('messageQuery', {
  LTime: uint,
  ID: uint,
  Addr: bytes,
  Port: uint,
  SourceNode: string,
  Filters: list(bytes),
  Flags: uint,
  RelayFactor: uint,
  Timeout: int,
  Name: string,
  Payload: bytes,
})
export const SerfQueryResponse = struct('messageQueryResponse', {
  LTime: uint,
  ID: uint,
  From: string,
  Flags: uint,
  Payload: bytes,
})
const BufferedEvent = struct('userEvent', { Name: string, Payload: bytes })
const EventSlot = struct('userEvents', { LTime: uint, Events: list(BufferedEvent) })
export const SerfPushPull = struct('messagePushPull', {
  LTime: uint,
  StatusLTimes: map(uint),
  LeftMembers: list(string),
  EventLTime: uint,
  Events: list(pointer(EventSlot)),
  QueryLTime: uint,
})
export const KeyRequest = struct('keyRequest', { Key: bytes })
export const KeyResponse = struct('nodeKeyResponse', {
  Result: bool,
  Message: string,
  Keys: list(string),
  PrimaryKey: string,
})
const RelayAddress = struct('UDPAddr', { IP: bytes, Port: int, Zone: string })
export const RelayHeader = struct('relayHeader', { DestAddr: RelayAddress, DestName: string })
export const SerfMemberRecord = struct('Member', {
  Name: string,
  Addr: bytes,
  Port: uint,
  Tags: map(string),
  Status: int,
  ProtocolMin: uint,
  ProtocolMax: uint,
  ProtocolCur: uint,
  DelegateMin: uint,
  DelegateMax: uint,
  DelegateCur: uint,
})
const TagFilter = struct('filterTag', { Tag: string, Expr: string })
const NodeFilter = list(string)
const WireCoordinate = struct('Coordinate', { Vec: list(float), Error: float, Adjustment: float, Height: float })
const Tags = map(string)

export type SerfLeave = Infer<typeof SerfLeave>
export type SerfJoin = Infer<typeof SerfJoin>
export type SerfUserEvent = Infer<typeof SerfUserEvent>
export type SerfQuery = Infer<typeof SerfQuery>
export type SerfQueryResponse = Infer<typeof SerfQueryResponse>
export type SerfPushPull = Infer<typeof SerfPushPull>
export type KeyResponse = Infer<typeof KeyResponse>
export type RelayHeader = Infer<typeof RelayHeader>
export type SerfMemberRecord = Infer<typeof SerfMemberRecord>

export const QUERY_FLAG_ACK = 1
export const QUERY_FLAG_NO_BROADCAST = 2

/** Type byte and body. */
export function encodeSerf<T>(type: number, schema: Kind<T>, value: T): Buffer {
  return Buffer.concat([Buffer.from([type]), encode(schema, value)])
}

/** Longest encoded tags. */
export const MAX_META_BYTES = 512
const TAGS_MAGIC = 255

export function encodeTags(tags: Readonly<Record<string, string>>): Buffer {
  return encodeSerf(TAGS_MAGIC, Tags, tags)
}

/** @returns the tags; very old peers send only a role; what cannot be read counts as no tags */
export function decodeTags(meta: Buffer): Readonly<Record<string, string>> {
  if (meta[0] !== TAGS_MAGIC) return { role: meta.toString('utf8') }
  try {
    return Object.freeze(decode(Tags, meta.subarray(1)) ?? {})
  } catch {
    return {}
  }
}

/** The inner message of a relay begins where its header ends. */
export function splitRelay(body: Buffer): { header: RelayHeader; inner: Buffer } {
  const reader = new MsgpackReader(body)
  const header = RelayHeader.read(reader, 0)
  return { header, inner: body.subarray(reader.offset) }
}

const PING_VERSION = 1

/** What an ack carries: our coordinate. */
export function encodeAckPayload(coordinate: Coordinate): Buffer {
  return encodeSerf(PING_VERSION, WireCoordinate, coordinate)
}

/** @returns undefined for a payload of another version, or none */
export function decodeAckPayload(payload: Buffer): Coordinate | undefined {
  if (payload[0] !== PING_VERSION) return undefined
  const coordinate = decode(WireCoordinate, payload.subarray(1))
  return { ...coordinate, Vec: coordinate.Vec ?? [] }
}

const FILTER_NODE = 0
const FILTER_TAG = 1

export function nodeFilter(names: readonly string[]): Buffer {
  return encodeSerf(FILTER_NODE, NodeFilter, names)
}

export function tagFilter(tag: string, expression: string): Buffer {
  return encodeSerf(FILTER_TAG, TagFilter, { Tag: tag, Expr: expression })
}

/** Longest expression that a filter may have, and most repetitions in it: both bound the time of one match. */
export const MAX_FILTER_EXPRESSION = 256
export const MAX_FILTER_REPEATS = 2

/**
 * A peer's regular expression (RE2) as one of ours. Our engine can be made to run for hours, so expressions that repeat a
 * group, or that repeat often, are not taken.
 */
function filterExpression(expression: string): RegExp | undefined {
  const repeats = expression.match(/[*+{]/g)?.length ?? 0
  const repeatedGroup = /\)[*+?{]/.test(expression)
  if (expression.length > MAX_FILTER_EXPRESSION || repeats > MAX_FILTER_REPEATS || repeatedGroup) return undefined
  const flags = /^\(\?([is]+)\)/.exec(expression)
  const body = (flags ? expression.slice(flags[0].length) : expression).replaceAll('\\z', '$').replaceAll('\\A', '^')
  try {
    return new RegExp(body, `${flags?.[1] ?? ''}u`)
  } catch {
    return undefined
  }
}

/** Whether a query is meant for a node. Unknown filters match nobody. */
export function filtersMatch(
  filters: readonly (Buffer | null)[],
  node: { readonly name: string; readonly tags: Readonly<Record<string, string>> },
): boolean {
  return filters.every((filter) => {
    try {
      if (filter?.[0] === FILTER_NODE) return (decode(NodeFilter, filter.subarray(1)) ?? []).includes(node.name)
      if (filter?.[0] !== FILTER_TAG) return false
      const { Tag, Expr } = decode(TagFilter, filter.subarray(1))
      return filterExpression(Expr)?.test(node.tags[Tag] ?? '') ?? false
    } catch {
      return false
    }
  })
}
