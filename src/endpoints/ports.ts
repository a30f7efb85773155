/**
 * What operations need from parts that stand elsewhere: the way to other datacenters, gossip's keys and events, servers.
 *
 * federation/ implements Router, agent/ joins the rest together. Types only.
 */
import type { Duplex } from 'node:stream'
import type { AutopilotConfig, CAConfiguration, DatacenterMap, IssuedCert, RaftStats } from '#codec'
import type { KeyOperations } from '#gossip'

export interface StreamRequest {
  readonly datacenter: string
  /** What is spoken on it, by its ALPN name. */
  readonly protocol: 'consul/rpc-snapshot'
  readonly signal?: AbortSignal | undefined
}

export interface ForwardRequest {
  readonly datacenter: string
  /** As on the wire: `Catalog.ListNodes`. */
  readonly method: string
  /** The encoded arguments. */
  readonly body: Buffer
  /** How long the answer may take, waiting for changes included. */
  readonly timeoutMs: number
  /** Whether it changes nothing: it may be sent again when a connection breaks before the answer. */
  readonly repeatable?: boolean
  /** Ends the call with its caller. */
  readonly signal?: AbortSignal
}

/** The way to the servers of other datacenters. */
export interface Router {
  readonly datacenter: string
  readonly primaryDatacenter: string
  /**
   * Calls a server of another datacenter and gives the encoded reply.
   *
   * @throws HanseError RPC_REMOTE (of #net) when that server answered with an error: its text as it came, without a
   *   prefix, which endpoints add; NO_PATH_TO_DATACENTER when nobody knows the datacenter; DATACENTER_UNREACHABLE and
   *   others when its servers do not answer
   */
  forward(request: ForwardRequest): Promise<Buffer>
  /**
   * Opens a stream to a server of another datacenter. Each side may end its own half first.
   *
   * @throws NO_PATH_TO_DATACENTER, DATACENTER_UNREACHABLE and others, as forward()
   */
  open(request: StreamRequest): Promise<Duplex>
  /** Every known datacenter, our own included, nearest first. */
  datacenters(): readonly string[]
  /** Coordinates of the servers of every datacenter. */
  datacenterMaps(): readonly DatacenterMap[]
}

/** The gossip keys of both pools. `wan` is absent where there is no WAN pool. */
export interface KeyringPort {
  readonly lan: KeyOperations
  readonly wan?: KeyOperations
}

/** Where user events go out. */
export interface EventPort {
  /** @param payload - the encoded event, as it came */
  fire(name: string, payload: Buffer): Promise<void>
}

/** The certificate authority of this datacenter. */
export interface CAPort {
  sign(csr: string): Promise<IssuedCert>
  /** @returns PEM */
  signIntermediate(csr: string): Promise<string>
  configure(configuration: CAConfiguration): Promise<void>
}

/** A server of this datacenter, as the LAN pool knows it; none that has left. */
export interface DatacenterServer {
  /** The node's ID. */
  readonly id: string
  readonly name: string
  /** "ip:port" of its server port. */
  readonly address: string
  readonly status: 'none' | 'alive' | 'leaving' | 'left' | 'failed'
  readonly version: string
  readonly leader: boolean
  /** Whether the store counts on it. */
  readonly voter: boolean
  readonly meta: Readonly<Record<string, string>>
  /** Since when it is as it is, wall time in milliseconds, as far as this server has seen it. */
  readonly sinceWallMs: number
}

/** The servers of this datacenter, and who of them leads. */
export interface ServersPort {
  /** By name. */
  list(): Promise<readonly DatacenterServer[]>
  /** Whether this server leads. */
  readonly leading: boolean
  /** What a server says of itself; undefined where it does not answer in time. */
  stats(server: DatacenterServer): Promise<RaftStats | undefined>
  /** What this server says of itself. */
  ownStats(): RaftStats
  /** Takes a dead server out of pools and store. */
  remove(server: DatacenterServer): Promise<void>
  /** Calls one of them. @throws RPC_REMOTE, DIAL_… */
  call(server: DatacenterServer, method: string, body: Buffer): Promise<Buffer>
  /**
   * Has the leader do it, waiting a while for one to be elected.
   *
   * @throws NO_CLUSTER_LEADER; RPC_REMOTE with the leader's text
   */
  askLeader(method: string, body: Buffer, options: { timeoutMs: number; signal?: AbortSignal }): Promise<Buffer>
  /** Gives the lead up and stays out of it for a while. */
  standDown(holdOffMs: number): Promise<void>
  /** What is in force while nobody has set it: of the configuration file. */
  readonly autopilotDefaults: AutopilotConfig
}

/** How far behind what this server shows may be. */
export interface Freshness {
  /** Whether the datacenter has a leader. */
  knownLeader(): boolean
  /** Milliseconds since it was last known that nothing is missing here that was answered to anyone. */
  lastContactMs(): number
}

export interface Ports {
  /** Absent: nothing is known of servers; what only a leader can do is done here. */
  readonly servers?: ServersPort
  /** Absent: always fresh. */
  readonly freshness?: Freshness
  /** Where snapshots are kept while they are gathered or checked: it has to have room for all records. */
  readonly spoolDirectory?: string
  /** Absent where connect is disabled. */
  readonly ca?: CAPort
  readonly keyring: KeyringPort
  /** Absent: this server cannot fire events, and says so. */
  readonly events?: EventPort
  /** "ip:port" of the leader's server port; empty when there is none. */
  leaderAddress(): string
  /** "ip:port" of every server of the datacenter. */
  peers(): readonly string[]
}
