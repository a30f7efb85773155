/**
 * Runs stream exchanges over any Duplex, a socket or a stream that gateways carry: write, read one message, close.
 */
import type { Duplex } from 'node:stream'
import { type Clock, codeOf, messageOf } from '#base'
import type { PacketLayers } from './packet.ts'
import { type StreamMessage, type StreamProblem, StreamReader } from './stream.ts'

export interface StreamFailure {
  readonly error: string
  readonly problem?: StreamProblem
}

export type StreamOutcome = { readonly message: StreamMessage } | StreamFailure

const DIAL_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ECONNRESET: 'connection reset by peer',
  ETIMEDOUT: 'i/o timeout',
}

/** The text of a network error as Consul's users know it. */
export function networkErrorText(thrown: unknown): string {
  return DIAL_ERRORS[codeOf(thrown) ?? ''] ?? messageOf(thrown)
}

/**
 * Reads one message from a stream; never rejects. The stream stays open.
 *
 * @param writer - which side's bytes these are
 */
export function readMessage(
  stream: Duplex,
  options: { layers: PacketLayers; writer: 'initiator' | 'responder'; timeoutMs: number; clock: Clock },
): Promise<StreamOutcome> {
  return new Promise((resolve) => {
    const reader = new StreamReader(options.layers, options.writer)
    const finish = (outcome: StreamOutcome) => {
      timer.cancel()
      stream.off('data', onData)
      stream.off('end', onEnd)
      stream.off('close', onEnd)
      stream.off('error', onError)
      resolve(outcome)
    }
    const onData = (chunk: Buffer) => {
      try {
        const message = reader.push(chunk)
        if (message) finish({ message })
      } catch (thrown) {
        finish({ error: messageOf(thrown), problem: reader.problem })
      }
    }
    const onEnd = () => finish({ error: 'EOF' })
    const onError = (thrown: Error) => finish({ error: networkErrorText(thrown) })
    const timer = options.clock.after(options.timeoutMs, () => finish({ error: 'i/o timeout' }))
    stream.on('data', onData)
    stream.on('end', onEnd)
    stream.on('close', onEnd)
    stream.on('error', onError)
  })
}
