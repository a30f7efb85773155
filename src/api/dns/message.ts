/**
 * DNS messages: reading questions, writing answers. Only what a server of names needs; pure.
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
const MAX_LABEL_BYTES = 63
const POINTER = 0xc0
const CLIENT_SUBNET_OPTION = 8
const FLAG_QR = 0x8000
const FLAG_AA = 0x0400
const FLAG_TC = 0x0200
const FLAG_RD = 0x0100
const FLAG_RA = 0x0080
const OPCODE_SHIFT = 11

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

const ROOT = Buffer.from([0])

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

const POINTER_16 = 0xc000
/** Offsets that a pointer can hold. */
const MAX_POINTED = 0x3fff

/** Writes one message into a buffer that grows. */
class Writer {
  #bytes = Buffer.allocUnsafe(4096)
  #at = 0
  /** Lower-case name or suffix of one → where it stands. */
  readonly #names = new Map<string, number>()
  readonly #compress: boolean

  constructor(compress: boolean) {
    this.#compress = compress
  }

  get length(): number {
    return this.#at
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }

  u16(value: number): void {
    this.#room(2)
    this.#bytes[this.#at++] = value >>> 8
    this.#bytes[this.#at++] = value
  }

  u32(value: number): void {
    this.u16(value >>> 16)
    this.u16(value & 0xffff)
  }

  raw(bytes: Buffer): void {
    this.#room(bytes.length)
    this.#at += bytes.copy(this.#bytes, this.#at)
  }

  setU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8
    this.#bytes[at + 1] = value
  }

  /** The name that was asked, which stands behind the header. */
  asked(labels: readonly string[]): void {
    if (this.#compress && this.#at > HEADER_BYTES) this.u16(POINTER_16 | HEADER_BYTES)
    else this.#suffixes(labels)
  }

  /** A name that may point to an earlier one, whole or in part. */
  name(name: WireName): void {
    const known = this.#compress ? this.#names.get(name.key) : undefined
    if (known !== undefined) this.u16(POINTER_16 | known)
    else this.#suffixes(name.labels)
  }

  /** A name that is written out; later ones may point to it. */
  plain(name: WireName): void {
    if (this.#at <= MAX_POINTED && !this.#names.has(name.key)) this.#names.set(name.key, this.#at)
    this.raw(name.wire)
  }

  #suffixes(labels: readonly string[]): void {
    for (let index = 0; index < labels.length; index++) {
      const suffix = labels.slice(index).join('.').toLowerCase()
      const known = this.#compress ? this.#names.get(suffix) : undefined
      if (known !== undefined) {
        this.u16(POINTER_16 | known)
        return
      }
      if (this.#at <= MAX_POINTED) this.#names.set(suffix, this.#at)
      const label = Buffer.from(labels[index] ?? '', 'latin1').subarray(0, MAX_LABEL_BYTES)
      this.#room(1 + label.length)
      this.#bytes[this.#at++] = label.length
      this.#at += label.copy(this.#bytes, this.#at)
    }
    this.raw(ROOT)
  }
}

/** The question section and the name offsets that records can point to. */
export interface WriteOptions {
  readonly compress: boolean
}

/** Writes an answer to a question. ID and RD come from the question. */
export function writeReply(question: Question, reply: Reply, options: WriteOptions = { compress: true }): Buffer {
  const writer = new Writer(options.compress)
  writer.u16(question.id)
  writer.u16(flagsOf(question, reply))
  writer.u16(1)
  writer.u16(reply.answers.length)
  writer.u16(reply.authority.length)
  writer.u16(reply.additional.length + (question.edns === undefined ? 0 : 1))
  writer.asked(question.labels)
  writer.u16(question.type)
  writer.u16(question.class)
  for (const record of reply.answers) writeRecord(writer, question, record)
  for (const record of reply.authority) writeRecord(writer, question, record)
  for (const record of reply.additional) writeRecord(writer, question, record)
  if (question.edns !== undefined) writeOpt(writer, question.edns, reply.rcode)
  return writer.finish()
}

function flagsOf(question: Question, reply: Reply): number {
  return (
    FLAG_QR |
    (question.opcode << OPCODE_SHIFT) |
    (reply.authoritative ? FLAG_AA : 0) |
    (reply.truncated ? FLAG_TC : 0) |
    (question.recursionDesired ? FLAG_RD : 0) |
    (reply.recursionAvailable ? FLAG_RA : 0) |
    (reply.rcode & 0xf)
  )
}

function writeRecord(writer: Writer, question: Question, record: DnsRecord): void {
  if (record.name === undefined) writer.asked(question.labels)
  else writer.name(record.name)
  writer.u16(record.type)
  writer.u16(CLASS_IN)
  writer.u32(record.ttlSeconds)
  const lengthAt = writer.length
  writer.u16(0)
  writeData(writer, record.data)
  writer.setU16(lengthAt, writer.length - lengthAt - 2)
}

function writeData(writer: Writer, data: RecordData): void {
  if (data.kind === 'bytes') writer.raw(data.bytes)
  else if (data.kind === 'name') writer.name(data.name)
  else if (data.kind === 'srv') {
    writer.u16(data.priority)
    writer.u16(data.weight)
    writer.u16(data.port)
    // RFC 2782: the target is not compressed.
    writer.plain(data.target)
  } else {
    writer.name(data.mname)
    writer.name(data.rname)
    for (const number of data.numbers) writer.u32(number)
  }
}

function writeOpt(writer: Writer, edns: Edns, rcode: number): void {
  writer.raw(ROOT)
  writer.u16(TYPE.OPT)
  writer.u16(edns.udpBytes)
  writer.u32(((rcode >> 4) << 24) >>> 0)
  writer.u16(edns.subnet?.length ?? 0)
  if (edns.subnet !== undefined) writer.raw(edns.subnet)
}

/** FORMERR for a message whose question cannot be read: the header alone. */
export function writeFormatError(message: Buffer): Buffer {
  const out = Buffer.alloc(HEADER_BYTES)
  message.copy(out, 0, 0, 2)
  const recursionDesired = (message.readUInt16BE(2) & FLAG_RD) !== 0
  out.writeUInt16BE(FLAG_QR | (recursionDesired ? FLAG_RD : 0) | RCODE.FORMERR, 2)
  return out
}

const TXT_CHUNK_BYTES = 255

/** A text as TXT data: strings of at most 255 bytes. */
export function txtData(text: string): RecordData {
  const bytes = Buffer.from(text)
  const parts: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += TXT_CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + TXT_CHUNK_BYTES)
    parts.push(Buffer.from([chunk.length]), chunk)
  }
  return { kind: 'bytes', bytes: Buffer.concat(parts) }
}
