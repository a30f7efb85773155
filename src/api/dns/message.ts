/**
 * DNS messages: their parts, and reading questions. Only what a server of names needs; pure. Writing is message-writer.ts.
 *
 * Source: RFC 1035 §4, RFC 2782 (SRV), RFC 6891 (EDNS), RFC 7871 (client subnet).
 */
import { apiError } from '../errors.ts'

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  AXFR: 252,
  ANY: 255,
} as const
export const CLASS_IN = 1
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const

export const HEADER_BYTES = 12
/** UDP without EDNS. RFC 1035 §4.2.1. */
export const PLAIN_UDP_BYTES = 512
export const MAX_MESSAGE_BYTES = 65_535
/** Longest query that is read; a question is at most 259 bytes. */
export const MAX_QUERY_BYTES = 4096
const MAX_NAME_BYTES = 255
export const MAX_LABEL_BYTES = 63
const POINTER = 0xc0
const CLIENT_SUBNET_OPTION = 8
export const FLAG_QR = 0x8000
export const FLAG_AA = 0x0400
export const FLAG_TC = 0x0200
export const FLAG_RD = 0x0100
export const FLAG_RA = 0x0080
export const OPCODE_SHIFT = 11

export interface Edns {
  readonly udpBytes: number
  readonly version: number
  /** The client-subnet option as it came, echoed in the answer. */
  readonly subnet: Buffer | undefined
}

export interface Question {
  readonly id: number
  readonly opcode: number
  readonly recursionDesired: boolean
  /** Labels as they were sent; a dot inside one is part of it. */
  readonly labels: readonly string[]
  readonly type: number
  readonly class: number
  readonly edns: Edns | undefined
}

/**
 * Reads a query.
 *
 * @throws HanseError DNS_MESSAGE when it is none: cut off, not one question, a bad name or OPT record
 */
export function readQuestion(message: Buffer): Question {
  if (message.length < HEADER_BYTES) throw malformed('shorter than a header')
  if (message.length > MAX_QUERY_BYTES) throw malformed(`longer than ${MAX_QUERY_BYTES} bytes`)
  const flags = message.readUInt16BE(2)
  if ((flags & FLAG_QR) !== 0) throw malformed('an answer, not a question')
  if (message.readUInt16BE(4) !== 1) throw malformed('not exactly one question')
  const { labels, end } = readName(message, HEADER_BYTES)
  if (end + 4 > message.length) throw malformed('the question is cut off')
  return {
    id: message.readUInt16BE(0),
    opcode: (flags >> OPCODE_SHIFT) & 0xf,
    recursionDesired: (flags & FLAG_RD) !== 0,
    labels,
    type: message.readUInt16BE(end),
    class: message.readUInt16BE(end + 2),
    edns: readEdns(message, end + 4),
  }
}

/** A name in a question: no compression there, so no pointer is followed. */
function readName(message: Buffer, start: number): { labels: string[]; end: number } {
  const labels: string[] = []
  let at = start
  for (;;) {
    const length = message[at]
    if (length === undefined) throw malformed('a name is cut off')
    if (length === 0) return { labels, end: at + 1 }
    if (length > MAX_LABEL_BYTES) throw malformed('a name is compressed or has a label above 63 bytes')
    if (at + 1 + length - start >= MAX_NAME_BYTES) throw malformed('a name is longer than 255 bytes')
    if (at + 1 + length > message.length) throw malformed('a name is cut off')
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
}

/** The OPT record, looked for among the records behind the question. */
function readEdns(message: Buffer, start: number): Edns | undefined {
  const others = message.readUInt16BE(6) + message.readUInt16BE(8)
  const records = others + message.readUInt16BE(10)
  let found: Edns | undefined
  let at = start
  for (let index = 0; index < records; index++) {
    at = skipName(message, at)
    if (at + 10 > message.length) throw malformed('a record is cut off')
    const length = message.readUInt16BE(at + 8)
    const end = at + 10 + length
    if (end > message.length) throw malformed('a record is cut off')
    if (message.readUInt16BE(at) === TYPE.OPT && index >= others) {
      if (found !== undefined) throw malformed('two OPT records')
      found = {
        udpBytes: message.readUInt16BE(at + 2),
        version: message[at + 5] ?? 0,
        subnet: subnetOf(message.subarray(at + 10, end)),
      }
    }
    at = end
  }
  return found
}

function skipName(message: Buffer, start: number): number {
  let at = start
  for (;;) {
    const length = message[at]
    if (length === undefined) throw malformed('a name is cut off')
    if (length === 0) return at + 1
    if ((length & POINTER) === POINTER) return at + 2
    if (length > MAX_LABEL_BYTES) throw malformed('a label above 63 bytes')
    at += 1 + length
  }
}

function subnetOf(options: Buffer): Buffer | undefined {
  let at = 0
  while (at + 4 <= options.length) {
    const end = at + 4 + options.readUInt16BE(at + 2)
    if (end > options.length) throw malformed('an EDNS option is cut off')
    if (options.readUInt16BE(at) === CLIENT_SUBNET_OPTION) return Buffer.from(options.subarray(at, end))
    at = end
  }
  return undefined
}

function malformed(problem: string): Error {
  return apiError('DNS_MESSAGE', { problem })
}

/** A name ready to be written, with its suffixes for compression. */
export interface WireName {
  /** Lower case, for comparing. */
  readonly key: string
  readonly labels: readonly string[]
  readonly wire: Buffer
}

/** A name from text; a dot inside a label is escaped with a backslash. Labels are cut at 63 bytes. */
export function wireName(text: string): WireName {
  return wireNameOf(labelsOf(text))
}

function wireNameOf(labels: readonly string[]): WireName {
  const parts: Buffer[] = []
  for (const label of labels) {
    const bytes = Buffer.from(label, 'latin1').subarray(0, MAX_LABEL_BYTES)
    parts.push(Buffer.from([bytes.length]), bytes)
  }
  return { key: labels.join('.').toLowerCase(), labels, wire: Buffer.concat([...parts, ROOT]) }
}

export const ROOT = Buffer.from([0])

function labelsOf(name: string): string[] {
  if (!name.includes('\\')) return name.split('.').filter((label) => label !== '')
  const found = name.match(/(?:\\.|[^.\\])+/g) ?? []
  return found.map((label) => label.replace(/\\(.)/g, '$1'))
}

/** What a record holds: bytes as they are, a name, or the forms that contain names. */
export type RecordData =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'name'; readonly name: WireName }
  | {
      readonly kind: 'srv'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: WireName
    }
  | { readonly kind: 'soa'; readonly mname: WireName; readonly rname: WireName; readonly numbers: readonly number[] }

export interface DnsRecord {
  /** Owner; undefined: the name that was asked. */
  readonly name: WireName | undefined
  readonly type: number
  readonly ttlSeconds: number
  readonly data: RecordData
}

export interface Reply {
  readonly rcode: number
  readonly authoritative: boolean
  readonly recursionAvailable: boolean
  readonly truncated: boolean
  readonly answers: readonly DnsRecord[]
  readonly authority: readonly DnsRecord[]
  readonly additional: readonly DnsRecord[]
}
