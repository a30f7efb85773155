/**
 * Reads the first flight of a TLS client without taking part in it: the name it asks for (SNI) and the protocols it
 * offers (ALPN). That is all a gateway may know of a connection that it passes on.
 *
 * Pure and bounded: the bytes so far go in, "not complete yet" or the answer comes out. A hello may be split over TCP
 * segments and over TLS records.
 *
 * Source: RFC 8446 §4.1.2, §5.1; RFC 6066 §3 (server_name); RFC 7301 §3.1 (ALPN).
 */
import { netError } from './errors.ts'

/** Longest hello read, records and all. Real ones have 0.3 to 2 KiB. */
export const MAX_CLIENT_HELLO_BYTES = 16 * 1024

/** Real hellos come in one record; some clients split them into a few. */
const MAX_RECORDS = 64
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_HEADER_BYTES = 4
const TYPE = { handshakeRecord: 22, clientHello: 1, serverName: 0, alpn: 16, hostName: 0 } as const

export type ClientHello =
  | { readonly complete: false }
  | { readonly complete: true; readonly sni: string | undefined; readonly alpn: readonly string[] }

function invalid(reason: string): never {
  throw netError('CLIENT_HELLO_INVALID', { reason })
}

/**
 * Reads a client hello from the first bytes of a connection.
 *
 * @param bytes - all bytes so far, from the first on
 * @throws CLIENT_HELLO_INVALID when they can no longer become a client hello, or are more than 16 KiB
 */
export function parseClientHello(bytes: Buffer): ClientHello {
  const handshake = joinRecords(bytes)
  if (handshake.length > 0 && handshake[0] !== TYPE.clientHello) invalid('the first message is no client hello')
  if (handshake.length >= HANDSHAKE_HEADER_BYTES) {
    const length = handshake.readUIntBE(1, 3)
    if (length > MAX_CLIENT_HELLO_BYTES) invalid(`it announces ${length} bytes, the limit is ${MAX_CLIENT_HELLO_BYTES}`)
    const end = HANDSHAKE_HEADER_BYTES + length
    if (handshake.length >= end) return readHello(handshake.subarray(HANDSHAKE_HEADER_BYTES, end))
  }
  if (bytes.length >= MAX_CLIENT_HELLO_BYTES) invalid(`it is longer than ${MAX_CLIENT_HELLO_BYTES} bytes`)
  return { complete: false }
}

/**
 * The handshake bytes inside the records that are there, the last one possibly cut. Records behind the hello are none
 * of our business and are not looked at.
 */
function joinRecords(bytes: Buffer): Buffer {
  let handshake: Buffer = Buffer.alloc(0)
  let records = 0
  for (let at = 0; at < bytes.length; records++) {
    if (bytes[at] !== TYPE.handshakeRecord) invalid('it does not begin with a TLS handshake record')
    if ((bytes[at + 1] ?? 3) !== 3) invalid('it is not of TLS version 1.x')
    if (records >= MAX_RECORDS) invalid(`it is split over more than ${MAX_RECORDS} records`)
    if (at + RECORD_HEADER_BYTES > bytes.length) break
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > MAX_CLIENT_HELLO_BYTES) invalid(`it has a TLS record of ${length} bytes`)
    const content = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length)
    handshake = records === 0 ? content : Buffer.concat([handshake, content])
    if (helloComplete(handshake)) break
    at += RECORD_HEADER_BYTES + length
  }
  return handshake
}

function helloComplete(handshake: Buffer): boolean {
  if (handshake.length < HANDSHAKE_HEADER_BYTES) return false
  return handshake.length >= HANDSHAKE_HEADER_BYTES + handshake.readUIntBE(1, 3)
}

/** Takes vectors with a length in front off the bytes; a length beyond the end is invalid. */
class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get empty(): boolean {
    return this.#at >= this.#bytes.length
  }

  take(bytes: number): Buffer {
    if (this.#at + bytes > this.#bytes.length) invalid('a field is longer than the hello')
    this.#at += bytes
    return this.#bytes.subarray(this.#at - bytes, this.#at)
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes)
  }

  vector(lengthBytes: 1 | 2): Buffer {
    return this.take(this.number(lengthBytes))
  }
}

function readHello(hello: Buffer): ClientHello {
  const fields = new Fields(hello)
  fields.take(2 + 32)
  fields.vector(1)
  fields.vector(2)
  fields.vector(1)
  let sni: string | undefined
  let alpn: readonly string[] = []
  const extensions = new Fields(fields.empty ? Buffer.alloc(0) : fields.vector(2))
  while (!extensions.empty) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === TYPE.serverName) sni = readServerName(content)
    else if (type === TYPE.alpn) alpn = readAlpn(content)
  }
  return { complete: true, sni, alpn }
}

function readServerName(content: Buffer): string | undefined {
  const names = new Fields(new Fields(content).vector(2))
  while (!names.empty) {
    const type = names.number(1)
    const name = names.vector(2)
    if (type !== TYPE.hostName) continue
    if (name.length === 0 || name.length > 255 || !name.every((byte) => byte > 0x20 && byte < 0x7f)) {
      invalid('its server name is no host name')
    }
    return name.toString('latin1').toLowerCase()
  }
  return undefined
}

function readAlpn(content: Buffer): string[] {
  const list = new Fields(new Fields(content).vector(2))
  const protocols: string[] = []
  while (!list.empty) protocols.push(list.vector(1).toString('latin1'))
  return protocols
}
