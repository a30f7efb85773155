/**
 * The server port: one address on which RPC, gossip from other datacenters, snapshots and gRPC arrive, told apart by the
 * first byte, or inside TLS by ALPN.
 *
 * What is refused is closed and counted, and its reason logged (not more often than strangers may cause). What is
 * accepted is handed to a handler as a stream; what the bytes on it mean is the handler's business.
 *
 * Source: RPC wire notes §1 and §2.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { type Clock, codeOf, formatHostPort, messageOf, silentLogger, systemClock } from '#base'
import { LimitedLog } from './limited-log.ts'
import { listeningAddress, listenOn } from './listen.ts'
import {
  type ConnectionInfo,
  SERVER_PORT_LIMITS,
  type ServerPortLimits,
  type ServerPortOptions,
} from './server-port-options.ts'
import { sameIdentity, secureContextOf, type TlsIdentity } from './tls-identity.ts'
import { YamuxSession } from './yamux-session.ts'

/** First bytes, by what follows them. */
export const FIRST_BYTE = { rpc: 0, tls: 3, multiplex: 4, snapshot: 5, grpc: 8, firstNativeTls: 10 } as const

type Protocol = 'rpc' | 'multiplex' | 'snapshot' | 'grpc' | 'packets' | 'gossipStream'

const PROTOCOL_OF_BYTE = new Map<number, Protocol>([
  [FIRST_BYTE.rpc, 'rpc'],
  [FIRST_BYTE.multiplex, 'multiplex'],
  [FIRST_BYTE.snapshot, 'snapshot'],
  [FIRST_BYTE.grpc, 'grpc'],
])

const PROTOCOL_OF_ALPN = new Map<string, Protocol>([
  ['consul/rpc-multi', 'multiplex'],
  ['consul/rpc-single', 'rpc'],
  ['consul/rpc-snapshot', 'snapshot'],
  ['consul/rpc-grpc', 'grpc'],
  ['consul/wan-gossip/packet', 'packets'],
  ['consul/wan-gossip/stream', 'gossipStream'],
])

interface TlsServers {
  readonly identity: TlsIdentity
  readonly verifyIncoming: boolean
  /** TLS from the first byte: the client's certificate is always demanded. */
  readonly native: TlsServer
  /** TLS after byte 3. */
  readonly inner: TlsServer
}

export class ServerPort {
  readonly #options: ServerPortOptions
  readonly #limits: ServerPortLimits
  readonly #clock: Clock
  readonly #log: LimitedLog
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<YamuxSession>()
  readonly #perIp = new Map<string, number>()
  /** By remote address: accepted, and not yet known what they are for. */
  readonly #nameless = new Set<string>()
  /** Those whose other side may not have heard yet that this one goes. */
  readonly #unheard = new Set<YamuxSession>()
  #leaving = false
  #tls: TlsServers | undefined

  constructor(options: ServerPortOptions) {
    this.#options = options
    this.#limits = { ...SERVER_PORT_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#log = new LimitedLog(options.log ?? silentLogger, this.#clock)
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#accept(socket),
    )
  }

  /**
   * Begins to listen.
   *
   * @throws LISTEN_IN_USE, LISTEN_FAILED
   */
  async listen(): Promise<void> {
    const { host, port, setting = 'ports.server' } = this.#options
    await listenOn(this.#server, { host, port, setting })
    this.#server.on('error', (error) => this.#log.warn('accept', 'cannot accept connection', { error: error.message }))
  }

  /** Where it listens, with the port that the system chose for 0. */
  get address(): { readonly host: string; readonly port: number } {
    return listeningAddress(this.#server) ?? { host: this.#options.host, port: this.#options.port }
  }

  get connectionCount(): number {
    return this.#sockets.size
  }

  /** Takes no more connections, and asks those who have one to begin no more calls on it; calls under way go on. */
  goAway(): void {
    this.#leaving = true
    this.#server.close()
    for (const session of this.#sessions) this.#farewell(session)
  }

  /** Connections on which calls may still arrive after `goAway()`, from those who have not heard of it. */
  get unheardCount(): number {
    return this.#nameless.size + this.#unheard.size
  }

  #farewell(session: YamuxSession): void {
    this.#unheard.add(session)
    void session.farewell().then(() => this.#unheard.delete(session))
  }

  /** Stops listening, says good-bye on multiplexed connections and closes all. */
  async close(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined
    this.#server.close()
    for (const session of this.#sessions) session.close()
    for (const socket of this.#sockets) socket.destroySoon()
    const cut = this.#clock.after(1000, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
    cut.cancel()
  }

  #accept(socket: Socket) {
    const ip = socket.remoteAddress ?? ''
    const count = (this.#perIp.get(ip) ?? 0) + 1
    socket.on('error', () => {})
    if (count > this.#limits.connectionsPerIp) return this.#refuse(socket, 'too many connections of this address')
    if (this.#sockets.size >= this.#limits.connections) return this.#refuse(socket, 'too many connections')
    this.#perIp.set(ip, count)
    this.#sockets.add(socket)
    const key = keyOf(infoOf(socket))
    this.#nameless.add(key)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#nameless.delete(key)
      const left = (this.#perIp.get(ip) ?? 1) - 1
      if (left === 0) this.#perIp.delete(ip)
      else this.#perIp.set(ip, left)
    })
    this.#firstByte(socket, (byte) => this.#onFirstByte(socket, byte))
  }

  /** Takes one byte off the stream, within the deadline. */
  #firstByte(stream: Socket, then: (byte: number) => void): void {
    const stop = () => {
      timer.cancel()
      stream.removeListener('readable', onReadable)
      stream.removeListener('end', onEnd)
      stream.removeListener('close', stop)
    }
    const onReadable = () => {
      const byte: Buffer | null = stream.read(1)
      if (byte === null) return
      stop()
      then(byte[0] ?? 0)
    }
    // A connection that closes without a word is a probe of the port: nothing to report.
    const onEnd = () => {
      stop()
      stream.destroy()
    }
    const timer = this.#clock.after(this.#limits.handshakeTimeoutMs, () => {
      stop()
      this.#refuse(stream, 'no first byte in time')
    })
    stream.on('readable', onReadable)
    stream.on('end', onEnd)
    stream.on('close', stop)
  }

  #onFirstByte(socket: Socket, byte: number) {
    const native = byte >= FIRST_BYTE.firstNativeTls
    if (native || byte === FIRST_BYTE.tls) {
      const servers = this.#tlsServers()
      if (!servers) return this.#refuse(socket, 'TLS is not configured')
      // Without a CA of our own the runtime would trust every public one.
      const verified = native || this.#options.verifyIncoming()
      if (verified && servers.identity.caPem.trim() === '') return this.#refuse(socket, 'TLS needs a CA')
      if (native) socket.unshift(Buffer.from([byte]))
      const server = native ? servers.native : servers.inner
      // Who ends the connection within the handshake has refused us: there is nothing to wait for.
      socket.allowHalfOpen = false
      return void server.emit('connection', socket)
    }
    if (this.#options.verifyIncoming()) return this.#refuse(socket, 'not TLS, and verify_incoming is on')
    this.#byByte(socket, byte, infoOf(socket))
  }

  #byByte(stream: Socket, byte: number, info: ConnectionInfo) {
    const protocol = PROTOCOL_OF_BYTE.get(byte)
    if (!protocol) return this.#refuse(stream, `first byte ${byte} is not served`)
    this.#serve(stream, protocol, info)
  }

  #serve(stream: Socket, protocol: Protocol, info: ConnectionInfo) {
    const { handlers, metrics } = this.#options
    this.#nameless.delete(keyOf(info))
    if (protocol === 'multiplex') {
      metrics?.count('hanse.server_port.accepted', 1, { protocol })
      return this.#multiplex(stream, info)
    }
    const handler = handlers[protocol]
    if (!handler) return this.#refuse(stream, `${protocol} is not served`)
    metrics?.count('hanse.server_port.accepted', 1, { protocol })
    handler.call(handlers, stream, info)
  }

  #multiplex(stream: Socket, info: ConnectionInfo): void {
    const session: YamuxSession = new YamuxSession(stream, {
      role: 'server',
      clock: this.#clock,
      onStream: (each) => this.#options.handlers.rpc(each, info),
      accepting: () => this.#options.accepting?.() ?? true,
      onClose: () => this.#sessions.delete(session),
    })
    this.#sessions.add(session)
    if (this.#leaving) this.#farewell(session)
  }

  #refuse(socket: Socket, reason: string, detail = ''): void {
    this.#options.metrics?.count('hanse.server_port.refused', 1, { reason })
    const from =
      socket.remoteAddress === undefined ? 'unknown' : formatHostPort(socket.remoteAddress, socket.remotePort ?? 0)
    this.#log.warn(reason, 'connection refused', { from, reason, ...(detail === '' ? {} : { detail }) })
    socket.destroy()
  }

  #tlsServers(): TlsServers | undefined {
    const identity = this.#options.identity()
    if (!identity) return undefined
    const verifyIncoming = this.#options.verifyIncoming()
    const known = this.#tls
    if (known && known.verifyIncoming === verifyIncoming && sameIdentity(known.identity, identity)) return known
    try {
      this.#tls = {
        identity,
        verifyIncoming,
        native: this.#tlsServer(identity, true, (socket) => this.#onNative(socket)),
        inner: this.#tlsServer(identity, verifyIncoming, (socket) => this.#onInner(socket)),
      }
    } catch (error) {
      // The last good identity goes on serving; without one there is no TLS.
      this.#log.warn('identity', 'cannot use certificate, key or CA', { error: messageOf(error) })
    }
    return this.#tls
  }

  #tlsServer(identity: TlsIdentity, mutual: boolean, onSecure: (socket: TLSSocket) => void): TlsServer {
    const server = createTlsServer({
      ...secureContextOf(identity),
      requestCert: true,
      rejectUnauthorized: mutual,
      ALPNProtocols: [...PROTOCOL_OF_ALPN.keys()],
      handshakeTimeout: this.#limits.handshakeTimeoutMs,
    })
    server.on('secureConnection', (socket) => {
      socket.allowHalfOpen = true
      onSecure(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      socket.on('error', () => {})
      const foreign = socket.authorizationError
      const reason = foreign ? 'client certificate not accepted' : 'TLS handshake failed'
      const detail = codeOf(error) === 'ECONNRESET' ? 'the other side closed the connection' : messageOf(error)
      this.#refuse(socket, reason, foreign ? String(foreign) : detail)
    })
    return server
  }

  #onNative(socket: TLSSocket) {
    socket.on('error', () => {})
    const alpn = socket.alpnProtocol
    if (!alpn) return this.#refuse(socket, 'TLS without ALPN')
    const protocol = PROTOCOL_OF_ALPN.get(alpn)
    if (!protocol) return this.#refuse(socket, `ALPN ${alpn} is not served`)
    this.#serve(socket, protocol, infoOf(socket, socket))
  }

  #onInner(socket: TLSSocket): void {
    socket.on('error', () => {})
    this.#firstByte(socket, (byte) => this.#byByte(socket, byte, infoOf(socket, socket)))
  }
}

function keyOf({ remote }: ConnectionInfo): string {
  return formatHostPort(remote.address, remote.port)
}

function infoOf(socket: Socket, tls?: TLSSocket): ConnectionInfo {
  return {
    remote: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
    tls: tls !== undefined,
    alpn: tls?.alpnProtocol || undefined,
    peerNames: tls?.getPeerCertificate().subjectaltname,
  }
}
