/**
 * What operations need from parts that stand elsewhere: the way to other datacenters, gossip's keys and events, servers.
 *
 * federation/ implements Router, agent/ joins the rest together. Types only.
 */
import type { CAConfiguration, DatacenterMap, IssuedCert } from '#codec'
import type { KeyOperations } from '#gossip'

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

export interface Ports {
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
