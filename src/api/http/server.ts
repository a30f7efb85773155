/**
 * The HTTP API's server: connections, routing, limits, and writing answers.
 *
 * A GET that was seen before is looked up by its raw URL and answered from its plan (read-plan.ts) without parsing
 * anything again. All else goes the long way: path, route, method, restrictions, parameters, handler.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { BlockList, Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { type Clock, codeOf, formatHostPort, HanseError, type Logger, type Metrics, messageOf } from '#base'
import { apiError } from '../errors.ts'
import { isWriter, networksOf } from './allowed-networks.ts'
import {
  type Answer,
  API_HEADERS,
  DEFAULT_POLICY_HEADER,
  errorAnswer,
  type HeaderList,
  NO_BODY,
  TEXT_TYPE,
} from './answer.ts'
import { ConnectionLimit, DEFAULT_MAX_CONNECTIONS_PER_CLIENT } from './connections.ts'
import { headerFlags, Incoming, RequestCaller, refuseEnterprise } from './incoming.ts'
import { readPath } from './path.ts'
import { PlanCache, type Planned } from './plan-cache.ts'
import { datacenterOf, isSet, tokenOf } from './request.ts'
import { RequestTimes } from './request-times.ts'
import { allowOf, type Route, type RouteMatch, RouteTable, type StreamHandler } from './route.ts'

const KEEP_ALIVE_TIMEOUT_MS = 120_000
const NOT_FOUND_TEXT = 'Invalid URL path: not a recognized HTTP API endpoint\n'
/** Bodies up to here are written with their headers. */
const MAX_ONE_PIECE_BYTES = 2_048
/** Never changed. */
const NO_QUERY = new URLSearchParams()
const READ_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** On every answer of a secondary that does not reach its primary: what it serves may be behind. */
export const DEGRADED_HEADER = 'X-Hanse-Degraded'

export interface HttpServerOptions {
  readonly routes: readonly Route[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** `limits.http_max_conns_per_client`; 0: no limit. */
  readonly maxConnectionsPerClient?: number
  /** `http_config.max_header_bytes`; 0: the runtime's limit, 16 KiB. */
  readonly maxHeaderBytes?: number
  /** `limits.https_handshake_timeout`. */
  readonly handshakeTimeoutMs?: number
  /** `http_config.response_headers`. */
  readonly responseHeaders?: Readonly<Record<string, string>>
  /** `http_config.block_endpoints`: prefixes of paths. */
  readonly blockEndpoints?: readonly string[]
  /** `http_config.allow_write_http_from`: networks ("127.0.0.0/8"); empty: from everywhere. */
  readonly allowWriteHttpFrom?: readonly string[]
  /** What this server lacks now, in words: told in a header of every answer. */
  readonly degraded?: () => string | undefined
  /** Access control; without it nobody is asked for a token. */
  readonly acl?: HttpAcl
}

export interface HttpAcl {
  readonly defaultPolicy: 'allow' | 'deny'
  /** Of requests that bring no token. */
  readonly defaultToken: () => string
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
  /** Makes it HTTPS. */
  readonly tls?: HttpsOptions
}

/** What an HTTPS port shows, and whom it asks for a certificate. */
export interface HttpsOptions extends SecureContextOptions {
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
}

/** An open port. */
export interface Listener {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** One request on its way to its answer. */
interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** None while no route has taken it: paths from outside make no series. */
  times: RequestTimes | undefined
  readonly startedMs: number
}

export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #table: RouteTable
  readonly #times = new Map<string, RequestTimes>()
  readonly #plans = new PlanCache()
  readonly #connections: ConnectionLimit
  readonly #extraHeaders: HeaderList
  readonly #writers: BlockList | undefined
  readonly #listeners = new Set<Listener>()
  readonly #secure = new Set<TlsServer>()

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#table = new RouteTable(options.routes)
    const limit = options.maxConnectionsPerClient ?? DEFAULT_MAX_CONNECTIONS_PER_CLIENT
    this.#connections = new ConnectionLimit(limit, options.metrics)
    this.#extraHeaders = Object.entries(options.responseHeaders ?? {}).flat()
    this.#writers = networksOf(options.allowWriteHttpFrom ?? [])
  }

  /** Opens a port. @throws HanseError LISTEN_FAILED */
  async listen(address: ListenAddress): Promise<Listener> {
    const handle = (request: IncomingMessage, response: ServerResponse) => this.#handle(request, response)
    const { maxHeaderBytes = 0, handshakeTimeoutMs: handshakeTimeout } = this.#options
    const limits = maxHeaderBytes > 0 ? { maxHeaderSize: maxHeaderBytes } : {}
    const shown = address.tls && { ...address.tls, ...limits, ...(handshakeTimeout && { handshakeTimeout }) }
    const secure = shown ? createTlsServer(shown, handle) : undefined
    const server = secure ?? createServer(limits, handle)
    server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS
    server.on(address.tls ? 'secureConnection' : 'connection', (socket: Socket) => this.#connections.admit(socket))
    await listening(server, address)
    server.on('error', (error) => this.#options.log.error('HTTP server failed', { error: messageOf(error) }))
    const bound = server.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
    const listener: Listener = {
      host: address.host,
      port,
      close: () => {
        this.#listeners.delete(listener)
        if (secure) this.#secure.delete(secure)
        return new Promise((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      },
    }
    this.#listeners.add(listener)
    if (secure) this.#secure.add(secure)
    return listener
  }

  /** New connections to HTTPS ports are shown, and asked for, something else. Tickets of older ones are void. */
  renewTls({ requestCert, rejectUnauthorized, ...context }: HttpsOptions): void {
    for (const server of this.#secure) {
      server.setSecureContext(context)
      // Read by the runtime for each connection; it has no call to set them.
      Object.assign(server, { requestCert, rejectUnauthorized })
    }
  }

  /** Closes all ports and connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener.close()))
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange: Exchange = { request, response, times: undefined, startedMs: this.#options.clock.nowMs() }
    // Plans are kept by URL, and with access control what a URL answers depends on who asks.
    const keeps = request.method === 'GET' && this.#options.acl === undefined
    const planned = keeps ? this.#plans.get(request.url ?? '') : undefined
    if (planned !== undefined) {
      const flags = headerFlags(request)
      if (!flags.enterprise) {
        this.#serve(planned, flags.gzip, exchange)
        return
      }
    }
    this.#route(exchange)
  }

  readonly #deliver = (answer: Answer, exchange: Exchange): void => this.#finish(answer, exchange)

  #serve(planned: Planned, gzip: boolean, exchange: Exchange): void {
    exchange.times = planned.times
    const answer = planned.plan.serve(gzip, new PlanCaller(exchange, this.#deliver))
    if (answer !== undefined) this.#finish(answer, exchange)
  }

  #route(exchange: Exchange): void {
    const reading = readPath(exchange.request.url ?? '')
    const match = reading.kind === 'path' ? this.#table.match(reading.path) : undefined
    if (reading.kind === 'bad') this.#finish({ status: 400, headers: [], body: NO_BODY }, exchange)
    else if (reading.kind === 'redirect') this.#finish(redirect(reading.location), exchange)
    else if (match === undefined) this.#finish(notFound(), exchange)
    else {
      exchange.times = this.#timesOf(match.route, exchange.request.method ?? '')
      try {
        this.#dispatch(match, reading, exchange)
      } catch (thrown) {
        this.#finish(this.#failure(thrown, exchange.request), exchange)
      }
    }
  }

  #dispatch({ route, rest }: RouteMatch, target: { path: string; search: string }, exchange: Exchange): void {
    const { request, response } = exchange
    const refusal = this.#refusal(route, target.path, request)
    if (refusal !== undefined) {
      this.#finish(refusal, exchange)
      return
    }
    const query = target.search === '' ? NO_QUERY : new URLSearchParams(target.search)
    refuseEnterprise(route, query, request)
    const handler = route.methods[request.method ?? '']
    if (handler === undefined) return
    const pretty = isSet(query, 'pretty')
    const { acl } = this.#options
    const token = acl === undefined ? '' : tokenOf(query, request.headers) || acl.defaultToken()
    if (handler.kind === 'read') {
      const plan = handler.plan({ rest, query, datacenter: datacenterOf(query), pretty, token })
      const planned = { plan, times: exchange.times ?? this.#timesOf(route, request.method) }
      if (acl === undefined) this.#plans.keep(request.url ?? '', planned)
      this.#serve(planned, headerFlags(request).gzip, exchange)
      return
    }
    const incoming = new Incoming(request, response, rest, query, pretty, token)
    if (handler.kind === 'stream') this.#stream(handler, incoming, exchange)
    else this.#finishLater((async () => handler.run(incoming))(), exchange)
  }

  /** A stream begins when it is known that the caller may have it. */
  #stream(handler: StreamHandler, incoming: Incoming, exchange: Exchange): void {
    const { response, request } = exchange
    const begun = handler.run(incoming, response)
    if (begun instanceof Promise) begun.catch((thrown) => this.#finish(this.#failure(thrown, request), exchange))
  }

  /** Methods and restrictions. */
  #refusal(route: Route, path: string, request: IncomingMessage): Answer | undefined {
    const method = request.method ?? ''
    if (this.#options.blockEndpoints?.some((prefix) => path.startsWith(prefix))) {
      throw apiError('ENDPOINT_BLOCKED', {})
    }
    if (!READ_METHODS.has(method) && this.#writers !== undefined && !isWriter(this.#writers, request)) {
      throw apiError('WRITE_REFUSED', {})
    }
    if (Object.hasOwn(route.methods, method)) return undefined
    const allow = ['Allow', allowOf(route)]
    if (method === 'OPTIONS') {
      return { status: 200, headers: [...allow, 'Content-Type', 'application/json', ...API_HEADERS], body: NO_BODY }
    }
    const body = Buffer.from(`method ${method} not allowed`)
    return { status: 405, headers: [...allow, ...TEXT_TYPE, ...API_HEADERS], body }
  }

  #failure(thrown: unknown, request: IncomingMessage): Answer {
    if (!(thrown instanceof HanseError)) {
      this.#options.log.error('request failed', { method: request.method, error: messageOf(thrown) })
    }
    return errorAnswer(thrown)
  }

  #finishLater(answer: Promise<Answer>, exchange: Exchange): void {
    answer.then(
      (made) => this.#finish(made, exchange),
      (thrown) => this.#finish(this.#failure(thrown, exchange.request), exchange),
    )
  }

  #finish(answer: Answer, { response, times, startedMs }: Exchange): void {
    times?.add(this.#options.clock.nowMs() - startedMs)
    // What is left of a refused body node:http reads and drops by itself, so that the connection can go on.
    if (!response.destroyed && !response.headersSent) this.#write(answer, response)
  }

  #timesOf(route: Route, method = ''): RequestTimes {
    const key = `${method} ${route.pattern}`
    let times = this.#times.get(key)
    if (times === undefined) {
      const path = route.pattern.slice(1).replaceAll('/', '_')
      times = new RequestTimes(this.#options.metrics, { method, path })
      this.#times.set(key, times)
    }
    return times
  }

  #wire({ headers, body }: Answer): string[] {
    const wire = [...headers, ...this.#extraHeaders, 'Content-Length', String(body.length)]
    const policy = wire.indexOf(DEFAULT_POLICY_HEADER)
    if (policy !== -1 && this.#options.acl !== undefined) wire[policy + 1] = this.#options.acl.defaultPolicy
    return wire
  }

  #write(answer: Answer, response: ServerResponse): void {
    if (answer.wire?.by !== this) answer.wire = { by: this, headers: this.#wire(answer) }
    const { headers } = answer.wire
    const degraded = this.#options.degraded?.()
    try {
      response.writeHead(answer.status, degraded === undefined ? headers : [...headers, DEGRADED_HEADER, degraded])
    } catch (thrown) {
      // A header that node:http refuses; the connection is of no use any more, the server is.
      this.#options.log.error('an answer could not be written', { error: messageOf(thrown) })
      response.destroy()
      return
    }
    // As text it goes out with the headers in one piece; a large body is not copied for that.
    if (answer.body.length <= MAX_ONE_PIECE_BYTES) response.end(answer.body.toString('latin1'), 'latin1')
    else response.end(answer.body)
  }
}

/** Who asked a plan. */
class PlanCaller extends RequestCaller {
  readonly #exchange: Exchange
  readonly #deliver: (answer: Answer, exchange: Exchange) => void

  constructor(exchange: Exchange, deliver: (answer: Answer, exchange: Exchange) => void) {
    super(exchange.response)
    this.#exchange = exchange
    this.#deliver = deliver
  }

  deliver(answer: Answer): void {
    this.#deliver(answer, this.#exchange)
  }
}

function redirect(location: string): Answer {
  const href = location.replaceAll('&', '&amp;').replaceAll('"', '&#34;').replaceAll('<', '&lt;')
  const body = Buffer.from(`<a href="${href}">Temporary Redirect</a>.\n\n`)
  return { status: 307, headers: ['Content-Type', 'text/html; charset=utf-8', 'Location', location], body }
}

function notFound(): Answer {
  return { status: 404, headers: TEXT_TYPE, body: Buffer.from(NOT_FOUND_TEXT) }
}

function listening(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const reason = codeOf(error) === 'EADDRINUSE' ? 'the port is in use' : messageOf(error)
      const what = address.tls ? 'HTTPS' : 'HTTP'
      reject(apiError('LISTEN_FAILED', { what, address: formatHostPort(address.host, address.port), reason }, error))
    })
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, resolve)
  })
}
