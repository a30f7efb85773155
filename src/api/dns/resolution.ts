/**
 * An answer before it is cut to size: units that may be shuffled and dropped, and what goes with all of them.
 */
import { ipToBytes } from '#base'
import type { LiveAnswer } from '#endpoints'
import { type DnsRecord, RCODE, type RecordData, TYPE, type WireName, wireName } from './message.ts'

/** One answer with the records that go with it: dropped together. `extra` goes first when room is short. */
export interface Unit {
  readonly answer: DnsRecord
  readonly essential: readonly DnsRecord[]
  readonly extra: readonly DnsRecord[]
}

export interface Resolution {
  readonly rcode: number
  readonly authoritative: boolean
  readonly units: readonly Unit[]
  readonly authority: readonly DnsRecord[]
  /** Beside the units' own. */
  readonly additional: readonly DnsRecord[]
  /** Answers in random order, and limited in number. */
  readonly balanced: boolean
  /** What it was made from; it may be used again until one of these fires. Undefined: not at all. */
  readonly sources: readonly Pick<LiveAnswer<unknown>, 'fired'>[] | undefined
}

const EMPTY: Resolution = {
  rcode: RCODE.NOERROR,
  authoritative: true,
  units: [],
  authority: [],
  additional: [],
  balanced: false,
  sources: [],
}

export function resolution(given: Partial<Resolution>): Resolution {
  return { ...EMPTY, ...given }
}

/** A unit without company. */
export function alone(answer: DnsRecord): Unit {
  return { answer, essential: [], extra: [] }
}

export function record(name: WireName | undefined, type: number, ttlSeconds: number, data: RecordData): DnsRecord {
  return { name, type, ttlSeconds, data }
}

/** An address as an A or AAAA record; a host name as a CNAME. */
export function addressRecord(name: WireName | undefined, address: string, ttlSeconds: number): DnsRecord {
  const bytes = ipToBytes(address)
  if (bytes === undefined) return record(name, TYPE.CNAME, ttlSeconds, { kind: 'name', name: wireName(address) })
  return record(name, bytes.length === 4 ? TYPE.A : TYPE.AAAA, ttlSeconds, { kind: 'bytes', bytes })
}

/** Whether a question of `type` is answered by a record of `held`. */
export function wants(type: number, held: number): boolean {
  if (type === TYPE.A || type === TYPE.AAAA) return held === type || held === TYPE.CNAME
  return true
}
