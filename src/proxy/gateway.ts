/**
 * The data path of the built-in mesh gateway: reads the name a TLS client asks for, and passes the connection on.
 *
 * TLS is never ended here: the gateway sees the ClientHello and then bytes. Routes come from outside and may be replaced
 * at any time; connections that are open stay where they are. A name without a route is closed, counted, and logged no
 * more often than strangers may cause.
 *
 * Source: federation notes §6.
 */
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Clock,
  formatHostPort,
  type Logger,
  type Metrics,
  messageOf,
  type Random,
  shuffled,
  silentLogger,
  systemClock,
  systemRandom,
} from '#base'
import { dialTcp, LimitedLog, listeningAddress, listenOn, parseClientHello } from '#net'
import { proxyError } from './errors.ts'
import { joined } from './joined.ts'
import { type Endpoint, endpointTexts, NO_ROUTES, type Route, Routes, type RouteTable } from './routes.ts'

export interface GatewayLimits {
  readonly connections: number
  /** For the whole ClientHello. */
  readonly peekTimeoutMs: number
  /** For one endpoint. */
  readonly connectTimeoutMs: number
  /** For all endpoints of a connection together. */
  readonly totalConnectTimeoutMs: number
  /** Endpoints tried for one connection. */
  readonly attempts: number
}

export const GATEWAY_LIMITS: GatewayLimits = {
  connections: 8192,
  peekTimeoutMs: 5000,
  connectTimeoutMs: 5000,
  totalConnectTimeoutMs: 15_000,
  attempts: 5,
}

export interface SniGatewayOptions {
  readonly host: string
  readonly port: number
  /** The setting that chose the port, for errors. */
  readonly setting?: string
  /** Addresses under which others reach this gateway: never a destination, or a connection would run in circles. */
  readonly ownAddresses?: readonly Endpoint[]
  readonly limits?: Partial<GatewayLimits>
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Logger
  readonly metrics?: Metrics
}

/** What went through one route since the start. */
export interface RouteCounters {
  connections: number
  active: number
  failures: number
  bytesToUpstream: number
  bytesToClient: number
}

const WILDCARD_HOSTS = new Set(['', '::', '0.0.0.0'])

export class SniGateway {
  readonly #options: SniGatewayOptions
  readonly #limits: GatewayLimits
  readonly #clock: Clock
  readonly #log: LimitedLog
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #counters = new Map<string, RouteCounters>()
  #clients = 0
  #routes = new Routes(NO_ROUTES)

  constructor(options: SniGatewayOptions) {
    this.#options = options
    this.#limits = { ...GATEWAY_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#log = new LimitedLog(options.log ?? silentLogger, this.#clock)
    const socketOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }
    this.#server = createServer(socketOptions, (socket) => void this.#accept(socket))
  }

  /** @throws LISTEN_IN_USE, LISTEN_FAILED */
  async listen(): Promise<void> {
    const { host, port, setting = 'gateway port' } = this.#options
    await listenOn(this.#server, { host, port, setting })
    this.#server.on('error', (error) => this.#log.warn('accept', 'cannot accept connection', { error: error.message }))
  }

  get address(): Endpoint {
    return listeningAddress(this.#server) ?? { host: this.#options.host, port: this.#options.port }
  }

  /** Connections of clients that are open now. */
  get connectionCount(): number {
    return this.#clients
  }

  /** Counters by route name, for those that were ever used and are still in the table or have connections. */
  get counters(): ReadonlyMap<string, Readonly<RouteCounters>> {
    return this.#counters
  }

  /**
   * Replaces the route table for connections to come.
   *
   * @throws GATEWAY_TOO_MANY_ROUTES; the old table then stays
   */
  setRoutes(table: RouteTable): void {
    this.#routes = new Routes(table)
    const suffixes = new Set(table.wildcards.map(({ suffix }) => `*${suffix.toLowerCase()}`))
    for (const [name, { active }] of this.#counters) {
      if (active === 0 && !table.exact.has(name) && !suffixes.has(name)) this.#counters.delete(name)
    }
  }

  /** Stops listening and cuts every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
  }

  async #accept(client: Socket): Promise<void> {
    this.#track(client)
    if (this.#clients >= this.#limits.connections) return this.#refuse(client, 'too many connections')
    this.#clients++
    client.on('close', () => this.#clients--)
    try {
      const peeked = await this.#peek(client)
      if (!peeked) return void client.destroy()
      if (peeked.sni === undefined) return this.#refuse(client, 'no server name')
      const route = this.#routes.match(peeked.sni)
      if (!route) return this.#refuse(client, 'no route', peeked.sni)
      await this.#pass(client, peeked.bytes, peeked.sni, route)
    } catch (error) {
      this.#refuse(client, 'no client hello', messageOf(error))
    }
  }

  #refuse(client: Socket, reason: string, detail?: string): void {
    this.#options.metrics?.count('hanse.gateway.refused', 1, { reason })
    const from = formatHostPort(client.remoteAddress ?? 'unknown', client.remotePort ?? 0)
    this.#log.warn(`${reason} ${detail ?? ''}`, 'connection refused', { from, reason, detail })
    client.destroy()
  }

  /**
   * Reads up to the end of the ClientHello; undefined when the client left before a single byte.
   *
   * @throws CLIENT_HELLO_INVALID, also when time runs out
   */
  #peek(client: Socket): Promise<{ bytes: Buffer; sni: string | undefined } | undefined> {
    return new Promise((resolve, reject) => {
      let bytes: Buffer = Buffer.alloc(0)
      const stop = () => {
        timer.cancel()
        client.pause()
        client.removeListener('data', onData)
        client.removeListener('end', onEnd)
        client.removeListener('close', onEnd)
      }
      const onEnd = () => {
        stop()
        if (bytes.length === 0) resolve(undefined)
        else reject(new Error(`the client left after ${bytes.length} bytes`))
      }
      const onData = (chunk: Buffer) => {
        bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
        try {
          const hello = parseClientHello(bytes)
          if (!hello.complete) return
          stop()
          resolve({ bytes, sni: hello.sni })
        } catch (error) {
          stop()
          reject(error)
        }
      }
      const timer = this.#clock.after(this.#limits.peekTimeoutMs, () => {
        stop()
        reject(new Error(`it was not complete in ${this.#limits.peekTimeoutMs} ms`))
      })
      client.on('data', onData)
      client.on('end', onEnd)
      client.on('close', onEnd)
    })
  }

  #countersOf(route: Route): RouteCounters {
    const known = this.#counters.get(route.name)
    if (known) return known
    const made = { connections: 0, active: 0, failures: 0, bytesToUpstream: 0, bytesToClient: 0 }
    this.#counters.set(route.name, made)
    return made
  }

  async #pass(client: Socket, hello: Buffer, sni: string, route: Route): Promise<void> {
    const counters = this.#countersOf(route)
    const { metrics } = this.#options
    counters.active++
    try {
      const upstream = await this.#connectAny(client, sni, route)
      if (client.destroyed) return void upstream.destroy()
      counters.connections++
      metrics?.count('hanse.gateway.connections', 1, { route: route.name })
      await joined(client, upstream, hello)
      counters.bytesToUpstream += upstream.bytesWritten
      counters.bytesToClient += upstream.bytesRead
    } catch (error) {
      if (client.destroyed) return
      counters.failures++
      metrics?.count('hanse.gateway.failures', 1, { route: route.name })
      this.#refuse(client, 'no endpoint answers', messageOf(error))
    } finally {
      counters.active--
    }
  }

  /** Tries the route's endpoints in random order. */
  async #connectAny(client: Socket, sni: string, route: Route): Promise<Socket> {
    const others = route.endpoints.filter((endpoint) => !this.#isSelf(endpoint))
    const endpoints = shuffled(others, this.#options.random ?? systemRandom).slice(0, this.#limits.attempts)
    const giveUp = new AbortController()
    const onGone = () => giveUp.abort()
    const timer = this.#clock.after(this.#limits.totalConnectTimeoutMs, onGone)
    client.on('close', onGone)
    let reason = route.endpoints.length > 0 ? 'that is this gateway itself' : ''
    try {
      for (const endpoint of endpoints) {
        if (giveUp.signal.aborted) break
        try {
          return await this.#connect(endpoint, giveUp.signal)
        } catch (error) {
          reason = messageOf(error)
        }
      }
    } finally {
      timer.cancel()
      client.removeListener('close', onGone)
    }
    const tried = endpointTexts(endpoints.length > 0 ? endpoints : route.endpoints)
    throw proxyError('GATEWAY_NO_ENDPOINT', { sni, tried, reason })
  }

  async #connect({ host, port }: Endpoint, signal: AbortSignal): Promise<Socket> {
    const upstream = await dialTcp({
      host,
      port,
      signal,
      timeoutMs: this.#limits.connectTimeoutMs,
      clock: this.#clock,
      allowHalfOpen: true,
    })
    this.#track(upstream)
    return upstream
  }

  #isSelf({ host, port }: Endpoint): boolean {
    const own = this.address
    const listening = port === own.port && (host === own.host || (WILDCARD_HOSTS.has(own.host) && isLoopback(host)))
    return listening || (this.#options.ownAddresses ?? []).some((each) => each.host === host && each.port === port)
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
