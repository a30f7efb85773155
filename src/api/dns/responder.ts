/**
 * One DNS message in, one out: from the cache, from the resolver, or from other servers. No sockets here.
 */
import type { Clock, Logger, Metrics, Random } from '#base'
import type { Endpoints } from '#endpoints'
import { AnswerCache, MAX_KEY_BYTES } from './answer-cache.ts'
import { fit, type Transport } from './fit.ts'
import { lookupOf } from './lookup.ts'
import { CLASS_IN, HEADER_BYTES, MAX_QUERY_BYTES, type Question, RCODE, readQuestion } from './message.ts'
import { writeFormatError } from './message-writer.ts'
import { Recursor } from './recursor.ts'
import { type Resolution, resolution } from './resolution.ts'
import { Resolver } from './resolver.ts'
import type { DnsSettings } from './settings.ts'

/** Answers that are being made for other datacenters at one time; above it: SERVFAIL. */
export const MAX_PENDING = 1024
const QR_BIT = 0x80
const COUNTS_AT = 10

export interface ResponderOptions {
  readonly endpoints: Endpoints
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
  /** Whose eyes DNS sees with, where there is access control. */
  readonly token?: () => string
}

export class Responder {
  readonly #options: ResponderOptions
  readonly #cache = new AnswerCache()
  readonly #recursor: Recursor
  #resolver: Resolver
  #pending = 0

  constructor(options: ResponderOptions, settings: DnsSettings) {
    this.#options = options
    this.#recursor = new Recursor(options)
    this.#resolver = new Resolver(options, settings)
  }

  /** Takes other settings from now on. */
  configure(settings: DnsSettings): void {
    this.#resolver = new Resolver(this.#options, settings)
    this.#cache.clear()
  }

  /** @returns undefined for what deserves no answer: fragments, answers, floods of bytes */
  respond(message: Buffer, transport: Transport): Buffer | Promise<Buffer> | undefined {
    const key = keyOf(message, transport)
    const known = key === undefined ? undefined : this.#cache.answer(key, message)
    if (known !== undefined) return known
    const question = this.#read(message)
    if (question === undefined || Buffer.isBuffer(question)) return question
    return this.#answer(question, message, transport, key)
  }

  /** The question, or the answer to something that is none, or nothing. */
  #read(message: Buffer): Question | Buffer | undefined {
    try {
      return readQuestion(message)
    } catch {
      this.#options.metrics.count('hanse.dns.malformed')
      const isAnswer = ((message[2] ?? 0) & QR_BIT) !== 0
      if (message.length < HEADER_BYTES || message.length > MAX_QUERY_BYTES || isAnswer) return undefined
      return writeFormatError(message)
    }
  }

  #answer(
    question: Question,
    message: Buffer,
    transport: Transport,
    key: string | undefined,
  ): Buffer | Promise<Buffer> {
    const { settings } = this.#resolver
    const encode = (found: Resolution) => fit(question, found, transport, settings, this.#options.random)
    const found = this.#resolve(question)
    if (found === 'foreign') return this.#forward(question, message, transport)
    if (!(found instanceof Promise)) {
      if (key !== undefined) this.#cache.keep(key, found, () => encode(found))
      return encode(found)
    }
    if (this.#pending >= MAX_PENDING) return encode(resolution({ rcode: RCODE.SERVFAIL }))
    this.#pending++
    return found.then(encode).finally(() => {
      this.#pending--
    })
  }

  #resolve(question: Question): Resolution | Promise<Resolution> | 'foreign' {
    const { settings } = this.#resolver
    if (question.opcode !== 0) return resolution({ rcode: RCODE.NOTIMP, authoritative: false })
    if ((question.edns?.version ?? 0) > 0) return resolution({ rcode: RCODE.BADVERS, authoritative: false })
    const zone = { ...settings, datacenter: this.#options.endpoints.datacenter }
    const lookup = lookupOf(question.labels, zone)
    if (question.class !== CLASS_IN) return resolution({ rcode: RCODE.REFUSED, authoritative: false })
    if (lookup.kind === 'foreign') return 'foreign'
    const found = this.#resolver.resolve(question, lookup)
    const isUnknownAddress = lookup.kind === 'reverse' && settings.recursors.length > 0
    if (isUnknownAddress && !(found instanceof Promise) && found.rcode === RCODE.NXDOMAIN) return 'foreign'
    return found
  }

  async #recurse(question: Question, message: Buffer, transport: Transport): Promise<Buffer> {
    const { settings } = this.#resolver
    const answer = await this.#recursor.ask(message, transport, settings)
    if (answer !== undefined) return answer
    this.#options.metrics.count('hanse.dns.recursors_failed')
    const failed = resolution({ rcode: RCODE.SERVFAIL, authoritative: false })
    return fit(question, failed, transport, settings, this.#options.random)
  }

  #forward(question: Question, message: Buffer, transport: Transport): Buffer | Promise<Buffer> {
    const { settings } = this.#resolver
    if (settings.recursors.length > 0) return this.#recurse(question, message, transport)
    const refused = resolution({ rcode: RCODE.REFUSED, authoritative: false })
    return fit(question, refused, transport, settings, this.#options.random)
  }
}

/** All but the ID; undefined for messages with EDNS options, which differ from query to query. */
function keyOf(message: Buffer, transport: Transport): string | undefined {
  if (message.length < HEADER_BYTES || message.length > MAX_KEY_BYTES) return undefined
  const hasRecords = message.readUInt16BE(COUNTS_AT) !== 0
  // A bare OPT record ends in a length of zero.
  if (hasRecords && message.readUInt16BE(message.length - 2) !== 0) return undefined
  const text = message.toString('latin1', 2)
  return transport === 'udp' ? text : `tcp${text}`
}
