/**
 * The built-in sidecar: mutual TLS for one service, both ways, as a snapshot says it.
 *
 * Inbound: a caller with a certificate of the federation → intentions decide by its identity → the application. Outbound:
 * the application calls a local address → the first target that has a healthy endpoint → TLS by the target's name, and
 * nothing is sent before the certificate there is the target's. It looks at connections, not at requests: an intention
 * about requests lets nobody in.
 *
 * A new snapshot changes certificates, intentions and endpoints for connections to come; those that are open stay.
 *
 * Source: federation wire notes §7, §8, §10.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { type Clock, formatHostPort, type Logger, type Metrics, messageOf, type Random, shuffled } from '#base'
import {
  authorizeConnection,
  type ClusterSnapshot,
  type ProxySnapshot,
  type TargetSnapshot,
  type UpstreamSnapshot,
} from '#mesh'
import { dialTcp, dialTls, LimitedLog, listenOn, type TlsIdentity } from '#net'
import { proxyError } from './errors.ts'
import { joined } from './joined.ts'

/** Connections that one sidecar holds at a time, inbound and outbound each. */
export const MAX_CONNECTIONS = 8_192
/** Endpoints tried for one outbound connection. */
export const MAX_ATTEMPTS = 5
const HANDSHAKE_TIMEOUT_MS = 10_000

export interface SidecarModules {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
}

interface OpenUpstream {
  readonly server: Server
  upstream: UpstreamSnapshot
}

/** The URI in a certificate that was verified; empty when there is none. */
function identityOf(socket: TLSSocket): string {
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? ''
  return /(?:^|, )URI:([^,]+)/.exec(names)?.[1] ?? ''
}

export class Sidecar {
  readonly #modules: SidecarModules
  readonly #log: LimitedLog
  readonly #upstreams = new Map<string, OpenUpstream>()
  readonly #sockets = new Set<Socket>()
  /** What stands under the TLS connections of the inbound listener. */
  readonly #arriving = new Set<Socket>()
  #public: TlsServer | undefined
  #publicAddress = ''
  #snapshot: ProxySnapshot | undefined
  #clusters: ReadonlyMap<string, ClusterSnapshot> = new Map()

  constructor(modules: SidecarModules) {
    this.#modules = modules
    this.#log = new LimitedLog(modules.log, modules.clock)
  }

  /**
   * Takes a snapshot into force.
   *
   * @throws LISTEN_IN_USE, LISTEN_FAILED naming the listener; what was open stays open
   */
  async apply(snapshot: ProxySnapshot): Promise<void> {
    this.#snapshot = snapshot
    this.#clusters = new Map(snapshot.Clusters.map((cluster) => [cluster.Name, cluster]))
    await this.#openPublic(snapshot)
    const wanted = new Map(snapshot.Upstreams.map((upstream) => [upstream.Listener.Name, upstream]))
    for (const [name, open] of this.#upstreams) {
      const upstream = wanted.get(name)
      if (upstream) open.upstream = upstream
      else {
        open.server.close()
        this.#upstreams.delete(name)
      }
    }
    for (const [name, upstream] of wanted) if (!this.#upstreams.has(name)) await this.#openUpstream(name, upstream)
  }

  /** Closes all listeners and cuts all connections. */
  async close(): Promise<void> {
    const servers = [this.#public, ...[...this.#upstreams.values()].map((open) => open.server)]
    this.#upstreams.clear()
    for (const socket of [...this.#sockets, ...this.#arriving]) socket.destroy()
    await Promise.all(servers.map((server) => server && new Promise((resolve) => server.close(resolve))))
  }

  get #identity(): TlsIdentity {
    const { Leaf, Roots } = this.#current
    return { caPem: Roots.join('\n'), certPem: Leaf.CertPEM, keyPem: Leaf.PrivateKeyPEM }
  }

  get #current(): ProxySnapshot {
    if (!this.#snapshot) throw proxyError('SIDECAR_NOT_READY', {})
    return this.#snapshot
  }

  async #openPublic({ Public }: ProxySnapshot): Promise<void> {
    const { caPem, certPem, keyPem } = this.#identity
    const context = { ca: caPem, cert: certPem, key: keyPem, minVersion: 'TLSv1.2' as const }
    const address = formatHostPort(Public.Address, Public.Port)
    if (this.#public && address === this.#publicAddress) {
      this.#public.setSecureContext(context)
      return
    }
    const server = createTlsServer({
      ...context,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    })
    server.on('connection', (socket: Socket) => this.#arrived(socket))
    server.on('secureConnection', (socket) => {
      // Only from now on: who hangs up during the handshake, as a health check does, must not be waited for.
      socket.allowHalfOpen = true
      void this.#inbound(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      if (socket.bytesRead > 0) this.#refused('handshake', messageOf(error))
    })
    await listenOn(server, { host: Public.Address, port: Public.Port, setting: Public.Name })
    this.#public?.close()
    this.#public = server
    this.#publicAddress = address
    this.#modules.log.info('inbound listener open', { address, service: this.#current.Service })
  }

  async #openUpstream(name: string, upstream: UpstreamSnapshot): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const open = this.#upstreams.get(name)
      if (open) void this.#outbound(socket, open.upstream)
      else socket.destroy()
    })
    const { Address, Port } = upstream.Listener
    await listenOn(server, { host: Address, port: Port, setting: name })
    this.#upstreams.set(name, { server, upstream })
    this.#modules.log.info('upstream listener open', { upstream: upstream.ID, address: formatHostPort(Address, Port) })
  }

  /** Bounds and holds connections that have not said yet who they are. */
  #arrived(socket: Socket): void {
    if (this.#arriving.size >= MAX_CONNECTIONS) {
      this.#refused('limit', `more than ${MAX_CONNECTIONS} connections`)
      socket.destroy()
      return
    }
    this.#arriving.add(socket)
    socket.on('close', () => this.#arriving.delete(socket))
  }

  /** Holds a connection until it closes. @returns false when there are too many: it is closed then */
  #admit(socket: Socket): boolean {
    socket.on('error', () => {
      // 'close' follows and is what counts.
    })
    if (this.#sockets.size >= 2 * MAX_CONNECTIONS) {
      this.#refused('limit', `more than ${2 * MAX_CONNECTIONS} connections`)
      socket.destroy()
      return false
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    return true
  }

  #refused(why: string, detail: string): void {
    this.#modules.metrics.count('hanse.sidecar.refused', 1, { why })
    this.#log.warn(why, 'connection refused', { why, detail })
  }

  async #inbound(socket: TLSSocket): Promise<void> {
    if (!this.#admit(socket)) return
    const caller = identityOf(socket)
    const snapshot = this.#current
    const { allowed, rule } = authorizeConnection(snapshot, caller)
    if (!allowed) {
      const by = rule ? `intention of source "${rule.Source}"` : 'default'
      this.#refused('intention', `"${caller}" may not call "${snapshot.Service}": ${by}`)
      socket.destroy()
      return
    }
    const { Address, Port, ConnectTimeoutMs } = snapshot.Public.LocalApp
    try {
      const { clock } = this.#modules
      const local = await dialTcp({
        host: Address,
        port: Port,
        timeoutMs: ConnectTimeoutMs,
        clock,
        allowHalfOpen: true,
      })
      if (!this.#admit(local)) return void socket.destroy()
      this.#modules.metrics.count('hanse.sidecar.inbound')
      await joined(socket, local)
    } catch (error) {
      this.#refused('application', messageOf(error))
      socket.destroy()
    }
  }

  async #outbound(socket: Socket, upstream: UpstreamSnapshot): Promise<void> {
    if (!this.#admit(socket)) return
    try {
      const remote = await this.#connect(upstream)
      if (!this.#admit(remote)) return void socket.destroy()
      this.#modules.metrics.count('hanse.sidecar.outbound', 1, { upstream: upstream.ID })
      await joined(socket, remote)
    } catch (error) {
      this.#refused('upstream', messageOf(error))
      socket.destroy()
    }
  }

  /** The cluster by weight, its first target that has a healthy endpoint, its endpoints in random order. */
  async #connect(upstream: UpstreamSnapshot): Promise<Socket> {
    const cluster = this.#clusters.get(this.#chosen(upstream))
    let reason = 'no healthy endpoint is known'
    let attempts = 0
    for (const target of cluster?.Targets ?? []) {
      for (const endpoint of shuffled(
        target.Endpoints.filter(({ Healthy }) => Healthy),
        this.#modules.random,
      )) {
        if (attempts++ >= MAX_ATTEMPTS) break
        try {
          return await this.#dial(target, endpoint.Address, endpoint.Port)
        } catch (error) {
          reason = messageOf(error)
        }
      }
    }
    throw proxyError('SIDECAR_NO_ENDPOINT', { upstream: upstream.ID, reason })
  }

  #chosen({ Splits }: UpstreamSnapshot): string {
    let point = this.#modules.random.float() * Splits.reduce((sum, { Weight }) => sum + Weight, 0)
    for (const { Weight, Cluster } of Splits) {
      point -= Weight
      if (point < 0) return Cluster
    }
    return Splits.at(-1)?.Cluster ?? ''
  }

  async #dial(target: TargetSnapshot, host: string, port: number): Promise<TLSSocket> {
    const socket = await dialTls({
      host,
      port,
      servername: target.SNI,
      // The name is the SPIFFE ID, looked at below; the chain is verified by TLS.
      verifyName: undefined,
      identity: this.#identity,
      timeoutMs: target.ConnectTimeoutMs,
      clock: this.#modules.clock,
      allowHalfOpen: true,
    })
    const identity = identityOf(socket)
    if (target.SpiffeIDs.includes(identity)) return socket
    socket.destroy()
    throw proxyError('SIDECAR_WRONG_IDENTITY', {
      address: formatHostPort(host, port),
      identity,
      wanted: target.SpiffeIDs,
    })
  }
}
