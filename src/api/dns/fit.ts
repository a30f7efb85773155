/**
 * A resolution → a message that fits: shuffled, limited in number, and cut to the transport's size. Pure but for chance.
 */
import type { Random } from '#base'
import { type DnsRecord, MAX_MESSAGE_BYTES, PLAIN_UDP_BYTES, type Question, type Reply, TYPE } from './message.ts'
import { writeReply } from './message-writer.ts'
import type { Resolution, Unit } from './resolution.ts'
import type { DnsSettings } from './settings.ts'

export type Transport = 'udp' | 'tcp'

/** The answer's bytes, with the question's ID. */
export function fit(
  question: Question,
  found: Resolution,
  transport: Transport,
  settings: DnsSettings,
  random: Random,
): Buffer {
  const limitBytes = limitOf(question, transport)
  const count = found.balanced
    ? limitedCount(question, found.units, transport, settings, limitBytes)
    : found.units.length
  const units = found.balanced ? picked(found.units, count, random) : found.units
  const wasLimited = transport === 'udp' && limitedByTransport(count, found.units.length, settings)
  const write = (kept: readonly Unit[], extras: boolean) => {
    const isCut = wasLimited || kept.length < units.length
    return writeReply(question, replyOf(found, kept, extras, isCut, settings), {
      compress: !settings.disableCompression,
    })
  }
  const whole = write(units, true)
  if (whole.length <= limitBytes) return whole
  const hasExtras = units.some(({ extra }) => extra.length > 0)
  const bare = hasExtras ? write(units, false) : whole
  return bare.length <= limitBytes ? bare : cutToSize(units, bare.length, write, limitBytes)
}

function limitOf(question: Question, transport: Transport): number {
  if (transport === 'tcp') return MAX_MESSAGE_BYTES
  return Math.max(question.edns?.udpBytes ?? 0, PLAIN_UDP_BYTES)
}

function limitedCount(
  question: Question,
  units: readonly Unit[],
  transport: Transport,
  settings: DnsSettings,
  limitBytes: number,
): number {
  const isAddress = question.type !== TYPE.SRV
  const aLimit = isAddress && settings.aRecordLimit > 0 ? settings.aRecordLimit : units.length
  const udpLimit = transport === 'udp' && limitBytes <= PLAIN_UDP_BYTES ? settings.udpAnswerLimit : units.length
  return Math.min(units.length, aLimit, udpLimit)
}

function limitedByTransport(count: number, total: number, settings: DnsSettings): boolean {
  return count < total && count === settings.udpAnswerLimit
}

/** `count` of the units in random order: the first steps of a Fisher-Yates shuffle. */
function picked(units: readonly Unit[], count: number, random: Random): Unit[] {
  const out = [...units]
  for (let index = 0; index < count; index++) {
    const other = index + random.int(out.length - index)
    const held = out[index]
    const chosen = out[other]
    if (held === undefined || chosen === undefined) break
    out[index] = chosen
    out[other] = held
  }
  return out.slice(0, count)
}

/** The most units that fit. Units are much alike, so the first guess is close. */
function cutToSize(
  units: readonly Unit[],
  allBytes: number,
  write: (kept: readonly Unit[], extras: boolean) => Buffer,
  limit: number,
): Buffer {
  let best = write([], false)
  const each = (allBytes - best.length) / units.length
  let count = Math.min(units.length - 1, Math.max(0, Math.floor((limit - best.length) / each)))
  let bytes = write(units.slice(0, count), false)
  while (bytes.length > limit && count > 0) bytes = write(units.slice(0, --count), false)
  while (bytes.length <= limit) {
    best = bytes
    if (++count >= units.length) break
    bytes = write(units.slice(0, count), false)
  }
  return best
}

function replyOf(
  found: Resolution,
  units: readonly Unit[],
  extras: boolean,
  isCut: boolean,
  settings: DnsSettings,
): Reply {
  const additional: DnsRecord[] = [...found.additional]
  for (const unit of units) {
    additional.push(...unit.essential)
    if (extras) additional.push(...unit.extra)
  }
  return {
    rcode: found.rcode,
    authoritative: found.authoritative,
    recursionAvailable: settings.recursors.length > 0,
    truncated: isCut && settings.enableTruncate,
    answers: units.map(({ answer }) => answer),
    authority: found.authority,
    additional,
  }
}
