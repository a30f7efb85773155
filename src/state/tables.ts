/**
 * All tables of a datacenter, and what a change in one means for what is read through another.
 *
 * An instance is read with its node and its checks, so a change of these touches its lists. Applying is one pass over
 * a batch; who waits is told afterwards, from the topics that were collected.
 */
import type {
  ACLAuthMethod,
  ACLBindingRule,
  ACLPolicy,
  ACLRole,
  ACLToken,
  AutopilotConfig,
  CheckServiceNode,
  ConfigEntry,
  DirEntry,
  FederationState,
  HealthCheck,
  Json,
  Node,
  NodeCoordinate,
  NodeService,
  Session,
} from '#codec'
import { type Change, META_PREFIX, type StoredRecord } from '#store'
import {
  type ACLBootstrap,
  aclAuthMethodsTable,
  aclBindingRulesTable,
  aclMetaTable,
  aclPoliciesTable,
  aclRolesTable,
  aclTokensTable,
} from './acl-declarations.ts'
import { caAuthorityTable, caRootsTable, type StoredAuthority, type StoredRoots } from './ca-declarations.ts'
import {
  checksTable,
  configEntriesTable,
  coordinatesTable,
  federationStatesTable,
  instanceKey,
  kvPrefixSlot,
  kvTable,
  nodesTable,
  serviceKey,
  servicesTable,
} from './declarations.ts'
import { firstPart, orderOf } from './keys.ts'
import { autopilotTable } from './operator-declarations.ts'
import { decodeRecord, withoutIndexes } from './records.ts'
import { NAMES_TOPIC, ServiceNames } from './service-names.ts'
import {
  type LockDelay,
  lockDelaysTable,
  type SessionRenewal,
  sessionRenewalsTable,
  sessionsTable,
} from './session-declarations.ts'
import { Slots } from './slots.ts'
import { type Row, Table, type TableDeclaration, type Touch } from './table.ts'
import { prefixTopicId, type Topic } from './watches.ts'

/** Lists that show an instance with its node, and those that show it with its checks too. */
const WITH_NODE = ['name', 'kind', 'connect', 'health', 'connectHealth']
const WITH_CHECKS = ['health', 'connectHealth']

/** What one change does, for callers that need not know the records. */
interface Applier {
  load(key: string, record: StoredRecord): void
  prepare(key: string, change: Change, touch: Touch): () => void
  /** Says of each row that it changed when it was written. */
  settle(): void
  /** A record as the API shows it. */
  json(key: string, value: Uint8Array): Json
}

/** Instances that are read with a record, and the lists that show them so. */
interface Join<T> {
  affected(row: Row<T>): readonly Row<NodeService>[]
  readonly lists: readonly string[]
  changed?(old: Row<T> | undefined, next: Row<T> | undefined): void
}

export class Tables {
  /** Added to a revision to make an index. */
  readonly base: number
  readonly left = new Slots('left')
  readonly guards = new Slots('guard')
  readonly nodes: Table<Node>
  readonly services: Table<NodeService>
  readonly checks: Table<HealthCheck>
  readonly kv: Table<DirEntry>
  readonly coordinates: Table<NodeCoordinate>
  readonly federationStates: Table<FederationState>
  readonly aclTokens: Table<ACLToken>
  readonly aclPolicies: Table<ACLPolicy>
  readonly aclRoles: Table<ACLRole>
  readonly aclAuthMethods: Table<ACLAuthMethod>
  readonly aclBindingRules: Table<ACLBindingRule>
  readonly aclMeta: Table<ACLBootstrap>
  readonly configEntries: Table<ConfigEntry>
  readonly caRoots: Table<StoredRoots>
  readonly caAuthority: Table<StoredAuthority>
  readonly autopilot: Table<AutopilotConfig>
  readonly sessions: Table<Session>
  readonly sessionRenewals: Table<SessionRenewal>
  readonly lockDelays: Table<LockDelay>
  readonly names: ServiceNames
  /** Instances as they were last read with node and checks, until one of these changes. */
  readonly #instances = new Map<string, CheckServiceNode>()
  readonly #appliers = new Map<string, Applier>()

  constructor(base: number) {
    this.base = base
    this.services = this.#add(servicesTable, {
      affected: (row) => [row],
      lists: [],
      changed: (old, next) => this.names.suspect(old, next),
    })
    this.nodes = this.#add(nodesTable, { affected: ({ key }) => this.#onNode(key), lists: WITH_NODE })
    this.checks = this.#add(checksTable, { affected: (row) => this.#checked(row), lists: WITH_CHECKS })
    this.kv = this.#add(kvTable)
    this.coordinates = this.#add(coordinatesTable)
    this.federationStates = this.#add(federationStatesTable)
    this.aclTokens = this.#add(aclTokensTable)
    this.aclPolicies = this.#add(aclPoliciesTable)
    this.aclRoles = this.#add(aclRolesTable)
    this.aclAuthMethods = this.#add(aclAuthMethodsTable)
    this.aclBindingRules = this.#add(aclBindingRulesTable)
    this.aclMeta = this.#add(aclMetaTable)
    this.configEntries = this.#add(configEntriesTable)
    this.caRoots = this.#add(caRootsTable)
    this.caAuthority = this.#add(caAuthorityTable)
    this.autopilot = this.#add(autopilotTable)
    this.sessions = this.#add(sessionsTable)
    this.sessionRenewals = this.#add(sessionRenewalsTable)
    this.lockDelays = this.#add(lockDelaysTable)
    this.names = new ServiceNames(this.services)
  }

  #add<T extends object>(declaration: TableDeclaration<T>, join?: Join<T>): Table<T> {
    const forget = (row: Row<T>) => {
      for (const { key } of join?.affected(row) ?? []) this.#instances.delete(key)
    }
    const table = new Table(declaration, this.left, this.base, join && forget)
    const touchJoined = (row: Row<T>, touch: Touch) => {
      if (join === undefined || join.lists.length === 0) return
      const affected = join.affected(row)
      for (const instance of affected) this.services.touchLists(instance, touch, join.lists)
      if (join.lists === WITH_NODE && affected.length > 0) this.services.touchAll(touch)
    }
    const changed = (old: Row<T> | undefined, next: Row<T> | undefined, touch: Touch) => {
      for (const row of [old, next]) {
        if (row === undefined) continue
        table.touch(row, touch)
        touchJoined(row, touch)
      }
      if (old) table.leave(old, next, touch.revision)
    }
    this.#appliers.set(declaration.name, {
      load: (key, record) => {
        table.set(key, table.row(key, record.value, record.createRevision, record.modRevision))
      },
      prepare: (key, { value, createRevision, modRevision }, touch) => {
        const next = value === null ? undefined : table.row(key, value, createRevision, modRevision)
        return () => {
          const old = table.set(key, next)
          touch.touchPrefixes?.(table.name, key)
          join?.changed?.(old, next)
          changed(old, next, touch)
        }
      },
      settle: () => {
        for (const row of table.rows) {
          changed(undefined, row, { index: row.revision + this.base, revision: row.revision })
        }
      },
      json: (key, value) => {
        const { shape, name } = declaration
        return withoutIndexes(shape.toJson(decodeRecord(shape, name, key, value)))
      },
    })
    return table
  }

  #onNode(key: string): readonly Row<NodeService>[] {
    return [...(this.services.bucket('node', key) ?? [])]
  }

  #checked({ key, value }: Row<HealthCheck>): readonly Row<NodeService>[] {
    const node = firstPart(key)
    if (value.ServiceID === '') return this.#onNode(node)
    const row = this.services.get(serviceKey(node, value.ServiceID))
    return row ? [row] : []
  }

  /** Takes in one record of a load; settle() ends it. @throws STATE_RECORD_CORRUPT */
  load(record: StoredRecord): void {
    if (this.left.take(record.key, record.modRevision) || this.guards.take(record.key, record.modRevision)) return
    const { applier, key } = this.#find(record.key)
    applier?.load(key, record)
  }

  /** Whether a record could be taken in. @throws STATE_RECORD_CORRUPT */
  check(storedKey: string, value: Uint8Array): void {
    const { applier, key } = this.#find(storedKey)
    applier?.prepare(key, { key: storedKey, value, createRevision: 1, modRevision: 1 }, { index: 1, revision: 1 })
  }

  /** A stored record as the API shows it; undefined for what is in none of the tables. @throws STATE_RECORD_CORRUPT */
  json(storedKey: string, value: Uint8Array): Json | undefined {
    const { applier, key } = this.#find(storedKey)
    return applier?.json(key, value)
  }

  #find(storedKey: string): { applier: Applier | undefined; key: string } {
    const slash = storedKey.indexOf('/')
    return { applier: this.#appliers.get(storedKey.slice(0, slash)), key: storedKey.slice(slash + 1) }
  }

  /** After the last record: finds the index of every list, and of the list of services. */
  settle(): void {
    for (const applier of this.#appliers.values()) applier.settle()
    for (const row of this.services.rows) {
      const index = this.checks.slotIndex(`checks.node:${firstPart(row.key)}`)
      this.services.touchLists(row, { index, revision: index }, WITH_CHECKS)
      this.names.suspect(undefined, row)
    }
    // No later than the last change of any instance; when the list itself changed last is not stored.
    this.names.update(this.services.allTopic().index())
    this.names.raise(this.services.allTopic().index())
  }

  /** Decodes one change; what is returned applies it. @throws STATE_RECORD_CORRUPT */
  prepare(change: Change, touch: Touch): (() => void) | undefined {
    const { key: stored, modRevision } = change
    if (stored.startsWith(META_PREFIX)) {
      return () => void (this.left.take(stored, modRevision) || this.guards.take(stored, modRevision))
    }
    const { applier, key } = this.#find(stored)
    return applier?.prepare(key, change, touch)
  }

  /** After the last change of a batch. */
  finish(touch: Touch): void {
    if (this.names.update(touch.index)) touch.touched?.add(NAMES_TOPIC)
  }

  /** The topic of all entries whose keys begin with `prefix`. */
  kvPrefixTopic(prefix: string): Topic {
    const slot = kvPrefixSlot(prefix)
    return {
      id: prefixTopicId(this.kv.name, prefix),
      index: () => {
        let revision = this.left.revisionOf(slot)
        this.kv.rows.visit(orderOf(prefix), (row) => {
          revision = Math.max(revision, row.revision)
          return true
        })
        return revision === 0 ? 0 : revision + this.base
      },
    }
  }

  /** The checks of an instance: its node's, then its own. */
  checksOf(node: string, serviceId: string): readonly HealthCheck[] {
    const ofNode = this.checks.bucket('instance', instanceKey(node, ''))?.map((row) => row.value) ?? []
    if (serviceId === '') return ofNode
    return ofNode.concat(this.checks.bucket('instance', instanceKey(node, serviceId))?.map((row) => row.value) ?? [])
  }

  /** An instance with its node and its checks; the same object until one of them changes. */
  instance(row: Row<NodeService>): CheckServiceNode | undefined {
    const known = this.#instances.get(row.key)
    if (known) return known
    const nodeKey = firstPart(row.key)
    const node = this.nodes.get(nodeKey)?.value
    if (node === undefined) return undefined
    const checks = Object.freeze(this.checksOf(nodeKey, row.value.ID))
    const instance = Object.freeze({ Node: node, Service: row.value, Checks: checks })
    this.#instances.set(row.key, instance)
    return instance
  }
}
