/**
 * The HTTP client of an agent: one request function with the query parameters, headers and errors of the API.
 *
 * The command line, the built-in gateway, controllers and `npm start` know the server only through it. Answers come as
 * parsed JSON of unknown shape, or as the value of a schema where the caller names one.
 */
import http from 'node:http'
import https from 'node:https'
import { pipeline, Readable } from 'node:stream'
import { codeOf, messageOf } from '#base'
import type { Kind } from '#codec'
import { clientError } from './errors.ts'

/** An answer larger than this is refused. */
export const MAX_ANSWER_BYTES = 256 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 60_000
/** Added to `wait`, for the server's own jitter and the way there and back. */
const WAIT_SLACK_MS = 60_000

export interface ClientTls {
  readonly caPem?: string
  readonly certPem?: string
  readonly keyPem?: string
  readonly serverName?: string
  /** false: take any certificate. */
  readonly verify?: boolean
}

export interface HttpClientOptions {
  /** "host:port", "http://host:port", "https://host:port" or "unix:///path". */
  readonly address: string
  readonly token?: string
  readonly tls?: ClientTls
  /** Sent with every request that names none itself. */
  readonly datacenter?: string
  readonly stale?: boolean
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface RequestOptions {
  readonly query?: Query
  /** A Buffer or text as it is, a stream as it comes; anything else as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  /** X-Consul-Index, 0 where there is none. */
  readonly index: number
}

interface Endpoint {
  readonly secure: boolean
  readonly base: string
  readonly connect: { readonly host: string; readonly port: number } | { readonly socketPath: string }
}

/** @throws ADDRESS_INVALID */
function parseAddress(address: string, secureByDefault: boolean): Endpoint {
  if (address.startsWith('unix://')) {
    return { secure: false, base: 'http://unix', connect: { socketPath: address.slice('unix://'.length) } }
  }
  const text = address.includes('://') ? address : `${secureByDefault ? 'https' : 'http'}://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw clientError('ADDRESS_INVALID', { address })
  }
  const secure = url.protocol === 'https:'
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  return { secure, base: url.origin, connect: { host: url.hostname.replace(/^\[|\]$/g, ''), port } }
}

function encodeQuery(query: Query): string {
  const pairs: string[] = []
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue
    if (value === true) pairs.push(encodeURIComponent(key))
    else {
      for (const each of Array.isArray(value) ? value : [value]) {
        pairs.push(`${encodeURIComponent(key)}=${encodeURIComponent(String(each))}`)
      }
    }
  }
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

export class HttpClient {
  readonly address: string
  readonly #options: HttpClientOptions
  readonly #endpoint: Endpoint
  readonly #agent: http.Agent

  /** @throws ADDRESS_INVALID */
  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#endpoint = parseAddress(options.address, options.tls?.caPem !== undefined)
    this.address = this.#endpoint.base
    const { tls } = options
    const keepAlive = { keepAlive: true, maxSockets: 64 }
    this.#agent = this.#endpoint.secure
      ? new https.Agent({
          ...keepAlive,
          rejectUnauthorized: tls?.verify ?? true,
          ...(tls?.caPem ? { ca: tls.caPem } : {}),
          ...(tls?.certPem ? { cert: tls.certPem } : {}),
          ...(tls?.keyPem ? { key: tls.keyPem } : {}),
          ...(tls?.serverName ? { servername: tls.serverName } : {}),
        })
      : new http.Agent(keepAlive)
  }

  close(): void {
    this.#agent.destroy()
  }

  /**
   * One request, whatever its status.
   *
   * @param path - from "/v1/" on, its parts percent-encoded by the caller (`segment()`)
   * @throws API_UNREACHABLE, API_TIMEOUT, API_TOO_LARGE; the signal's reason when it is aborted
   */
  request(method: string, path: string, options: RequestOptions = {}): Promise<ApiAnswer> {
    const wait = options.query?.index === undefined ? 0 : WAIT_SLACK_MS + waitMs(options.query.wait)
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS + wait
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>()
    const request = this.#open(method, path, options)
    const url = `${this.#endpoint.base}${path}`
    const timer = setTimeout(() => fail(clientError('API_TIMEOUT', { method, url, timeoutMs })), timeoutMs)
    const onAbort = () => fail(options.signal?.reason)
    const fail = (error: unknown) => {
      settle()
      request.destroy()
      reject(error)
    }
    const settle = () => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
    if (options.signal?.aborted) {
      fail(options.signal.reason)
      return promise
    }
    options.signal?.addEventListener('abort', onAbort, { once: true })
    request.on('error', (error) =>
      fail(clientError('API_UNREACHABLE', { method, url, reason: reasonOf(error) }, error)),
    )
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > MAX_ANSWER_BYTES) fail(clientError('API_TOO_LARGE', { method, url, limitBytes: MAX_ANSWER_BYTES }))
        else chunks.push(chunk)
      })
      response.on('error', (error) =>
        fail(clientError('API_UNREACHABLE', { method, url, reason: reasonOf(error) }, error)),
      )
      response.on('end', () => {
        settle()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
          index: indexOf(response),
        })
      })
    })
    send(request, options.body)
    return promise
  }

  /** A request that must succeed. @throws API_STATUS for any status but 200; what request() throws */
  async expect(method: string, path: string, options: RequestOptions = {}): Promise<ApiAnswer> {
    return this.#successful(await this.request(method, path, options), method, path)
  }

  #successful(answer: ApiAnswer, method: string, path: string): ApiAnswer {
    if (answer.status === 200) return answer
    const body = answer.body.toString('utf8').trim()
    throw clientError('API_STATUS', { statusCode: answer.status, body, method, path })
  }

  /** The answer to a question that may find nothing (404). @throws API_STATUS for any other status; as request() */
  async ask(path: string, options: RequestOptions = {}): Promise<ApiAnswer> {
    const answer = await this.request('GET', path, options)
    return answer.status === 404 ? answer : this.#successful(answer, 'GET', path)
  }

  /** The JSON of a successful answer. @throws API_NOT_JSON; what expect() throws */
  async json(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
    return this.#parse(method, path, await this.expect(method, path, options))
  }

  /** A successful answer as the value of a schema; keys that it does not know are skipped. */
  async get<T>(kind: Kind<T>, path: string, options: RequestOptions = {}): Promise<{ value: T; index: number }> {
    const answer = await this.expect('GET', path, options)
    const json = this.#parse('GET', path, answer)
    return { value: kind.fromJson(json, '', { unknownKeys: 'skip' }), index: answer.index }
  }

  /**
   * A successful answer whose body is read as it arrives, to its end or until the reader stops.
   *
   * @throws API_STATUS, API_UNREACHABLE; reading ends when the signal is aborted
   */
  async open(
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<{ readonly index: number; readonly body: AsyncIterable<Buffer> }> {
    const request = this.#open(method, path, options)
    const url = `${this.#endpoint.base}${path}`
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    request.on('response', resolve)
    request.on('error', (error) =>
      reject(clientError('API_UNREACHABLE', { method, url, reason: reasonOf(error) }, error)),
    )
    const onAbort = () => request.destroy()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    send(request, options.body)
    const settle = () => {
      options.signal?.removeEventListener('abort', onAbort)
      request.destroy()
    }
    try {
      const response = await promise
      if (response.statusCode !== 200) {
        const body = Buffer.concat(await response.toArray())
          .toString('utf8')
          .trim()
        throw clientError('API_STATUS', { statusCode: response.statusCode ?? 0, body, method, path })
      }
      return { index: indexOf(response), body: settling(response, settle) }
    } catch (error) {
      settle()
      throw error
    }
  }

  /**
   * The body of a successful answer as it arrives, for streams that do not end (monitor).
   *
   * @throws API_STATUS, API_UNREACHABLE; ends when the signal is aborted
   */
  async *stream(method: string, path: string, options: RequestOptions = {}): AsyncGenerator<Buffer> {
    try {
      yield* (await this.open(method, path, options)).body
    } catch (error) {
      if (!options.signal?.aborted) throw error
    }
  }

  #open(method: string, path: string, options: RequestOptions): http.ClientRequest {
    const { datacenter, stale, token } = this.#options
    const defaults = { dc: datacenter, stale: stale && method === 'GET' ? true : undefined }
    const headers: Record<string, string> = { 'Accept-Encoding': 'identity' }
    if (token !== undefined && token !== '') headers['X-Consul-Token'] = token
    const body = encodeBody(options.body)
    if (body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(body))
    return (this.#endpoint.secure ? https : http).request({
      ...this.#endpoint.connect,
      method,
      path: path + encodeQuery({ ...defaults, ...options.query }),
      agent: this.#agent,
      headers,
    })
  }

  #parse(method: string, path: string, answer: ApiAnswer): unknown {
    try {
      return JSON.parse(answer.body.toString('utf8'))
    } catch (error) {
      throw clientError('API_NOT_JSON', { method, url: `${this.#endpoint.base}${path}` }, error)
    }
  }
}

/** Sends the body, a stream as fast as it is taken, and ends the request. */
function send(request: http.ClientRequest, body: unknown): void {
  // An error of either is told as the request's.
  if (body instanceof Readable) pipeline(body, request, () => {})
  else request.end(encodeBody(body))
}

async function* settling(response: http.IncomingMessage, settle: () => void): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk
  } finally {
    settle()
  }
}

function indexOf(response: http.IncomingMessage): number {
  return Number(response.headers['x-consul-index'] ?? 0)
}

function encodeBody(body: unknown): string | Buffer | undefined {
  if (body instanceof Readable) return undefined
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return body
  return JSON.stringify(body)
}

function waitMs(wait: Query[string]): number {
  const match = typeof wait === 'string' ? /^(\d+)(ms|s|m)$/.exec(wait) : null
  const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000 }
  return match ? Number(match[1]) * (units[match[2] ?? ''] ?? 0) * 1.07 : 320_000
}

function reasonOf(error: unknown): string {
  if (codeOf(error) === 'ECONNREFUSED') return 'connection refused'
  return messageOf(error) || (codeOf(error) ?? 'connection failed')
}

/** One part of a path. */
export function segment(text: string): string {
  return encodeURIComponent(text)
}
