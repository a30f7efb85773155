/**
 * A WAN stream whose bytes the main thread carries: a Duplex on the gossip thread's side of the message port.
 */
import { Duplex } from 'node:stream'

export interface CarriedStreamPort {
  data(bytes: Uint8Array): void
  end(): void
  close(): void
}

export class CarriedStream extends Duplex {
  readonly #port: CarriedStreamPort

  constructor(port: CarriedStreamPort) {
    super()
    this.#port = port
    this.on('error', () => {})
  }

  /** Bytes that arrived. */
  receive(bytes: Uint8Array): void {
    if (!this.destroyed) this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  }

  /** The other side has ended. */
  receiveEnd(): void {
    if (!this.destroyed) this.push(null)
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#port.data(chunk)
    callback()
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#port.end()
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#port.close()
    callback(error)
  }
}
