/**
 * Calls to other datacenters: which server, through which gateway, and what to say when there is none.
 *
 * Servers come from the WAN pool. A datacenter nobody ever heard of is "No path to datacenter"; one whose servers do not
 * answer is "Remote DC has no server currently reachable", with the gateways tried and how long it has been silent.
 * While a way is known to be shut, calls fail at once instead of waiting for a time-out each; probes find out when it
 * opens again.
 *
 * Source: RPC wire notes §7.
 */
import type { Duplex } from 'node:stream'
import { type Clock, codeOf, formatHostPort, type Metrics, type Random, shuffled } from '#base'
import { type DatacenterMap, EmptyReadRequest, encode, NodeCoordinate } from '#codec'
import type { ForwardRequest, Router, StreamRequest } from '#endpoints'
import { coordinateDistanceS, type GossipPool } from '#gossip'
import { type RpcConnectionPool, RpcRemoteError } from '#net'
import type { RemoteDialer } from './dialer.ts'
import { federationError } from './errors.ts'
import type { GatewayLocator } from './gateway-locator.ts'
import type { Reachability } from './reachability.ts'
import { asServer, type ServerMember } from './servers.ts'

/** Servers of one datacenter that one call tries. */
export const MAX_SERVERS_TRIED = 3

/** The server that answered is kept for so long; then another one may have its turn, so that load spreads again. */
export const REBALANCE_MS = 120_000

const LOST_PING_MS = 3_000
const PING = encode(EmptyReadRequest, EmptyReadRequest.of())

/** A probe tries even while the way is known to be shut. `node`: that server and no other. */
export type ProbeRequest = ForwardRequest & { readonly probe?: boolean; readonly node?: string }

export interface RouterModules {
  readonly wan: Pick<GossipPool, 'members' | 'coordinate' | 'coordinateOf'> | undefined
  readonly pool: RpcConnectionPool
  readonly dialer: RemoteDialer
  readonly locator: GatewayLocator
  readonly reachability: Reachability
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
}

export class WanRouter implements Router {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly #modules: RouterModules
  /** The server that answered, kept until it fails or has been kept for long. */
  readonly #preferred = new Map<string, { readonly node: string; readonly sinceMs: number }>()

  constructor(options: { datacenter: string; primaryDatacenter: string }, modules: RouterModules) {
    this.datacenter = options.datacenter
    this.primaryDatacenter = options.primaryDatacenter
    this.#modules = modules
  }

  /** Servers of the WAN pool by datacenter, those that left excepted. */
  servers(datacenter?: string): readonly ServerMember[] {
    const members = this.#modules.wan?.members() ?? []
    return members.flatMap((member) => {
      const server = member.status === 'left' ? undefined : asServer(member)
      return server && (datacenter === undefined || server.datacenter === datacenter) ? [server] : []
    })
  }

  /**
   * Gossip has lost a server. Gossip can err, so it is asked: where it does not answer, calls that wait for it end, and go
   * to another one where they may.
   */
  async lost({ datacenter, node }: Pick<ServerMember, 'datacenter' | 'node'>): Promise<void> {
    if (this.#preferred.get(datacenter)?.node === node) this.#preferred.delete(datacenter)
    const ping = { method: 'Status.Ping', body: PING, timeoutMs: LOST_PING_MS, probe: true }
    await this.forward({ datacenter, node, ...ping }).catch(() => undefined)
  }

  /** All datacenters, nearest first; our own is always among them. */
  datacenters(): readonly string[] {
    const names = new Set([this.datacenter, ...this.servers().map((server) => server.datacenter)])
    const distance = new Map([...names].map((name) => [name, this.#distance(name)]))
    return [...names].sort((a, b) => (distance.get(a) ?? 0) - (distance.get(b) ?? 0) || (a < b ? -1 : 1))
  }

  datacenterMaps(): readonly DatacenterMap[] {
    const wan = this.#modules.wan
    const names = [...new Set([this.datacenter, ...this.servers().map((server) => server.datacenter)])].sort()
    return names.map((name) => ({
      Datacenter: name,
      AreaID: 'wan',
      Coordinates: this.servers(name).flatMap((server) => {
        const coordinate = wan?.coordinateOf(`${server.node}.${name}`)
        return coordinate ? [NodeCoordinate.of({ Node: server.node, Coord: coordinate })] : []
      }),
    }))
  }

  async forward(request: ProbeRequest): Promise<Buffer> {
    const { datacenter } = request
    const { reachability, pool } = this.#modules
    const servers = this.#serversOf(request)
    if (servers.length === 0) throw this.#unreachable(datacenter)
    let last: unknown
    const attempts = this.#attempts(servers, request)
    let left = attempts.length
    for (const server of attempts) {
      left--
      try {
        const reply = await pool.call({
          target: { datacenter, node: server.node },
          method: request.method,
          body: request.body,
          timeoutMs: request.timeoutMs,
          ...(request.signal ? { signal: request.signal } : {}),
        })
        this.#answered(datacenter, server.node)
        return reply
      } catch (error) {
        if (request.signal?.aborted) throw error
        // The server answered: its own error is the answer.
        if (error instanceof RpcRemoteError) {
          this.#answered(datacenter, server.node)
          throw error
        }
        last = rootOf(error)
        if (this.#preferred.get(datacenter)?.node === server.node) this.#preferred.delete(datacenter)
        // A connection on which a ping is lost may be one that nothing comes back on: the next call dials anew.
        if (request.probe && codeOf(error) === 'RPC_TIMEOUT') pool.drop({ datacenter, node: server.node })
        if (!mayGoOn(error, request, servers.length)) break
      }
    }
    // One of several that does not answer says nothing of the datacenter.
    if (request.node === undefined && (left === 0 || servers.length === 1)) reachability.failed(datacenter, last)
    throw this.#unreachable(datacenter, last)
  }

  /** A stream is opened once; what it carries is not to be sent again by anyone but the asker. */
  async open({ datacenter, protocol, signal }: StreamRequest): Promise<Duplex> {
    const { reachability, dialer } = this.#modules
    let last: unknown
    for (const { node } of this.#serversOf({ datacenter }).slice(0, MAX_SERVERS_TRIED)) {
      try {
        return await dialer.dial({ datacenter, node }, protocol, signal, true)
      } catch (error) {
        if (signal?.aborted) throw error
        last = rootOf(error)
      }
    }
    reachability.failed(datacenter, last)
    throw this.#unreachable(datacenter, last)
  }

  /** Those that may answer, in the order to try. @throws NO_PATH_TO_DATACENTER, REMOTE_DC_UNREACHABLE */
  #serversOf(asked: Pick<ProbeRequest, 'datacenter' | 'probe' | 'node'>): readonly ServerMember[] {
    const { datacenter, probe, node } = asked
    const { reachability, metrics, locator } = this.#modules
    const servers = this.#inOrder(datacenter)
    if (servers.length === 0 && !(datacenter === this.primaryDatacenter && locator.of(datacenter).length > 0)) {
      throw federationError('NO_PATH_TO_DATACENTER', { datacenter })
    }
    if (servers.length === 0 || (!probe && reachability.shut(datacenter))) throw this.#unreachable(datacenter)
    metrics.count('consul.rpc.cross-dc', 1, { datacenter })
    return node === undefined ? servers : servers.filter((server) => server.node === node)
  }

  /** Servers in the order to try. A read whose one connection breaks, as its gateway dies, has one more attempt. */
  #attempts(servers: readonly ServerMember[], { repeatable }: ProbeRequest): readonly ServerMember[] {
    const [only] = servers
    if (repeatable && servers.length === 1 && only) return [only, only]
    return servers.slice(0, MAX_SERVERS_TRIED)
  }

  #answered(datacenter: string, node: string): void {
    const known = this.#preferred.get(datacenter)
    if (known?.node !== node) this.#preferred.set(datacenter, { node, sinceMs: this.#modules.clock.nowMs() })
    this.#modules.reachability.succeeded(datacenter)
  }

  #unreachable(datacenter: string, cause?: unknown): Error {
    const { locator, reachability, dialer } = this.#modules
    const gateways = locator.candidates(datacenter, {
      float: () => 0,
      int: () => 0,
      bytes: (length) => Buffer.alloc(length),
    })
    const reason = cause instanceof Error ? cause.message : (reachability.way(datacenter)?.lastError ?? '')
    return dialer.unreachable(
      datacenter,
      gateways.map(({ host, port }) => formatHostPort(host, port)),
      reason,
      cause,
    )
  }

  /** Those that gossip holds alive first, among them the one that answered last. */
  #inOrder(datacenter: string): readonly ServerMember[] {
    const kept = this.#preferred.get(datacenter)
    const fresh = kept && this.#modules.clock.nowMs() - kept.sinceMs < REBALANCE_MS
    if (kept && !fresh) this.#preferred.delete(datacenter)
    const preferred = fresh ? kept.node : undefined
    const rank = (server: ServerMember) => (server.status === 'alive' ? 0 : 2) - (server.node === preferred ? 1 : 0)
    return shuffled(this.servers(datacenter), this.#modules.random).sort((a, b) => rank(a) - rank(b))
  }

  #distance(datacenter: string): number {
    if (datacenter === this.datacenter) return -1
    const wan = this.#modules.wan
    const own = wan?.coordinate()
    const distances = this.servers(datacenter).flatMap((server) => {
      const coordinate = wan?.coordinateOf(`${server.node}.${datacenter}`)
      return own && coordinate ? [coordinateDistanceS(own, coordinate)] : []
    })
    distances.sort((a, b) => a - b)
    return distances[Math.floor(distances.length / 2)] ?? Number.MAX_VALUE
  }
}

/** How a call fails before anything of it was sent. */
const NEVER_LEFT =
  /^(REMOTE_DC_UNREACHABLE|DIAL_.*|YAMUX_GO_AWAY|YAMUX_REFUSED|YAMUX_SHUTDOWN|YAMUX_STREAMS|RPC_POOL_.*)$/

/** Whether another attempt has a chance and can change nothing twice: the call never left, or it changes nothing. */
function mayGoOn(error: unknown, { repeatable, probe }: ProbeRequest, servers: number): boolean {
  const code = codeOf(error) ?? ''
  if (NEVER_LEFT.test(code)) return servers > 1
  if (code === 'RPC_TIMEOUT') return probe === true
  return repeatable === true || probe === true
}

/** What the last gateway said, out of the error that sums up a dial. */
function rootOf(error: unknown): unknown {
  return codeOf(error) === 'REMOTE_DC_UNREACHABLE' && error instanceof Error && error.cause ? error.cause : error
}
