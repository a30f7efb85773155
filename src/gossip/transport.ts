/**
 * The sockets of a pool: UDP and TCP on the same port.
 *
 * A datagram that cannot be sent is lost, as any datagram may be. Streams are handed over as they come.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, createServer, isIPv4, isIPv6, type Server, type Socket } from 'node:net'
import { codeOf, formatHostPort, messageOf } from '#base'
import { gossipError } from './errors.ts'

/** Kernel buffer for datagrams that wait while we are busy. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
/** Tries to find a port that is free for both protocols, when any may be taken. */
const MAX_PORT_TRIES = 20
const V4_MAPPED = '::ffff:'

export interface TransportHandlers {
  datagram(bytes: Buffer, address: string, port: number): void
  stream(socket: Socket, address: string): void
}

export interface TransportOptions {
  readonly pool: string
  readonly bindAddress: string
  readonly bindPort: number
}

export class Transport {
  readonly port: number
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #sockets = new Set<Socket>()
  #closed = false

  private constructor(udp: UdpSocket, tcp: Server, handlers: TransportHandlers) {
    this.#udp = udp
    this.#tcp = tcp
    this.port = udp.address().port
    // ECONNREFUSED of an earlier send surfaces here; the probe that missed its answer notices.
    udp.on('error', () => {})
    udp.on('message', (bytes, from) => handlers.datagram(bytes, withoutMapping(from.address), from.port))
    tcp.on('error', () => {})
    tcp.on('connection', (socket) => {
      this.#keep(socket)
      handlers.stream(socket, formatHostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0))
    })
  }

  /** @throws HanseError GOSSIP_BIND */
  static async open(options: TransportOptions, handlers: TransportHandlers): Promise<Transport> {
    for (let attempt = 1; ; attempt++) {
      try {
        const tcp = await listenTcp(options)
        try {
          return new Transport(await bindUdp(options, portOf(tcp)), tcp, handlers)
        } catch (thrown) {
          tcp.close()
          throw thrown
        }
      } catch (thrown) {
        if (options.bindPort === 0 && codeOf(thrown) === 'EADDRINUSE' && attempt < MAX_PORT_TRIES) continue
        const { pool, bindAddress, bindPort } = options
        const reason = codeOf(thrown) === 'EADDRINUSE' ? 'address already in use' : messageOf(thrown)
        throw gossipError('GOSSIP_BIND', { pool, address: formatHostPort(bindAddress, bindPort), reason }, thrown)
      }
    }
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    if (this.#closed || port <= 0) return
    this.#udp.send(bytes, port, address, () => {})
  }

  /** A connected socket; the caller bounds the time by destroying it. */
  dial(address: string, port: number): Socket {
    const socket = connect({ host: address, port })
    this.#keep(socket)
    return socket
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }

  close(): void {
    this.#closed = true
    this.#udp.close()
    this.#tcp.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** An IPv4 peer as a socket for both families shows it, without the prefix. */
function withoutMapping(address: string): string {
  return address.startsWith(V4_MAPPED) ? address.slice(V4_MAPPED.length) : address
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function listenTcp({ bindAddress, bindPort }: TransportOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: bindAddress, port: bindPort }, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function bindUdp({ bindAddress }: TransportOptions, port: number): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const type = isIPv6(bindAddress) ? 'udp6' : 'udp4'
    const socket = createSocket({
      type,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      // Addresses here are IP addresses already: no look-up, no wait.
      lookup: (host, _options, callback) => {
        const mapped = type === 'udp6' && isIPv4(host) ? `${V4_MAPPED}${host}` : host
        callback(null, mapped, type === 'udp6' ? 6 : 4)
      },
    })
    socket.once('error', (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ address: bindAddress, port, exclusive: true }, () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}
