/**
 * How many connections one client address may hold. One above the limit is told so and closed.
 */
import type { Socket } from 'node:net'
import type { Metrics } from '#base'
import { apiError } from '../errors.ts'

/** Consul's default for `limits.http_max_conns_per_client`. */
export const DEFAULT_MAX_CONNECTIONS_PER_CLIENT = 200

/** How long a refused client may leave its side open. */
const REFUSED_LINGER_MS = 1000

const REFUSAL_TEXT = `${apiError('TOO_MANY_CONNECTIONS', {}).message}\n`
const REFUSAL =
  'HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\n' +
  `Content-Length: ${REFUSAL_TEXT.length}\r\n\r\n${REFUSAL_TEXT}`

export class ConnectionLimit {
  readonly #limit: number
  readonly #metrics: Metrics
  readonly #open = new Map<string, number>()

  /** @param limit - 0: none */
  constructor(limit: number, metrics: Metrics) {
    this.#limit = limit
    this.#metrics = metrics
  }

  /** Counts a connection until it closes. @returns false when it was refused and is being closed */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? ''
    const open = this.#open.get(address) ?? 0
    if (this.#limit > 0 && open >= this.#limit) {
      this.#metrics.count('hanse.http.connections_refused')
      socket.on('error', () => {})
      socket.setTimeout(REFUSED_LINGER_MS, () => socket.destroy())
      socket.end(REFUSAL)
      return false
    }
    this.#open.set(address, open + 1)
    socket.once('close', () => {
      const left = (this.#open.get(address) ?? 1) - 1
      if (left === 0) this.#open.delete(address)
      else this.#open.set(address, left)
    })
    return true
  }
}
