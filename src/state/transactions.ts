/**
 * What queries and writes can do with the tables: the types that everything above the state is written against.
 *
 * Every accessor of a ReadTx registers what it read, as finely as it can, so that the reading has the index of exactly
 * that and its watch fires for nothing else. Records are frozen and shared by all readers; a record that did not change
 * is the same object in the next reading. A transaction is usable only inside the function it was handed to.
 */
import type {
  CheckServiceNode,
  ConfigEntry,
  ConfigEntryKind,
  DirEntry,
  EntryOf,
  FederationState,
  HealthCheck,
  Node,
  NodeCoordinate,
  NodeService,
} from '#codec'
import type { AclReads, AclWrites } from './acl-accessors.ts'
import type { CAReads, CAWrites } from './ca-accessors.ts'
import type { OperatorReads, OperatorWrites } from './operator-accessors.ts'
import type { SessionReads, SessionWrites } from './session-accessors.ts'
import type { Watch } from './watches.ts'

export interface Reading<T> {
  readonly value: T
  /** The highest index that changed anything it read, at least 1. */
  readonly index: number
  readonly watch: Watch
}

/** An instance of a service and the node it is on. */
export interface ServiceInstance {
  readonly node: Node
  readonly service: NodeService
}

export interface NodesReader {
  /** Names are compared without regard to case. */
  get(name: string): Node | undefined
  byId(id: string): Node | undefined
  /** Sorted by name. */
  all(): readonly Node[]
}

/** Lists are sorted by node, then by service ID. */
export interface ServicesReader {
  ofNode(node: string): readonly NodeService[]
  get(node: string, id: string): NodeService | undefined
  named(name: string): readonly ServiceInstance[]
  /** `kind` '' are ordinary services. */
  ofKind(kind: string): readonly ServiceInstance[]
  /** Proxies whose destination is `name`, and its connect-native instances. */
  connectFor(name: string): readonly ServiceInstance[]
  all(): readonly ServiceInstance[]
  /** Names in order, each with the tags of its instances in the order they are first met; changes only with these. */
  names(): ReadonlyMap<string, readonly string[]>
}

/** Lists are sorted by node, then by check ID. */
export interface ChecksReader {
  get(node: string, checkId: string): HealthCheck | undefined
  ofNode(node: string): readonly HealthCheck[]
  ofService(name: string): readonly HealthCheck[]
  inState(state: string): readonly HealthCheck[]
  /** The checks of the service and those of its node. */
  forInstance(node: string, serviceId: string): readonly HealthCheck[]
}

/** A key or prefix where nothing is has an index too: that of the last deletion there. */
export interface KvReader {
  get(key: string): DirEntry | undefined
  /** Sorted by the bytes of the keys. */
  list(prefix: string): readonly DirEntry[]
  keys(prefix: string): readonly string[]
}

export interface CoordinatesReader {
  all(): readonly NodeCoordinate[]
  /** One per segment. */
  ofNode(node: string): readonly NodeCoordinate[]
}

export interface FederationStatesReader {
  get(datacenter: string): FederationState | undefined
  all(): readonly FederationState[]
}

/** Names are compared without regard to case; lists are sorted by kind, then by name. */
export interface ConfigEntriesReader {
  get<K extends ConfigEntryKind>(kind: K, name: string): EntryOf<K> | undefined
  ofKind<K extends ConfigEntryKind>(kind: K): readonly EntryOf<K>[]
  all(): readonly ConfigEntry[]
}

export interface ReadTx extends AclReads, CAReads, OperatorReads, SessionReads {
  readonly nodes: NodesReader
  readonly services: ServicesReader
  readonly checks: ChecksReader
  readonly kv: KvReader
  readonly coordinates: CoordinatesReader
  readonly federationStates: FederationStatesReader
  readonly configEntries: ConfigEntriesReader
  /** The health view of a service: fires on its instances, their nodes and their checks. `connect`: see connectFor(). */
  instances(name: string, options?: { readonly connect?: boolean }): readonly CheckServiceNode[]
}

/**
 * Reads see what the transaction wrote before. CreateIndex and ModifyIndex of what is put are ignored: the commit sets
 * them. Putting what is there already writes nothing and moves no index. Every put returns whether it changed anything,
 * every delete whether there was something.
 *
 * What a point read (`get`) saw must still hold when the transaction commits; else the work runs again.
 */
export interface WriteTx extends ReadTx, AclWrites, CAWrites, OperatorWrites, SessionWrites {
  /** What records that it wrote show as their index until it is committed: `index` of the Written takes its place. */
  readonly pendingIndex: number
  /** A node whose ID another name has is that node renamed: the old one goes with all that is on it. */
  putNode(node: Node): boolean
  /** With its services, checks and coordinates; its sessions end. */
  deleteNode(name: string): boolean
  /** Its checks take over its name and tags. @throws STATE_MISSING_NODE */
  putService(node: string, service: NodeService): boolean
  /** With its checks; sessions that depend on these end. */
  deleteService(node: string, id: string): boolean
  /**
   * Takes name and tags from its service. Sessions that depend on it end when it turns critical.
   *
   * @throws STATE_MISSING_NODE, STATE_MISSING_SERVICE
   */
  putCheck(check: HealthCheck): boolean
  /** Sessions that depend on it end. */
  deleteCheck(node: string, checkId: string): boolean
  putKv(entry: DirEntry): boolean
  deleteKv(key: string): boolean
  /** Everything below a prefix; more than one transaction holds is deleted in several. */
  deleteKvTree(prefix: string): boolean
  /** @throws STATE_MISSING_NODE */
  putCoordinate(coordinate: NodeCoordinate): boolean
  putFederationState(state: FederationState): boolean
  deleteFederationState(datacenter: string): boolean
  putConfigEntry(entry: ConfigEntry): boolean
  deleteConfigEntry(kind: ConfigEntryKind, name: string): boolean
}
