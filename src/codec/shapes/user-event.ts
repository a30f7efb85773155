/**
 * User events as the API shows them, and as gossip carries them.
 *
 * Gossip's form is a msgpack map of what is not empty, in the order of its short keys, and in today's spec: strings of 32
 * bytes and more are str8, byte strings bin. No other message of ours is written so.
 *
 * Source: gossip wire notes §15.
 */
import { bytes, decode, int, string, struct, uint } from '../schema.ts'

export const UserEvent = struct('UserEvent', {
  ID: string,
  Name: string,
  Payload: bytes,
  NodeFilter: string,
  ServiceFilter: string,
  TagFilter: string,
  Version: int,
  LTime: uint,
})
export type UserEvent = ReturnType<typeof UserEvent.of>

/** Of the form below; a higher one is not understood. */
export const USER_EVENT_VERSION = 1

const WireEvent = struct('userEvent', { ID: string, n: string, nf: string, p: bytes, sf: string, tf: string, v: int })

/** @throws MSGPACK_…; `LTime` is not in it */
export function decodeUserEvent(encoded: Buffer): UserEvent {
  const { ID, n, nf, p, sf, tf, v } = decode(WireEvent, encoded)
  return UserEvent.of({ ID, Name: n, NodeFilter: nf, Payload: p, ServiceFilter: sf, TagFilter: tf, Version: v })
}

export function encodeUserEvent(event: UserEvent): Buffer {
  const { ID, Name, NodeFilter, Payload, ServiceFilter, TagFilter, Version } = event
  const texts = { ID, n: Name, nf: NodeFilter }
  const parts = [
    ...Object.entries(texts)
      .filter(([, text]) => text !== '')
      .map(textField),
    ...(Payload === null || Payload.length === 0 ? [] : [Buffer.concat([textBytes('p'), binary(Payload)])]),
    ...Object.entries({ sf: ServiceFilter, tf: TagFilter })
      .filter(([, text]) => text !== '')
      .map(textField),
    Buffer.concat([textBytes('v'), Buffer.from([Version])]),
  ]
  return Buffer.concat([Buffer.from([0x80 | parts.length]), ...parts])
}

const textField = ([key, text]: [string, string]): Buffer => Buffer.concat([textBytes(key), textBytes(text)])

function textBytes(text: string): Buffer {
  const content = Buffer.from(text)
  if (content.length < 0x20) return Buffer.concat([Buffer.from([0xa0 | content.length]), content])
  return Buffer.concat([lengthBytes(0xd9, content.length), content])
}

function binary(content: Buffer): Buffer {
  return Buffer.concat([lengthBytes(0xc4, content.length), content])
}

/** The code and the length: one byte for it, or two under the next code. */
function lengthBytes(code: number, length: number): Buffer {
  return length < 0x100 ? Buffer.from([code, length]) : Buffer.from([code + 1, length >> 8, length & 0xff])
}
