/**
 * Writing DNS answers: records, and names that point to earlier ones.
 *
 * Source: RFC 1035 §4.1, RFC 2782 (targets are not compressed), RFC 6891 (EDNS).
 */
import {
  CLASS_IN,
  type DnsRecord,
  type Edns,
  FLAG_AA,
  FLAG_QR,
  FLAG_RA,
  FLAG_RD,
  FLAG_TC,
  HEADER_BYTES,
  MAX_LABEL_BYTES,
  OPCODE_SHIFT,
  type Question,
  RCODE,
  type RecordData,
  type Reply,
  ROOT,
  TYPE,
  type WireName,
} from './message.ts'

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
