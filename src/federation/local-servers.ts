/**
 * Calls to the other servers of our own datacenter, directly at their server ports: for the little that only one of them
 * can answer. By mutual TLS where we have a certificate, and with the name checked where that is configured.
 */
import type { Duplex } from 'node:stream'
import { type Clock, type Metrics, parseHostPort } from '#base'
import { dialTcp, dialTls, FIRST_BYTE, RpcConnectionPool, type TlsIdentity } from '#net'
import { federationError } from './errors.ts'

export interface LocalServersOptions {
  readonly datacenter: string
  readonly domain: string
  /** Whether a server's certificate must be for a server of this datacenter (`verify_server_hostname`), as it is now. */
  readonly verifyName: () => boolean
}

export interface LocalServersModules {
  /** Undefined while no certificate is configured: then calls are not encrypted. */
  readonly identity: () => TlsIdentity | undefined
  readonly clock: Clock
  readonly metrics: Metrics
}

export interface LocalCall {
  /** "ip:port" of the server port. */
  readonly address: string
  readonly node: string
  readonly method: string
  readonly body: Buffer
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export class LocalServers {
  readonly #options: LocalServersOptions
  readonly #modules: LocalServersModules
  readonly #pool: RpcConnectionPool

  constructor(options: LocalServersOptions, modules: LocalServersModules) {
    this.#options = options
    this.#modules = modules
    const { clock, metrics } = modules
    this.#pool = new RpcConnectionPool({
      dial: (target, alpn, signal) => this.#dial(target.address ?? '', alpn, signal),
      clock,
      metrics,
    })
  }

  /** @throws RPC_REMOTE with the server's text, LOCAL_SERVER_ADDRESS, DIAL_…, RPC_… */
  call({ address, node, ...rest }: LocalCall): Promise<Buffer> {
    return this.#pool.call({ target: { datacenter: this.#options.datacenter, node, address }, ...rest })
  }

  close(): void {
    this.#pool.close()
  }

  async #dial(address: string, alpn: string, signal: AbortSignal): Promise<Duplex> {
    const at = parseHostPort(address, 0)
    if (!at || at.port === 0) throw federationError('LOCAL_SERVER_ADDRESS', { address })
    const identity = this.#modules.identity()
    if (identity && identity.caPem.trim() !== '') {
      const servername = `server.${this.#options.datacenter}.${this.#options.domain}`
      const verifyName = this.#options.verifyName() ? servername : undefined
      return dialTls({ ...at, servername, verifyName, alpn, identity, signal })
    }
    const socket = await dialTcp({ ...at, signal })
    socket.write(Buffer.from([FIRST_BYTE.multiplex]))
    return socket
  }
}
