/**
 * Load for HTTP servers: keep-alive connections on bare sockets, one request at a time on each.
 *
 * Reads just enough of an answer to know where it ends, so that the client's work does not hide the server's.
 */
import { connect, type Socket } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')
const LENGTH = Buffer.from('\r\nContent-Length: ')
const [ZERO = 0, NINE = 0] = Buffer.from('09')

/** What is asked: the same each time, or another thing each time. */
type Question = Buffer | (() => Buffer)

export class Connection {
  readonly #socket: Socket
  readonly #question: Question
  #received: Buffer = Buffer.alloc(0)
  #missing = -1
  #done: (() => void) | undefined

  constructor(socket: Socket, question: Question) {
    this.#socket = socket
    this.#question = question
    socket.on('data', (chunk) => this.#read(chunk))
  }

  /** Sends the request; resolves when its answer is complete. */
  ask(): Promise<void> {
    return new Promise((resolve) => {
      this.#done = resolve
      this.#socket.write(typeof this.#question === 'function' ? this.#question() : this.#question)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    if (this.#missing >= 0) this.#missing -= chunk.length
    else {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      const end = this.#received.indexOf(HEAD_END)
      if (end === -1) return
      this.#missing = lengthIn(this.#received) - (this.#received.length - end - HEAD_END.length)
      this.#received = Buffer.alloc(0)
    }
    if (this.#missing > 0) return
    this.#missing = -1
    const done = this.#done
    this.#done = undefined
    done?.()
  }
}

/** The length of the body, as the head says it. */
function lengthIn(received: Buffer): number {
  let at = received.indexOf(LENGTH)
  if (at === -1) throw new Error(`an answer without its length: ${received.toString('latin1', 0, 200)}`)
  let length = 0
  for (at += LENGTH.length; ; at++) {
    const digit = received[at] ?? 0
    if (digit < ZERO || digit > NINE) return length
    length = length * 10 + digit - ZERO
  }
}

/** The bytes of a request without a body, or with one. */
export function requestBytes(method: string, path: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const length = body.length === 0 ? '' : `Content-Length: ${body.length}\r\n`
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n${length}\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

/** Opens connections to a port on loopback that all get a path. */
export function open(port: number, path: string, count: number): Promise<Connection[]> {
  const request = requestBytes('GET', path)
  return openFor(
    port,
    Array.from({ length: count }, () => request),
  )
}

/** Opens a connection for each question, some at a time. */
export async function openFor(port: number, requests: readonly Question[]): Promise<Connection[]> {
  const connections: Connection[] = []
  while (connections.length < requests.length) {
    const opened = requests.slice(connections.length, connections.length + 200).map(async (request) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      await new Promise((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      })
      return new Connection(socket, request)
    })
    connections.push(...(await Promise.all(opened)))
  }
  return connections
}

/** Asks on every connection until the time is over. @returns how many answers came */
export async function load(connections: readonly Connection[], runMs: number): Promise<number> {
  const end = performance.now() + runMs
  let answers = 0
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < end) {
        await connection.ask()
        answers++
      }
    }),
  )
  return answers
}
