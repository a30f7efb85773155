/**
 * The probes of checks: one HTTP request, one TCP connection. What they saw goes out in the words of Consul's programs.
 *
 * A probe never throws, ends within its timeout, keeps a bounded part of what was answered, and leaves no socket.
 */
import http from 'node:http'
import https from 'node:https'
import { connect, isIP } from 'node:net'
import tls from 'node:tls'
import { type Clock, codeOf, formatHostPort, messageOf, parseHostPort } from '#base'
import type { AgentCheckType } from '#codec'
import { MAX_TIMER_MS, NS_PER_MS, outputBytesOf, type ProbeResult } from './check-results.ts'

const DEFAULT_TIMEOUT_MS = 10_000
const MAX_REDIRECTS = 10
const USER_AGENT = 'Consul Health Check'
/** Headers that are for the first host alone. */
const SECRET_HEADERS = new Set(['authorization', 'cookie', 'cookie2', 'www-authenticate'])
const TIMED_OUT = 'context deadline exceeded'

export interface ProbeModules {
  readonly clock: Clock
  /** Aborted when the check is removed. */
  readonly signal: AbortSignal
  /** See outputBytesOf(). */
  readonly maxOutputBytes: number
}

/** What the check says, else 10 s, but then no longer than its interval. */
export function probeTimeoutMs(type: AgentCheckType): number {
  if (type.Timeout > 0) return Math.min(MAX_TIMER_MS, Math.ceil(type.Timeout / NS_PER_MS))
  const intervalMs = type.Interval / NS_PER_MS
  return Math.min(DEFAULT_TIMEOUT_MS, Math.max(intervalMs, 1_000))
}

/** The reason of a failed connection, as Go's programs word it. */
function dialReason(address: string, error: unknown): string {
  if (codeOf(error) === 'ECONNREFUSED') return `dial tcp ${address}: connect: connection refused`
  return `dial tcp ${address}: ${messageOf(error) || codeOf(error)}`
}

const critical = (output: string): ProbeResult => ({ status: 'critical', output })

/** Passes when the port takes a connection, with TLS where the check asks for it. */
export function probeTcp(type: AgentCheckType, modules: ProbeModules): Promise<ProbeResult> {
  const target = parseHostPort(type.TCP)
  if (!target) return Promise.resolve(critical(`dial tcp: address ${type.TCP}: missing port in address`))
  return new Promise((resolve) => {
    const finish = (result: ProbeResult) => {
      timer.cancel()
      modules.signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(result)
    }
    const onAbort = () => finish(critical('the check was removed'))
    const timer = modules.clock.after(probeTimeoutMs(type), () => finish(critical(`dial tcp ${type.TCP}: i/o timeout`)))
    modules.signal.addEventListener('abort', onAbort, { once: true })
    const socket = type.TCPUseTLS ? tls.connect({ ...target, ...tlsOptions(type, target.host) }) : connect(target)
    socket.unref()
    const event = type.TCPUseTLS ? 'secureConnect' : 'connect'
    socket.on(event, () => finish({ status: 'passing', output: `TCP connect ${type.TCP}: Success` }))
    socket.on('error', (error) => finish(critical(dialReason(type.TCP, error))))
    socket.on('close', () => finish(critical(`dial tcp ${type.TCP}: EOF`)))
  })
}

function tlsOptions(type: AgentCheckType, host: string): { rejectUnauthorized: boolean; servername?: string } {
  const name = type.TLSServerName || (isIP(host) === 0 ? host : '')
  return { rejectUnauthorized: !type.TLSSkipVerify, ...(name === '' ? {} : { servername: name }) }
}

interface HttpQuestion {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: string
}

interface HttpAnswer {
  readonly code: number
  readonly reason: string
  readonly body: string
  readonly location: string | undefined
}

/** 2xx passes, 429 warns, all else is critical. Follows redirects, unless the check says otherwise. */
export async function probeHttp(type: AgentCheckType, modules: ProbeModules): Promise<ProbeResult> {
  const method = type.Method.toUpperCase() || 'GET'
  const limit = new AbortController()
  const onAbort = () => limit.abort()
  modules.signal.addEventListener('abort', onAbort, { once: true })
  const timer = modules.clock.after(probeTimeoutMs(type), onAbort)
  try {
    return await follow(type, method, outputBytesOf(type, modules.maxOutputBytes), limit.signal)
  } finally {
    timer.cancel()
    modules.signal.removeEventListener('abort', onAbort)
  }
}

async function follow(
  type: AgentCheckType,
  method: string,
  maxBytes: number,
  limit: AbortSignal,
): Promise<ProbeResult> {
  const verb = method.charAt(0) + method.slice(1).toLowerCase()
  const failed = (url: string, reason: string) => critical(`${verb} ${JSON.stringify(url)}: ${reason}`)
  if (!URL.canParse(type.HTTP)) return critical(`parse ${JSON.stringify(type.HTTP)}: invalid URL`)
  let question: HttpQuestion = { method, url: new URL(type.HTTP), headers: headersOf(type), body: type.Body }
  for (let redirects = 0; ; redirects++) {
    const { url } = question
    const shown = redirects === 0 && url.password === '' ? type.HTTP : withoutPassword(url)
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      return failed(shown, `unsupported protocol scheme "${url.protocol.slice(0, -1)}"`)
    }
    try {
      const answer = await request(question, type, maxBytes, limit)
      if (answer.location !== undefined && !type.DisableRedirects) {
        if (redirects >= MAX_REDIRECTS) return failed(shown, `stopped after ${MAX_REDIRECTS} redirects`)
        if (!URL.canParse(answer.location, url.href)) return failed(shown, 'failed to parse Location header')
        question = redirected(question, answer.code, new URL(answer.location, url))
        continue
      }
      const status = answer.code >= 200 && answer.code < 300 ? 'passing' : answer.code === 429 ? 'warning' : 'critical'
      return { status, output: `HTTP ${method} ${shown}: ${answer.code} ${answer.reason} Output: ${answer.body}` }
    } catch (error) {
      const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
      const address = formatHostPort(url.hostname.replace(/^\[|\]$/g, ''), port)
      return failed(shown, limit.aborted ? TIMED_OUT : dialReason(address, error))
    }
  }
}

/** Outputs are for everybody to read. */
function withoutPassword(url: URL): string {
  const shown = new URL(url)
  if (shown.password !== '') shown.password = 'xxxxx'
  return shown.href
}

function headersOf(type: AgentCheckType): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'user-agent': USER_AGENT, accept: 'text/plain, text/*, */*' }
  for (const [name, values] of Object.entries(type.Header ?? {})) {
    const [first, ...others] = values ?? []
    if (first !== undefined) headers[name.toLowerCase()] = others.length === 0 ? first : [first, ...others]
  }
  return headers
}

/** As browsers and Go do: another host gets no secrets; 301 to 303 become a GET without a body. */
function redirected({ method, url, headers, body }: HttpQuestion, code: number, next: URL): HttpQuestion {
  const keep = code === 307 || code === 308
  const sameHost = next.host === url.host
  const kept = Object.entries(headers).filter(([name]) => sameHost || !(SECRET_HEADERS.has(name) || name === 'host'))
  return {
    method: keep || method === 'HEAD' ? method : 'GET',
    url: next,
    headers: Object.fromEntries(kept),
    body: keep ? body : '',
  }
}

function request(
  question: HttpQuestion,
  type: AgentCheckType,
  maxBytes: number,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { method, url, headers, body } = question
  const secure = url.protocol === 'https:'
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? https : http).request(url, {
      method,
      headers,
      signal,
      agent: false,
      ...(secure ? tlsOptions(type, url.hostname.replace(/^\[|\]$/g, '')) : {}),
    })
    outgoing.on('socket', (socket) => socket.unref())
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      const finish = () => {
        const code = response.statusCode ?? 0
        resolve({
          code,
          reason: response.statusMessage ?? '',
          body: Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8'),
          location: code >= 300 && code < 400 ? response.headers.location : undefined,
        })
        outgoing.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        if (length < maxBytes) chunks.push(chunk)
        length += chunk.length
        if (length >= maxBytes) finish()
      })
      response.on('end', finish)
      response.on('error', reject)
    })
    outgoing.end(body === '' ? undefined : body)
  })
}
