/**
 * One HTTPS question to an identity provider: a Kubernetes API server, a JWKS or OIDC endpoint.
 *
 * A function, so that logins are tested without a network and proxied where someone must. TLS is always verified,
 * against the given authority or the system's; redirects are not followed, since they would carry bearer tokens on.
 */
import { request as httpsRequest } from 'node:https'
import { codeOf } from '#base'

export interface HttpQuestion {
  readonly method: 'GET' | 'POST'
  /** `https://…` */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** PEM; without it the system's authorities count. */
  readonly caPem?: string
  readonly signal?: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** @throws Error with the network's message: refused, unreachable, certificate, too large, too slow */
export type HttpTransport = (question: HttpQuestion) => Promise<HttpAnswer>

/** Longest answer that is read. */
export const MAX_ANSWER_BYTES = 1024 * 1024
/** Time for one question, connecting included. */
export const QUESTION_TIMEOUT_MS = 10_000

const ANOTHER_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** What Node says of an unknown authority advises options of Node; what has to change is the auth method. */
function plainly(error: Error, caPem: string | undefined): Error {
  if (!ANOTHER_AUTHORITY.has(codeOf(error) ?? '')) return error
  const trusted =
    caPem === undefined ? 'an authority that this system trusts' : 'the authority that the auth method names'
  return new Error(`its certificate is not of ${trusted}`, { cause: error })
}

/** Over the network. */
export const httpsTransport: HttpTransport = (question) => {
  const limit = AbortSignal.timeout(QUESTION_TIMEOUT_MS)
  const signal = question.signal === undefined ? limit : AbortSignal.any([limit, question.signal])
  return new Promise((resolve, reject) => {
    const { method, url, headers, caPem } = question
    const ca = caPem === undefined ? {} : { ca: caPem }
    const request = httpsRequest(url, { method, headers, signal, agent: false, ...ca }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`))
        else chunks.push(chunk)
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
      response.on('error', reject)
    })
    request.on('error', (error) => {
      reject(limit.aborted ? new Error(`no answer within ${QUESTION_TIMEOUT_MS} ms`) : plainly(error, caPem))
    })
    request.end(question.body)
  })
}
