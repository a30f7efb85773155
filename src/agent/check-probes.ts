/**
 * The probes of checks: one HTTP request, one TCP connection. What they saw goes out in Consul's words.
 */
import http from 'node:http'
import https from 'node:https'
import { connect } from 'node:net'
import { codeOf, formatHostPort, messageOf, parseHostPort } from '#base'
import type { AgentCheckType } from '#codec'

export interface ProbeResult {
  readonly status: 'passing' | 'warning' | 'critical'
  readonly output: string
}

const NS_PER_MS = 1e6
const DEFAULT_TIMEOUT_MS = 10_000
/** Most of a body that is kept, unless the check says otherwise. */
export const DEFAULT_OUTPUT_BYTES = 4_096
const MAX_REDIRECTS = 10
const USER_AGENT = 'Consul Health Check'

/** A probe takes as long as its timeout says, but never longer than its interval. */
export function probeTimeoutMs(type: AgentCheckType): number {
  const intervalMs = type.Interval / NS_PER_MS
  const timeoutMs = type.Timeout > 0 ? type.Timeout / NS_PER_MS : DEFAULT_TIMEOUT_MS
  return intervalMs > 0 && type.Timeout === 0 ? Math.min(timeoutMs, Math.max(intervalMs, 1_000)) : timeoutMs
}

/** The reason of a failed connection, as Go's programs word it. */
function dialReason(address: string, error: unknown): string {
  if (codeOf(error) === 'ECONNREFUSED') return `dial tcp ${address}: connect: connection refused`
  return `dial tcp ${address}: ${messageOf(error) || codeOf(error)}`
}

/** @param signal - aborted when the check is removed */
export function probeTcp(type: AgentCheckType, signal: AbortSignal): Promise<ProbeResult> {
  const target = parseHostPort(type.TCP)
  if (!target)
    return Promise.resolve({ status: 'critical', output: `dial tcp: address ${type.TCP}: missing port in address` })
  const timeoutMs = probeTimeoutMs(type)
  return new Promise((resolve) => {
    const socket = connect({ host: target.host, port: target.port, signal })
    const finish = (result: ProbeResult) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () => finish({ status: 'critical', output: `dial tcp ${type.TCP}: i/o timeout` }))
    socket.on('connect', () => finish({ status: 'passing', output: `TCP connect ${type.TCP}: Success` }))
    socket.on('error', (error) => finish({ status: 'critical', output: dialReason(type.TCP, error) }))
  })
}

/** 2xx passes, 429 warns, all else is critical. */
export async function probeHttp(type: AgentCheckType, signal: AbortSignal): Promise<ProbeResult> {
  const method = type.Method || 'GET'
  const limit = AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs(type))])
  let url = type.HTTP
  for (let redirects = 0; ; redirects++) {
    if (!URL.canParse(url)) return { status: 'critical', output: `parse ${JSON.stringify(url)}: invalid URL` }
    try {
      const answer = await request(method, new URL(url), type, limit)
      const { location } = answer
      if (location !== undefined && !type.DisableRedirects && redirects < MAX_REDIRECTS) {
        url = new URL(location, url).href
        continue
      }
      const status = answer.code >= 200 && answer.code < 300 ? 'passing' : answer.code === 429 ? 'warning' : 'critical'
      return { status, output: `HTTP ${method} ${url}: ${answer.code} ${answer.reason} Output: ${answer.body}` }
    } catch (error) {
      const verb = method.charAt(0) + method.slice(1).toLowerCase()
      const { host, hostname, port, protocol } = new URL(url)
      const address = port === '' ? formatHostPort(hostname, protocol === 'https:' ? 443 : 80) : host
      const reason = limit.aborted ? 'context deadline exceeded' : dialReason(address, error)
      return { status: 'critical', output: `${verb} ${JSON.stringify(url)}: ${reason}` }
    }
  }
}

interface HttpAnswer {
  readonly code: number
  readonly reason: string
  readonly body: string
  readonly location: string | undefined
}

function request(method: string, url: URL, type: AgentCheckType, signal: AbortSignal): Promise<HttpAnswer> {
  const secure = url.protocol === 'https:'
  const headers: Record<string, string | string[]> = { 'User-Agent': USER_AGENT, Accept: 'text/plain, text/*, */*' }
  for (const [name, values] of Object.entries(type.Header ?? {})) headers[name] = [...(values ?? [])]
  const maxBytes = type.OutputMaxSize || DEFAULT_OUTPUT_BYTES
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? https : http).request(url, {
      method,
      headers,
      signal,
      agent: false,
      ...(secure
        ? { rejectUnauthorized: !type.TLSSkipVerify, ...(type.TLSServerName ? { servername: type.TLSServerName } : {}) }
        : {}),
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      const finish = () => {
        const code = response.statusCode ?? 0
        const redirected = code >= 300 && code < 400
        resolve({
          code,
          reason: response.statusMessage ?? '',
          body: Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8'),
          location: redirected ? response.headers.location : undefined,
        })
        response.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length >= maxBytes) finish()
      })
      response.on('end', finish)
      response.on('error', reject)
    })
    outgoing.end(type.Body)
  })
}
