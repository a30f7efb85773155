/**
 * DER: the few ASN.1 shapes that certificates are made of, written and walked.
 *
 * The writer makes definite lengths only; the reader walks one tag-length-value after another with its limits checked.
 * What the values mean is the business of x509.ts.
 *
 * Source: ITU-T X.690 (DER).
 */
import { x509Error } from './x509-errors.ts'

export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

/** One tag-length-value. */
export function derValue(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthBytes(content.length), content])
}

export function derSequence(...parts: readonly Uint8Array[]): Buffer {
  return derValue(DER_TAG.sequence, ...parts)
}

/** A non-negative integer from its big-endian bytes. */
export function derInteger(bytes: Uint8Array): Buffer {
  let from = 0
  while (from < bytes.length - 1 && bytes[from] === 0) from++
  const trimmed = bytes.subarray(from)
  const signed = (trimmed[0] ?? 0) >= 0x80
  return derValue(DER_TAG.integer, signed ? Buffer.from([0]) : Buffer.alloc(0), trimmed)
}

/** "2.5.29.15" as an object identifier. */
export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const part of [first * 40 + second, ...rest]) {
    const groups = [part & 0x7f]
    for (let high = Math.floor(part / 128); high > 0; high = Math.floor(high / 128))
      groups.unshift(0x80 | (high & 0x7f))
    bytes.push(...groups)
  }
  return derValue(DER_TAG.oid, Buffer.from(bytes))
}

/** A bit string whose last byte has `unusedBits` meaningless bits. */
export function derBitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return derValue(DER_TAG.bitString, Buffer.from([unusedBits]), bytes)
}

export function derBoolean(value: boolean): Buffer {
  return derValue(DER_TAG.boolean, Buffer.from([value ? 0xff : 0x00]))
}

/** A validity stamp: UTCTime up to 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5). Seconds precision. */
export function derTime(wallMs: number): Buffer {
  const digits = new Date(wallMs).toISOString().replace(/[-:T]|\.\d+Z/g, '')
  if (Number(digits.slice(0, 4)) < 2050) return derValue(DER_TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`))
  return derValue(DER_TAG.generalizedTime, Buffer.from(`${digits}Z`))
}

/** One value as found: its tag, its content, and the whole of it with tag and length. */
export interface DerItem {
  readonly tag: number
  readonly content: Buffer
  readonly whole: Buffer
}

/**
 * The values that `bytes` consist of, one after another.
 *
 * @throws X509_BAD_DER when a length runs past the end or has a form that DER does not allow
 */
export function derItems(bytes: Buffer): DerItem[] {
  const items: DerItem[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1]
    if (first === undefined) throw x509Error('X509_BAD_DER', { reason: 'it ends inside a header' })
    const lengthSize = first < 0x80 ? 0 : first & 0x7f
    if (first === 0x80 || lengthSize > 4) throw x509Error('X509_BAD_DER', { reason: 'a length has a form DER forbids' })
    if (at + 2 + lengthSize > bytes.length) throw x509Error('X509_BAD_DER', { reason: 'it ends inside a length' })
    const length = lengthSize === 0 ? first : bytes.readUIntBE(at + 2, lengthSize)
    const start = at + 2 + lengthSize
    if (start + length > bytes.length)
      throw x509Error('X509_BAD_DER', { reason: 'a value is longer than what holds it' })
    items.push({ tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) })
    at = start + length
  }
  return items
}
