/**
 * A way to etcd that breaks at the worst moment: the answer to one chosen call still comes through, what the watch would
 * tell of it does not, and then nobody is there any more.
 *
 * It reads the frames of HTTP/2 (RFC 9113, section 4.1) and changes none.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

const PREFACE_BYTES = 24
const HEADER_BYTES = 9
const END_STREAM = 1
const TYPE = { data: 0, headers: 1 } as const

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly bytes: Buffer
}

/** Hands over whole frames, after what comes before the first. */
function frames(skip: number, onFrame: (frame: Frame) => void, onSkipped: (bytes: Buffer) => void = () => {}) {
  let left = skip
  let kept: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk])
    if (left > 0) {
      if (kept.length < left) return
      onSkipped(kept.subarray(0, left))
      kept = kept.subarray(left)
      left = 0
    }
    while (kept.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + kept.readUIntBE(0, 3)
      if (kept.length < end) return
      const [type = 0, flags = 0] = kept.subarray(3, 5)
      onFrame({ type, flags, stream: kept.readUInt32BE(5) & 0x7fff_ffff, bytes: kept.subarray(0, end) })
      kept = kept.subarray(end)
    }
  }
}

export class FatalWay {
  readonly #target: URL
  readonly #marker: Buffer
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #armed = true

  /** @param marker - what the chosen call has in it */
  constructor(endpoint: string, marker: string) {
    this.#target = new URL(endpoint)
    this.#marker = Buffer.from(marker)
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Opens it; again, at the same place, after it broke. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#server = createServer((client) => this.#pass(client)).listen(this.#port, '127.0.0.1', () => {
        const address = this.#server?.address()
        if (typeof address === 'object' && address) this.#port = address.port
        resolve()
      })
    })
  }

  get broken(): boolean {
    return !this.#armed
  }

  close(): void {
    this.#server?.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(client: Socket): void {
    const etcd = connect(Number(this.#target.port), this.#target.hostname)
    for (const socket of [client, etcd]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        etcd.destroy()
      })
    }
    let chosen = 0
    const up = frames(
      PREFACE_BYTES,
      ({ type, stream, bytes }) => {
        if (this.#armed && type === TYPE.data && bytes.includes(this.#marker)) chosen = stream
        etcd.write(bytes)
      },
      (preface) => void etcd.write(preface),
    )
    const down = frames(0, ({ type, flags, stream, bytes }) => {
      // From the call on, streams other than its own are silent.
      if (chosen !== 0 && stream !== 0 && stream !== chosen) return
      client.write(bytes)
      if (chosen === 0 || stream !== chosen || type !== TYPE.headers || (flags & END_STREAM) === 0) return
      this.#armed = false
      this.#server?.close()
      // What was written goes out first.
      for (const socket of this.#sockets) socket.destroySoon()
    })
    client.on('data', up)
    etcd.on('data', down)
  }
}
