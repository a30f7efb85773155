/**
 * Connections to servers of other datacenters: TLS end to end, through the first mesh gateway that leads there.
 *
 * The gateway reads only the name in the ClientHello. Certificate and name are checked against the server behind it, so
 * a wrong or hostile gateway can refuse but not listen.
 *
 * Source: federation wire notes §4, RPC wire notes §2.
 */
import type { Duplex } from 'node:stream'
import { formatHostPort, type Random } from '#base'
import { dialTls, type TlsIdentity } from '#net'
import { federationError } from './errors.ts'
import type { GatewayLocator } from './gateway-locator.ts'
import type { Reachability } from './reachability.ts'

/** Gateways that one dial tries before it gives up. */
export const MAX_GATEWAYS_TRIED = 4
/** How long one gateway may take for TCP and TLS. */
export const DIAL_TIMEOUT_MS = 5_000

export interface RemoteServer {
  readonly datacenter: string
  /** "*": any server of that datacenter, for the first contact. */
  readonly node: string
}

export interface DialerModules {
  readonly locator: GatewayLocator
  readonly reachability: Reachability
  readonly random: Random
  /** Undefined while no certificate is configured. */
  readonly identity: () => TlsIdentity | undefined
}

export class RemoteDialer {
  readonly #options: { readonly domain: string; readonly primaryDatacenter: string }
  readonly #modules: DialerModules
  /**
   * Whether a server stands for its whole datacenter: then its silence is that of the datacenter. Set by who knows the
   * others.
   */
  isOnly: (server: RemoteServer) => boolean = () => true

  constructor(options: { domain: string; primaryDatacenter: string }, modules: DialerModules) {
    this.#options = options
    this.#modules = modules
  }

  serverName({ datacenter, node }: RemoteServer): string {
    const name = `server.${datacenter}.${this.#options.domain}`
    return node === '*' || node === '' ? name : `${node}.${name}`
  }

  /**
   * @param alpn - the protocol inside, e.g. "consul/rpc-multi"
   * @param halfOpen - whether each side may end its own half first
   * @throws REMOTE_DC_UNREACHABLE naming the gateways that were tried and what the last one said
   */
  async dial(server: RemoteServer, alpn: string, signal?: AbortSignal, halfOpen = false): Promise<Duplex> {
    const { locator, reachability, random, identity } = this.#modules
    const own = identity()
    if (!own) throw this.unreachable(server.datacenter, [], 'this server has no certificate configured')
    const gateways = locator.candidates(server.datacenter, random).slice(0, MAX_GATEWAYS_TRIED)
    const tried: string[] = []
    let last: unknown
    for (const { host, port } of gateways) {
      const address = formatHostPort(host, port)
      tried.push(address)
      try {
        const stream = await dialTls({
          host,
          port,
          servername: this.serverName(server),
          verifyName: this.serverName(server),
          alpn,
          identity: own,
          timeoutMs: DIAL_TIMEOUT_MS,
          allowHalfOpen: halfOpen,
          ...(signal ? { signal } : {}),
        })
        reachability.gatewayAnswered(address)
        return stream
      } catch (error) {
        if (signal?.aborted) throw error
        reachability.gatewayRefused(address, error)
        last = error
      }
    }
    const failure = this.unreachable(server.datacenter, tried, last instanceof Error ? last.message : '', last)
    if (this.isOnly(server)) reachability.failed(server.datacenter, last ?? failure)
    throw failure
  }

  unreachable(datacenter: string, gateways: readonly string[], reason: string, cause?: unknown): Error {
    return federationError(
      'REMOTE_DC_UNREACHABLE',
      {
        datacenter,
        primary: datacenter === this.#options.primaryDatacenter,
        gateways,
        silentMs: this.#modules.reachability.silentMs(datacenter),
        reason,
      },
      cause,
    )
  }
}
