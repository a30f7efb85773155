/**
 * What node:http hands over, as the API needs it: headers in one pass, Enterprise parameters refused, bodies with a limit.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { apiError } from '../errors.ts'
import { type ApiRequest, datacenterOf } from './request.ts'
import type { Route } from './route.ts'

/** Reads what the API needs of the headers in one pass. */
export function headerFlags(request: IncomingMessage): { gzip: boolean; enterprise: boolean } {
  const raw = request.rawHeaders
  let gzip = false
  let enterprise = false
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (name.length === 15) gzip ||= name.toLowerCase() === 'accept-encoding' && /\bgzip\b/.test(raw[at + 1] ?? '')
    else if (name.length === 18) enterprise ||= isEnterpriseHeader(name) && raw[at + 1] !== ''
  }
  return { gzip, enterprise }
}

function isEnterpriseHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'x-consul-namespace' || lower === 'x-consul-partition'
}

const ENTERPRISE = [
  { parameter: 'ns', header: 'X-Consul-Namespace', feature: 'Namespaces' },
  { parameter: 'partition', header: 'X-Consul-Partition', feature: 'Partitions' },
] as const

export function refuseEnterprise(route: Route, query: URLSearchParams, request: IncomingMessage): void {
  if (route.refuses === 'nothing' || (query.size === 0 && !headerFlags(request).enterprise)) return
  for (const { parameter, header, feature } of ENTERPRISE) {
    if (route.refuses === 'partition' && parameter === 'ns') continue
    if (query.get(parameter)) {
      throw apiError('ENTERPRISE_PARAMETER', { where: 'query parameter', name: parameter, feature })
    }
    if (request.headers[header.toLowerCase()]) {
      throw apiError('ENTERPRISE_PARAMETER', { where: 'header', name: header, feature })
    }
  }
}

/** Who asks: a signal, made when first asked for, that is aborted when the connection closes before the answer. */
export class RequestCaller {
  readonly #response: ServerResponse
  #controller: AbortController | undefined

  constructor(response: ServerResponse) {
    this.#response = response
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#watch()
    return this.#controller.signal
  }

  onGone(callback: () => void): void {
    const response = this.#response
    const tell = () => {
      if (!response.writableFinished) callback()
    }
    // Destroyed by its end, or because whoever asked has left already.
    if (response.destroyed) tell()
    else response.on('close', tell)
  }

  #watch(): AbortController {
    const controller = new AbortController()
    this.onGone(() => controller.abort())
    return controller
  }
}

export class Incoming implements ApiRequest {
  readonly method: string
  readonly rest: string
  readonly query: URLSearchParams
  readonly datacenter: string
  readonly pretty: boolean
  readonly token: string
  readonly #request: IncomingMessage
  readonly #caller: RequestCaller

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    rest: string,
    query: URLSearchParams,
    pretty: boolean,
    token: string,
  ) {
    this.#request = request
    this.method = request.method ?? ''
    this.rest = rest
    this.query = query
    this.datacenter = datacenterOf(query)
    this.pretty = pretty
    this.token = token
    this.#caller = new RequestCaller(response)
  }

  get remoteAddress(): string {
    return this.#request.socket.remoteAddress ?? ''
  }

  get signal(): AbortSignal {
    return this.#caller.signal
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name.toLowerCase()]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** The body as it comes. Whoever stops reading leaves the rest to be dropped, so that the answer still goes out. */
  stream(): AsyncIterable<Uint8Array> {
    return this.#request.iterator({ destroyOnReturn: false })
  }

  async body(limitBytes: number, tooLarge = (_: number) => apiError('BODY_TOO_LARGE', { limit: limitBytes })) {
    const announced = Number(this.#request.headers['content-length'] ?? 0)
    if (announced > limitBytes) throw tooLarge(announced)
    return readBody(this.#request, limitBytes, tooLarge)
  }
}

/** Reads to the end or to the limit; what comes beyond it is dropped, so that the answer still reaches the caller. */
function readBody(request: IncomingMessage, limitBytes: number, tooLarge: (size: number) => Error): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limitBytes) chunks.push(chunk)
      else {
        chunks.length = 0
        reject(tooLarge(size))
      }
    })
    request.on('end', () => {
      const [first, ...others] = chunks
      // Each is a buffer of its own, so what came as one need not be copied.
      resolve(first !== undefined && others.length === 0 ? first : Buffer.concat(chunks))
    })
    request.on('error', reject)
    request.on('close', () => {
      // Comes after each body; to make an error costs more than all else here.
      if (!request.readableEnded) reject(apiError('BAD_BODY', { problem: 'unexpected EOF' }))
    })
  })
}
