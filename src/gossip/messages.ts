/**
 * memberlist messages: a type byte and a msgpack map. Schemas and types only; packet.ts and stream.ts lay them out.
 *
 * Source: gossip wire notes §3, §6.
 */
import { bool, bytes, decode, encode, type Infer, int, type Kind, string, struct, uint, wireOmitEmpty } from '#codec'

export const MESSAGE = {
  ping: 0,
  indirectPing: 1,
  ackResp: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nackResp: 11,
  hasCrc: 12,
  err: 13,
  label: 244,
} as const

const source = {
  SourceAddr: wireOmitEmpty(bytes),
  SourcePort: wireOmitEmpty(uint),
  SourceNode: wireOmitEmpty(string),
}

export const Ping = struct('ping', { SeqNo: uint, Node: string, ...source })
export const IndirectPing = struct('indirectPing', {
  SeqNo: uint,
  Target: bytes,
  Port: uint,
  Node: string,
  Nack: bool,
  ...source,
})
export const AckResp = struct('ackResp', { SeqNo: uint, Payload: bytes })
export const NackResp = struct('nackResp', { SeqNo: uint })
export const Suspect = struct('suspect', { Incarnation: uint, Node: string, From: string })
export const Dead = struct('dead', { Incarnation: uint, Node: string, From: string })
export const Alive = struct('alive', {
  Incarnation: uint,
  Node: string,
  Addr: bytes,
  Port: uint,
  Meta: bytes,
  Vsn: bytes,
})
export const Compress = struct('compress', { Algo: uint, Buf: bytes })
export const ErrResp = struct('err', { Error: string })
export const UserHeader = struct('userMsgHeader', { UserMsgLen: uint })
export const PushPullHeader = struct('pushPullHeader', { Nodes: uint, UserStateLen: uint, Join: bool })
export const PushNodeState = struct('pushNodeState', {
  Name: string,
  Addr: bytes,
  Port: uint,
  Meta: bytes,
  Incarnation: uint,
  State: int,
  Vsn: bytes,
})

export type Ping = Infer<typeof Ping>
export type IndirectPing = Infer<typeof IndirectPing>
export type AckResp = Infer<typeof AckResp>
export type NackResp = Infer<typeof NackResp>
export type Suspect = Infer<typeof Suspect>
export type Dead = Infer<typeof Dead>
export type Alive = Infer<typeof Alive>
export type PushPullHeader = Infer<typeof PushPullHeader>
export type PushNodeState = Infer<typeof PushNodeState>

/** `State` of a PushNodeState. */
export const NODE_STATES = ['alive', 'suspect', 'dead', 'left'] as const
export type NodeState = (typeof NODE_STATES)[number]

/** Type byte and body. */
export function encodeMessage<T>(type: number, schema: Kind<T>, value: T): Buffer {
  const body = encode(schema, value)
  const out = Buffer.allocUnsafe(1 + body.length)
  out[0] = type
  body.copy(out, 1)
  return out
}

/** @throws HanseError MSGPACK_… */
export function decodeMessage<T>(schema: Kind<T>, body: Uint8Array): T {
  return decode(schema, body)
}

/**
 * The six version bytes of a node: memberlist protocol min, max, current, Serf protocol min, max, current.
 * What Consul and serf agents send.
 */
export const OUR_VERSIONS: Buffer = Buffer.from([1, 5, 2, 2, 5, 4])
export const VERSION_BYTES = 6
