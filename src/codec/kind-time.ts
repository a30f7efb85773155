/**
 * Points in time: RFC 3339 text here and in JSON, 15 bytes on the wire.
 *
 * Source: RPC wire notes §4.
 */
import { codecError } from './errors.ts'
import { jsonType, type Kind } from './kind.ts'

const EPOCH_OFFSET_S = 62_135_596_800n
/** Go's zero time, as JSON shows it. */
export const ZERO_TIME = '0001-01-01T00:00:00Z'

/** A point in time as RFC 3339 text with up to nanoseconds, as JSON shows it; 15 bytes on the wire. */
export const time: Kind<string> = {
  kindName: 'time',
  zero: () => ZERO_TIME,
  isEmpty: (value) => value === ZERO_TIME,
  write: (writer, value) => writer.raw(timeToBytes(value)),
  read: (reader) => (reader.nil() ? ZERO_TIME : timeFromBytes(reader.raw(), reader.offset)),
  toJson: (value) => value,
  fromJson: (json, path) =>
    json === null ? ZERO_TIME : typeof json === 'string' && TIME_TEXT.test(json) ? json : jsonType('time', json, path),
}

const TIME_TEXT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/

/** RFC 3339 text → version 1, int64 seconds since the year 1, int32 nanoseconds, int16 zone minutes (-1: UTC). */
export function timeToBytes(text: string): Buffer {
  const match = TIME_TEXT.exec(text)
  if (!match) throw codecError('TIME_TEXT', { text })
  const zone = match[8]!
  const offsetMinutes =
    zone === 'Z' ? 0 : (zone.startsWith('-') ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)))
  const year = Number(match[1])
  const utc = new Date(0)
  utc.setUTCFullYear(year, Number(match[2]) - 1, Number(match[3]))
  utc.setUTCHours(Number(match[4]), Number(match[5]), Number(match[6]))
  const seconds = BigInt(Math.round(utc.getTime() / 1000) - offsetMinutes * 60) + EPOCH_OFFSET_S
  const out = Buffer.alloc(15)
  out[0] = 1
  out.writeBigInt64BE(seconds, 1)
  out.writeInt32BE(Number((match[7] ?? '').padEnd(9, '0')), 9)
  out.writeInt16BE(zone === 'Z' ? -1 : offsetMinutes, 13)
  return out
}

/** The inverse of timeToBytes(); also takes the 16-byte form (version 2) of zones with seconds. */
export function timeFromBytes(raw: Uint8Array, offset = 0): string {
  const at = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const good = (at.length === 15 && at[0] === 1) || (at.length === 16 && at[0] === 2)
  if (!good) throw codecError('MSGPACK_TYPE', { wanted: 'a time', got: at.subarray(0, 1).toString('hex'), offset })
  const zone = at.readInt16BE(13)
  const minutes = zone === -1 ? 0 : zone
  const unixMs = Number(at.readBigInt64BE(1) - EPOCH_OFFSET_S + BigInt(minutes * 60)) * 1000
  const date = new Date(unixMs)
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0 || date.getUTCFullYear() > 9999) {
    throw codecError('MSGPACK_LIMIT', { what: 'year', limit: 9999, offset })
  }
  const nanos = at.readInt32BE(9)
  const fraction = nanos > 0 ? `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}` : ''
  const sign = minutes < 0 ? '-' : '+'
  const abs = Math.abs(minutes)
  const suffix =
    zone === -1 || zone === 0
      ? 'Z'
      : `${sign}${String(Math.floor(abs / 60)).padStart(2, '0')}:${String(abs % 60).padStart(2, '0')}`
  return `${date.toISOString().slice(0, 19)}${fraction}${suffix}`
}
