/**
 * DNS over UDP and TCP on one port. Sockets end here; answers come from the responder.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { codeOf, formatHostPort, messageOf } from '#base'
import { apiError } from '../errors.ts'
import type { Listener } from '../http/server.ts'
import { MAX_QUERY_BYTES } from './message.ts'
import { Responder, type ResponderOptions } from './responder.ts'
import { DEFAULT_DNS_SETTINGS, type DnsSettings } from './settings.ts'

/** TCP connections at one time. */
export const MAX_TCP_CONNECTIONS = 1024
/** Questions that wait for an answer on one TCP connection; above it the connection is closed. */
const MAX_TCP_PIPELINED = 128
const TCP_IDLE_MS = 30_000
const RECEIVE_BUFFER_BYTES = 1024 * 1024

export interface DnsServerOptions extends ResponderOptions {
  readonly settings?: Partial<DnsSettings>
}

export class DnsServer {
  readonly #options: DnsServerOptions
  readonly #responder: Responder
  readonly #listeners = new Set<Listener>()

  constructor(options: DnsServerOptions) {
    this.#options = options
    this.#responder = new Responder(options, { ...DEFAULT_DNS_SETTINGS, ...options.settings })
  }

  /** Takes other settings from now on. */
  configure(settings: Partial<DnsSettings>): void {
    this.#responder.configure({ ...DEFAULT_DNS_SETTINGS, ...settings })
  }

  /** Opens UDP and TCP on one port. @throws HanseError LISTEN_FAILED */
  async listen(address: { readonly host: string; readonly port: number }): Promise<Listener> {
    const tcp = await this.#listenTcp(address)
    const bound = tcp.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
    let udp: UdpSocket
    try {
      udp = await this.#listenUdp(address.host, port)
    } catch (thrown) {
      tcp.close()
      throw thrown
    }
    const listener: Listener = {
      host: address.host,
      port,
      close: async () => {
        this.#listeners.delete(listener)
        const ends = [closed(tcp), new Promise<void>((resolve) => udp.close(resolve))]
        for (const socket of this.#sockets) socket.destroy()
        await Promise.all(ends)
      },
    }
    this.#listeners.add(listener)
    return listener
  }

  async close(): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener.close()))
  }

  readonly #sockets = new Set<Socket>()

  #listenUdp(host: string, port: number): Promise<UdpSocket> {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES })
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => reject(listenError(host, port, error)))
      socket.bind(port, host, () => {
        socket.removeAllListeners('error')
        socket.on('error', (error) => this.#options.log.warn('DNS socket failed', { error: messageOf(error) }))
        socket.on('message', (message, from) => this.#onDatagram(socket, message, from))
        resolve(socket)
      })
    })
  }

  #onDatagram(socket: UdpSocket, message: Buffer, from: RemoteInfo): void {
    const answer = this.#responder.respond(message, 'udp')
    if (answer === undefined) return
    if (!(answer instanceof Promise)) {
      socket.send(answer, 0, answer.length, from.port, from.address, ignore)
      return
    }
    answer.then((made) => socket.send(made, from.port, from.address, ignore), ignore)
  }

  async #listenTcp({ host, port }: { readonly host: string; readonly port: number }): Promise<Server> {
    const server = createServer((socket) => this.#onConnection(socket))
    server.maxConnections = MAX_TCP_CONNECTIONS
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(host, port, error)))
      server.listen({ host, port }, resolve)
    })
    return server
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', ignore)
    let received: Buffer = Buffer.alloc(0)
    let waiting = 0
    const send = (answer: Buffer) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.write(Buffer.concat([length, answer]))
    }
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      while (received.length >= 2) {
        const length = received.readUInt16BE(0)
        if (length > MAX_QUERY_BYTES) {
          socket.destroy()
          return
        }
        if (received.length < 2 + length) return
        const answer = this.#responder.respond(received.subarray(2, 2 + length), 'tcp')
        received = received.subarray(2 + length)
        if (answer === undefined || ++waiting > MAX_TCP_PIPELINED) {
          socket.destroy()
          return
        }
        const settle = (made: Buffer) => {
          waiting--
          send(made)
        }
        if (answer instanceof Promise) answer.then(settle, () => socket.destroy())
        else settle(answer)
      }
    })
  }
}

function ignore(): void {}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

function listenError(host: string, port: number, error: unknown): Error {
  const reason = codeOf(error) === 'EADDRINUSE' ? 'the port is in use' : messageOf(error)
  return apiError('LISTEN_FAILED', { what: 'DNS', address: formatHostPort(host, port), reason }, error)
}
