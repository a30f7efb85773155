/**
 * Connects to other servers, plain or by mutual TLS, and says in words what failed: who, for which name, at which step.
 *
 * Verification is complete or explicit: the peer's certificate has to lead to our CA, and to carry `verifyName` unless
 * the caller leaves that out (own datacenter without verify_server_hostname).
 *
 * Source: RPC wire notes §2 (TLS, ALPN, SNI), §13 (timeouts).
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls'
import { type Clock, codeOf, formatHostPort, HanseError, messageOf, systemClock } from '#base'
import { netError } from './errors.ts'
import { secureContextOf, type TlsIdentity } from './tls-identity.ts'

export const DIAL_TIMEOUT_MS = 10_000
const KEEPALIVE_DELAY_MS = 30_000
/** First byte of a connection on which TLS and then another first byte follow. */
const TLS_BYTE = 3

export interface DialOptions {
  readonly host: string
  readonly port: number
  readonly signal?: AbortSignal
  /** For the whole of it: name look-up, TCP, TLS. */
  readonly timeoutMs?: number
  readonly clock?: Clock
  /** Keeps reading after the other end closed its side, and the reverse: for snapshots. The owner ends the socket. */
  readonly allowHalfOpen?: boolean
}

export interface DialTlsOptions extends DialOptions {
  readonly identity: TlsIdentity
  /** The name asked for (SNI). */
  readonly servername: string
  /** The name that the certificate has to carry; undefined: any, as long as the CA signed it. */
  readonly verifyName: string | undefined
  /** The one protocol to offer; undefined for own-datacenter connections, which have a byte inside instead. */
  readonly alpn?: string
  /** Sends byte 3 before the handshake, as own-datacenter connections do. */
  readonly tlsByte?: boolean
}

const ANOTHER_CA = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])
/** Alerts that are not about our certificate, and what they say there is none of. */
const DISAGREEMENTS = new Map([
  ['protocol version', 'version of TLS ("tls_min_version")'],
  ['handshake failure', 'cipher suite ("tls_cipher_suites")'],
  ['insufficient security', 'cipher suite ("tls_cipher_suites")'],
])
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

interface Where extends Record<string, string> {
  readonly address: string
  readonly servername: string
}

/**
 * Connects by TCP, with keep-alive and no delay.
 *
 * @throws DIAL_REFUSED, DIAL_TIMEOUT, DIAL_UNREACHABLE, DIAL_ABORTED
 */
export function dialTcp(options: DialOptions): Promise<Socket> {
  const where = { address: formatHostPort(options.host, options.port), servername: '' }
  const socket = openTcp(options)
  return settled(socket, 'connect', 'connection request', where, options, () => socket)
}

/**
 * Connects by mutual TLS.
 *
 * @throws DIAL_REFUSED, DIAL_TIMEOUT, DIAL_UNREACHABLE, DIAL_ABORTED, DIAL_CLOSED, DIAL_UNKNOWN_CA, DIAL_EXPIRED,
 *   DIAL_NAME_MISMATCH, DIAL_REJECTED, DIAL_ALPN, DIAL_TLS, DIAL_IDENTITY
 */
export async function dialTls(options: DialTlsOptions): Promise<TLSSocket> {
  const where = { address: formatHostPort(options.host, options.port), servername: options.servername }
  // An empty CA would make the runtime trust every public one.
  if (options.identity.caPem.trim() === '') throw netError('DIAL_IDENTITY', { reason: 'no CA is configured' })
  const started = (options.clock ?? systemClock).nowMs()
  const tcp = openTcp(options)
  await settled(tcp, 'connect', 'connection request', where, options, () => tcp)
  if (options.tlsByte) tcp.write(Buffer.from([TLS_BYTE]))
  const spentMs = (options.clock ?? systemClock).nowMs() - started
  const timeoutMs = Math.max(1, (options.timeoutMs ?? DIAL_TIMEOUT_MS) - spentMs)
  const socket = startTls(tcp, options)
  return await settled(socket, 'secureConnect', 'TLS handshake', where, { ...options, timeoutMs }, () => {
    if (options.alpn && socket.alpnProtocol !== options.alpn)
      throw netError('DIAL_ALPN', { ...where, alpn: options.alpn })
    return socket
  })
}

function openTcp({ host, port, allowHalfOpen = false }: DialOptions): Socket {
  return connectTcp({
    host,
    port,
    allowHalfOpen,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
  })
}

function startTls(socket: Socket, { identity, servername, verifyName, alpn }: DialTlsOptions): TLSSocket {
  try {
    const tls = connectTls({
      ...secureContextOf(identity),
      socket,
      servername,
      ALPNProtocols: alpn === undefined ? [] : [alpn],
      checkServerIdentity: (_host, certificate) =>
        verifyName === undefined ? undefined : checkServerIdentity(verifyName, certificate),
    })
    tls.prependListener('secure', () => rememberIssuer(tls))
    return tls
  } catch (error) {
    socket.destroy()
    throw netError('DIAL_IDENTITY', { reason: messageOf(error) }, error)
  }
}

/** Waits for `event`; destroys the socket and throws the named error when anything else comes first. */
function settled<S extends Socket, R>(
  socket: S,
  event: string,
  step: string,
  where: Where,
  { signal, timeoutMs = DIAL_TIMEOUT_MS, clock = systemClock }: DialOptions,
  result: () => R,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const clean = () => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
      socket.removeListener(event, onReady)
      socket.removeListener('close', onClose)
      socket.removeListener('error', onError)
    }
    const fail = (error: unknown) => {
      clean()
      // Errors that come after the first have nobody to tell.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onReady = () => {
      try {
        const value = result()
        clean()
        // Until the owner of the connection listens, an error must not bring the process down; 'close' follows anyway.
        socket.on('error', () => {})
        resolve(value)
      } catch (error) {
        fail(error)
      }
    }
    const onError = (error: Error) => fail(explained(error, step, where, socket))
    const onClose = () => fail(netError('DIAL_CLOSED', where))
    const onAbort = () => fail(signal?.reason instanceof HanseError ? signal.reason : netError('DIAL_ABORTED', where))
    const timer = clock.after(timeoutMs, () =>
      fail(netError('DIAL_TIMEOUT', { ...where, step, timeoutMs: Math.round(timeoutMs) })),
    )
    socket.on(event, onReady)
    socket.on('error', onError)
    socket.on('close', onClose)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
  })
}

/** A socket's error in our words. */
function explained(error: Error, step: string, where: Where, socket: Socket): HanseError {
  const code = codeOf(error) ?? ''
  if (code === 'ECONNREFUSED') return netError('DIAL_REFUSED', where, error)
  if (step === 'connection request')
    return netError('DIAL_UNREACHABLE', { ...where, reason: reachability(error) }, error)
  if (ANOTHER_CA.has(code))
    return netError('DIAL_UNKNOWN_CA', { ...where, issuer: issuers.get(socket) ?? 'unknown' }, error)
  if (code === 'CERT_HAS_EXPIRED')
    return netError('DIAL_EXPIRED', { ...where, reason: 'its certificate has expired' }, error)
  if (code === 'CERT_NOT_YET_VALID') {
    return netError('DIAL_EXPIRED', { ...where, reason: 'its certificate is not valid yet' }, error)
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return nameMismatch(error, where)
  const rejection = tlsRejection(error)
  if (rejection === 'no application protocol')
    return netError('DIAL_ALPN', { ...where, alpn: 'the protocol offered' }, error)
  const disagreement = rejection && DISAGREEMENTS.get(rejection)
  if (disagreement)
    return netError('DIAL_TLS', { ...where, reason: `no ${disagreement} is allowed on both sides` }, error)
  if (rejection !== undefined) return netError('DIAL_REJECTED', { ...where, reason: rejection }, error)
  if (CLOSED.has(code)) return netError('DIAL_CLOSED', where, error)
  return netError(
    'DIAL_TLS',
    { ...where, reason: messageOf(error).split(':').at(-2)?.trim() || messageOf(error) },
    error,
  )
}

function reachability(error: Error): string {
  const code = codeOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the host name is not known'
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'no route to host'
  return messageOf(error)
}

/**
 * Why the other side ended TLS with an alert, e.g. "unknown ca"; undefined when `error` is no alert. With TLS 1.3 a
 * rejected client certificate shows only here, at the first read after a handshake that seemed to succeed.
 */
export function tlsRejection(error: unknown): string | undefined {
  const code = codeOf(error)
  const match = code ? /^ERR_SSL_(?:TLSV1|TLSV13|SSLV3|SSL\/TLS)_ALERT_(.+)$/.exec(code) : null
  return match?.[1]?.toLowerCase().replaceAll('_', ' ')
}

/** By connection: who signed what the other side showed. Gone from the socket by the time its error arrives. */
const issuers = new WeakMap<Socket, string>()

function rememberIssuer(socket: TLSSocket): void {
  const name = socket.getPeerCertificate()?.issuer?.CN
  issuers.set(socket, (Array.isArray(name) ? name[0] : name) ?? 'unknown')
}

function nameMismatch(error: Error, where: Where): HanseError {
  const host = 'host' in error && typeof error.host === 'string' ? error.host : where.servername
  const certificate = 'cert' in error ? (error.cert as Partial<PeerCertificate>) : {}
  const names = [...(certificate.subjectaltname ?? '').matchAll(/DNS:([^,]+)/g)].map((match) => `"${match[1]}"`)
  const facts = { ...where, name: host, names: names.length === 0 ? 'no name' : names.join(', ') }
  return netError('DIAL_NAME_MISMATCH', facts, error)
}
