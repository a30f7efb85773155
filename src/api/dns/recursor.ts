/**
 * Names outside our domains: asked of the configured servers, one after the other, by the transport that asked us. Which
 * comes first is for `recursor_strategy` to say.
 *
 * The question travels as it came, under an ID of our own from a port of its own, so that an answer cannot be guessed.
 */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { type Clock, parseHostPort, type Random, shuffled } from '#base'
import type { Transport } from './fit.ts'
import { HEADER_BYTES, MAX_MESSAGE_BYTES } from './message.ts'
import type { DnsSettings } from './settings.ts'

const DNS_PORT = 53
/** Questions that wait for other servers at one time. */
export const MAX_FORWARDED = 512

export type RecursorSettings = Pick<DnsSettings, 'recursors' | 'recursorTimeoutMs' | 'recursorStrategy'>

export class Recursor {
  readonly #clock: Clock
  readonly #random: Random
  #waiting = 0

  constructor(options: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = options.clock
    this.#random = options.random
  }

  /** The first answer that comes, with the ID of the question; undefined when none did. */
  async ask(
    message: Buffer,
    transport: Transport,
    { recursors, recursorTimeoutMs, recursorStrategy }: RecursorSettings,
  ): Promise<Buffer | undefined> {
    const servers = recursorStrategy === 'random' ? shuffled(recursors, this.#random) : recursors
    if (this.#waiting >= MAX_FORWARDED) return undefined
    this.#waiting++
    try {
      for (const server of servers) {
        const answer = await this.#one(message, transport, server, recursorTimeoutMs)
        if (answer !== undefined) return answer
      }
      return undefined
    } finally {
      this.#waiting--
    }
  }

  async #one(message: Buffer, transport: Transport, server: string, timeoutMs: number): Promise<Buffer | undefined> {
    const address = parseHostPort(server, DNS_PORT)
    if (address === undefined) return undefined
    const question = Buffer.from(message)
    this.#random.bytes(2).copy(question)
    const exchange = transport === 'udp' ? askByUdp : askByTcp
    const answer = await exchange(question, address, this.#clock, timeoutMs)
    if (answer !== undefined) message.copy(answer, 0, 0, 2)
    return answer
  }
}

type Address = { readonly host: string; readonly port: number }

function matches(answer: Buffer, question: Buffer): boolean {
  return (
    answer.length >= HEADER_BYTES && answer.readUInt16BE(0) === question.readUInt16BE(0) && (answer[2] ?? 0) >= 0x80
  )
}

function askByUdp(question: Buffer, address: Address, clock: Clock, timeoutMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.host.includes(':') ? 'udp6' : 'udp4')
    const finish = (answer: Buffer | undefined) => {
      timer.cancel()
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close()
      resolve(answer)
    }
    const timer = clock.after(timeoutMs, () => finish(undefined))
    socket.on('error', () => finish(undefined))
    socket.on('message', (answer) => {
      if (matches(answer, question)) finish(Buffer.from(answer))
    })
    // Connected: what comes from elsewhere never arrives.
    socket.connect(address.port, address.host, () => socket.send(question))
  })
}

function askByTcp(question: Buffer, address: Address, clock: Clock, timeoutMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host)
    let received: Buffer = Buffer.alloc(0)
    const finish = (answer: Buffer | undefined) => {
      timer.cancel()
      socket.destroy()
      resolve(answer)
    }
    const timer = clock.after(timeoutMs, () => finish(undefined))
    socket.on('error', () => finish(undefined))
    socket.on('end', () => finish(undefined))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length > MAX_MESSAGE_BYTES + 2) finish(undefined)
      else if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const answer = received.subarray(2, 2 + received.readUInt16BE(0))
        finish(matches(answer, question) ? Buffer.from(answer) : undefined)
      }
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.length)
    socket.write(Buffer.concat([length, question]))
  })
}
