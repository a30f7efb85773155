/**
 * What the rest of Hanse sees of gossip: pools, members, events, options. Types only.
 *
 * A pool lives in the gossip thread; the main thread holds a mirror of its members and sends it requests.
 */
import type { Duplex } from 'node:stream'
import type { Logger, Metrics } from '#base'
import type { Coordinate } from './coordinates.ts'
import type { GossipTiming, TimingProfile } from './timing.ts'

export type PoolName = 'lan' | 'wan'
export type MemberStatus = 'none' | 'alive' | 'leaving' | 'left' | 'failed'

export interface Member {
  readonly name: string
  /** IP address, without port. */
  readonly address: string
  readonly port: number
  readonly tags: Readonly<Record<string, string>>
  readonly status: MemberStatus
  readonly protocolMin: number
  readonly protocolMax: number
  readonly protocolCur: number
  readonly delegateMin: number
  readonly delegateMax: number
  readonly delegateCur: number
}

export type MemberEventType = 'member-join' | 'member-leave' | 'member-failed' | 'member-update' | 'member-reap'

/**
 * What kept two nodes apart:
 * - `encryption-key`: both encrypt, with different keys
 * - `encryption-missing-here` / `encryption-missing-there`: only the other side encrypts / only we do
 * - `datacenter-name`: another server claims a WAN name of our datacenter
 * - `wrong-datacenter`: a LAN join with a node of another datacenter
 * - `another-ca`: a LAN join with a server that trusts none of the CAs that we trust
 * - `not-a-server`: a WAN member without a server's tags
 * - `node-id`: two LAN nodes with one node ID, or one name at two addresses
 */
export type MismatchKind =
  | 'encryption-key'
  | 'encryption-missing-here'
  | 'encryption-missing-there'
  | 'datacenter-name'
  | 'wrong-datacenter'
  | 'another-ca'
  | 'not-a-server'
  | 'node-id'

export interface MismatchEvent {
  readonly type: 'mismatch'
  readonly kind: MismatchKind
  readonly node?: string
  readonly address?: string
  readonly detail: string
}

export interface MemberEvent {
  readonly type: MemberEventType
  readonly members: readonly Member[]
}

export interface UserEvent {
  readonly type: 'user'
  readonly name: string
  readonly payload: Buffer
  readonly ltime: number
  readonly coalesce: boolean
}

export interface QueryEvent {
  readonly type: 'query'
  readonly name: string
  readonly payload: Buffer
  readonly ltime: number
  readonly from: string
}

export type GossipEvent =
  | MemberEvent
  | UserEvent
  /** `respond` answers the asker; at most once, at most 1024 bytes encoded. */
  | (QueryEvent & { respond(payload: Buffer): void })
  | MismatchEvent

export interface KeyringResult {
  /** Node → what it said, where it said something. */
  readonly messages: Readonly<Record<string, string>>
  /** Base64 key → number of nodes that hold it. */
  readonly keys: Readonly<Record<string, number>>
  readonly primaryKeys: Readonly<Record<string, number>>
  readonly numNodes: number
  readonly numResponses: number
  /** Set when fewer nodes than expected reported success. */
  readonly error?: string
}

export interface KeyOperations {
  list(options?: { relayFactor?: number }): Promise<KeyringResult>
  /** @param key - base64 of 16, 24 or 32 bytes */
  install(key: string, options?: { relayFactor?: number }): Promise<KeyringResult>
  use(key: string, options?: { relayFactor?: number }): Promise<KeyringResult>
  remove(key: string, options?: { relayFactor?: number }): Promise<KeyringResult>
}

export interface QueryOptions {
  readonly filterNodes?: readonly string[]
  /** Tag name → regular expression (unanchored). */
  readonly filterTags?: Readonly<Record<string, string>>
  readonly wantAck?: boolean
  /** Copies of each answer through other members, 0 to 5. */
  readonly relayFactor?: number
  readonly timeoutMs?: number
}

export interface QueryResult {
  readonly acks: readonly string[]
  readonly responses: readonly { readonly from: string; readonly payload: Buffer }[]
}

export interface JoinResult {
  readonly joined: number
  readonly errors: readonly string[]
}

export interface GossipPool {
  readonly name: PoolName
  readonly localName: string
  readonly bindAddress: string
  /** The port that was bound; also when 0 was asked for. */
  readonly port: number
  readonly encrypted: boolean
  /** A mirror kept on the main thread, ourselves included. */
  members(): readonly Member[]
  /**
   * @param addresses - "host", "host:port" or "name/host:port"; through gateways "*.dc1/192.0.2.2:8302"
   * @param options.ignoreOld - do not replay user events from before the join
   */
  join(addresses: readonly string[], options?: { ignoreOld?: boolean }): Promise<JoinResult>
  /** Says goodbye and waits until others know; the pool still answers until shutdown(). */
  leave(): Promise<void>
  /** @throws HanseError GOSSIP_UNKNOWN_NODE */
  forceLeave(name: string, options?: { prune?: boolean }): Promise<void>
  /** @throws HanseError GOSSIP_TAGS_TOO_LONG */
  setTags(tags: Readonly<Record<string, string>>): Promise<void>
  /** @throws HanseError GOSSIP_EVENT_TOO_LARGE */
  userEvent(name: string, payload: Buffer, coalesce: boolean): Promise<void>
  query(name: string, payload: Buffer, options?: QueryOptions): Promise<QueryResult>
  readonly keys: KeyOperations
  /** Our own network coordinate, at most a second old. */
  coordinate(): Coordinate
  /** The coordinate that a member last sent us. */
  coordinateOf(name: string): Coordinate | undefined
  stats(): Promise<Readonly<Record<string, string>>>
  /** Returns a function that removes the listener. */
  on(listener: (event: GossipEvent) => void): () => void
}

/** Carries WAN gossip between datacenters through mesh gateways; the main thread owns the certificates for it. */
export interface WanCarrier {
  /** Best effort, as a datagram. */
  sendPacket(node: string, datacenter: string, bytes: Uint8Array): void
  /** A stream for one exchange with that server; node "*" is any server of the datacenter. */
  exchange(node: string, datacenter: string): Promise<Duplex>
}

export interface PoolOptions {
  readonly bindAddress: string
  /** 0 picks a free one, the same for UDP and TCP. */
  readonly bindPort: number
  readonly advertiseAddress?: string
  readonly advertisePort?: number
  readonly tags: Readonly<Record<string, string>>
  /** Defaults to the pool's own profile. */
  readonly profile?: TimingProfile
  readonly timing?: Partial<GossipTiming>
}

export interface GossipOptions {
  readonly nodeName: string
  readonly datacenter: string
  readonly nodeId: string
  readonly lan: PoolOptions
  /** Servers only. The WAN name is `<nodeName>.<datacenter>`. */
  readonly wan?: PoolOptions & { readonly carrier?: WanCarrier }
  /** Base64 keys, primary first. A keyring file in `dataDir` takes precedence. Absent: no encryption. */
  readonly keyrings?: { readonly lan?: readonly string[]; readonly wan?: readonly string[] }
  /** Snapshots and keyrings are kept in `<dataDir>/serf/`. Absent: nothing is kept. */
  readonly dataDir?: string
  /** Keyrings are neither read from `dataDir` nor kept there: each start begins with `keyrings`. */
  readonly disableKeyringFile?: boolean
  readonly rejoinAfterLeave?: boolean
  readonly log?: Logger
  readonly metrics?: Metrics
}

export interface Gossip {
  readonly lan: GossipPool
  readonly wan?: GossipPool
  /** WAN bytes that arrived on the TLS port: exactly one datagram. */
  receiveWanPacket(bytes: Uint8Array): void
  /** A WAN stream that arrived on the TLS port; it is ended when the exchange is over. */
  acceptWanStream(stream: Duplex): void
  /** Resolves when the thread has ended: with undefined after shutdown(), else with the reason. Never rejects. */
  readonly ended: Promise<string | undefined>
  /** Closes sockets and ends the thread. Without leave() before it, others see us fail. */
  shutdown(): Promise<void>
}
