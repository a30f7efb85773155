/**
 * A handler that is called over HTTP: it gets the answer as JSON, and the index in X-Consul-Index.
 *
 * What it answers is read up to a limit and dropped; only its status counts. Its URL is in no message: such addresses
 * often hold a secret.
 */
import http from 'node:http'
import https from 'node:https'
import { codeOf, messageOf } from '#base'

export const DEFAULT_HANDLER_TIMEOUT_MS = 10_000
/** Of an answer that is dropped anyway; more ends the connection. */
const MAX_ANSWER_BYTES = 65_536

export interface HttpHandler {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly timeoutMs: number
  /** Take any certificate. */
  readonly skipVerify: boolean
}

/** Calls it once. @returns what went wrong; undefined where nothing did, or the signal ended it */
export function callHandler(
  { url, method, headers, timeoutMs, skipVerify }: HttpHandler,
  { text, index }: { readonly text: string; readonly index: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = AbortSignal.timeout(timeoutMs)
  const { request } = url.startsWith('https:') ? https : http
  const own = { 'Content-Type': 'application/json', 'X-Consul-Index': index }
  const given = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]))
  return new Promise((resolve) => {
    const done = (problem: string | undefined) => resolve(signal.aborted ? undefined : problem)
    const call = request(url, {
      method,
      headers: { ...own, ...given },
      agent: false,
      rejectUnauthorized: !skipVerify,
      signal: AbortSignal.any([signal, limit]),
    })
    call.on('error', (error) => done(limit.aborted ? `no answer in ${timeoutMs} ms` : reasonOf(error)))
    call.on('response', (response) => {
      const { statusCode = 0 } = response
      const verdict = statusCode >= 200 && statusCode < 300 ? undefined : `its answer has status ${statusCode}`
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) response.destroy()
      })
      response.on('error', () => done(verdict))
      response.on('close', () => done(verdict))
    })
    call.end(text)
  })
}

function reasonOf(error: Error): string {
  return codeOf(error) === 'ECONNREFUSED' ? 'connection refused' : messageOf(error)
}
