/**
 * The accessors of a ReadTx over the tables. Each says what it reads to `see`, and then reads it.
 */

import type { ConfigEntry, ConfigEntryKind, DirEntry, EntryOf, NodeService } from '#codec'
import { aclReads } from './acl-accessors.ts'
import { caReads } from './ca-accessors.ts'
import { checkKey, configEntryKey, instanceKey, nodeKey, serviceKey } from './declarations.ts'
import { firstPart, foldCase, orderOf } from './keys.ts'
import { operatorReads } from './operator-accessors.ts'
import { sessionReads } from './session-accessors.ts'
import type { SortedRows } from './sorted-rows.ts'
import type { Row } from './table.ts'
import type { Tables } from './tables.ts'
import type { ReadTx, ServiceInstance } from './transactions.ts'
import type { Topic } from './watches.ts'

export interface ReadSource {
  /** The tables of this moment. @throws STATE_TRANSACTION_OVER */
  tables(): Tables
  see(topic: Topic): void
  /** A write is trying changes out: what is kept beside the tables does not show them. */
  readonly trying: boolean
}

type Rows<T> = SortedRows<Row<T>> | undefined

function values<T>(rows: Rows<T>): readonly T[] {
  return rows?.map((row) => row.value) ?? []
}

function withNodes(tables: Tables, rows: Rows<NodeService>): readonly ServiceInstance[] {
  return (
    rows?.map((row) => {
      const node = tables.nodes.get(firstPart(row.key))?.value
      return node && { node, service: row.value }
    }) ?? []
  )
}

export function createReads(source: ReadSource): ReadTx {
  return {
    nodes: nodesReads(source),
    services: servicesReads(source),
    checks: checksReads(source),
    kv: kvReads(source),
    coordinates: coordinatesReads(source),
    federationStates: federationStatesReads(source),
    ...aclReads(source),
    ...caReads(source),
    ...operatorReads(source),
    ...sessionReads(source),
    configEntries: configEntriesReads(source),
    instances(name, options) {
      const tables = source.tables()
      const index = options?.connect ? 'connectHealth' : 'health'
      source.see(tables.services.bucketTopic(index, foldCase(name)))
      return tables.services.bucket(index, foldCase(name))?.map((row) => tables.instance(row)) ?? []
    },
  }
}

function nodesReads(source: ReadSource): ReadTx['nodes'] {
  return {
    get(name) {
      const { nodes } = source.tables()
      const key = nodeKey(name)
      source.see(nodes.recordTopic(key))
      return nodes.get(key)?.value
    },
    byId(id) {
      const { nodes } = source.tables()
      source.see(nodes.bucketTopic('id', foldCase(id)))
      return values(nodes.bucket('id', foldCase(id)))[0]
    },
    all() {
      const { nodes } = source.tables()
      source.see(nodes.allTopic())
      return values(nodes.rows)
    },
  }
}

function servicesReads(source: ReadSource): ReadTx['services'] {
  const list = (index: string, value: string) => {
    const tables = source.tables()
    source.see(tables.services.bucketTopic(index, value))
    return withNodes(tables, tables.services.bucket(index, value))
  }
  return {
    ofNode(node) {
      const { services } = source.tables()
      source.see(services.bucketTopic('node', nodeKey(node)))
      return values(services.bucket('node', nodeKey(node)))
    },
    get(node, id) {
      const { services } = source.tables()
      const key = serviceKey(node, id)
      source.see(services.recordTopic(key))
      return services.get(key)?.value
    },
    named: (name) => list('name', foldCase(name)),
    ofKind: (kind) => list('kind', kind),
    connectFor: (name) => list('connect', foldCase(name)),
    all() {
      const tables = source.tables()
      source.see(tables.services.allTopic())
      return withNodes(tables, tables.services.rows)
    },
    names() {
      const { names } = source.tables()
      source.see(names.topic())
      return source.trying ? names.tryList() : names.list()
    },
  }
}

function checksReads(source: ReadSource): ReadTx['checks'] {
  const list = (index: string, value: string) => {
    const { checks } = source.tables()
    source.see(checks.bucketTopic(index, value))
    return values(checks.bucket(index, value))
  }
  return {
    get(node, checkId) {
      const { checks } = source.tables()
      const key = checkKey(node, checkId)
      source.see(checks.recordTopic(key))
      return checks.get(key)?.value
    },
    ofNode: (node) => list('node', nodeKey(node)),
    ofService: (name) => list('service', foldCase(name)),
    inState(state) {
      if (state !== 'any') return list('state', state)
      const { checks } = source.tables()
      source.see(checks.allTopic())
      return values(checks.rows)
    },
    forInstance(node, serviceId) {
      const tables = source.tables()
      source.see(tables.checks.bucketTopic('instance', instanceKey(node, '')))
      if (serviceId !== '') source.see(tables.checks.bucketTopic('instance', instanceKey(node, serviceId)))
      return tables.checksOf(node, serviceId)
    },
  }
}

function kvReads(source: ReadSource): ReadTx['kv'] {
  const below = <T>(prefix: string, make: (entry: DirEntry) => T): readonly T[] => {
    const tables = source.tables()
    source.see(tables.kvPrefixTopic(prefix))
    const out: T[] = []
    tables.kv.rows.visit(orderOf(prefix), (row) => {
      out.push(make(row.value))
      return true
    })
    return out
  }
  return {
    get(key) {
      const { kv } = source.tables()
      source.see(kv.recordTopic(key))
      return kv.get(key)?.value
    },
    list: (prefix) => below(prefix, (entry) => entry),
    keys: (prefix) => below(prefix, ({ Key }) => Key),
  }
}

function coordinatesReads(source: ReadSource): ReadTx['coordinates'] {
  return {
    all() {
      const { coordinates } = source.tables()
      source.see(coordinates.allTopic())
      return values(coordinates.rows)
    },
    ofNode(node) {
      const { coordinates } = source.tables()
      source.see(coordinates.bucketTopic('node', nodeKey(node)))
      return values(coordinates.bucket('node', nodeKey(node)))
    },
  }
}

function federationStatesReads(source: ReadSource): ReadTx['federationStates'] {
  return {
    get(datacenter) {
      const { federationStates } = source.tables()
      source.see(federationStates.recordTopic(datacenter))
      return federationStates.get(datacenter)?.value
    },
    all() {
      const { federationStates } = source.tables()
      source.see(federationStates.allTopic())
      return values(federationStates.rows)
    },
  }
}

function configEntriesReads(source: ReadSource): ReadTx['configEntries'] {
  return {
    get<K extends ConfigEntryKind>(kind: K, name: string) {
      const { configEntries } = source.tables()
      const key = configEntryKey(kind, name)
      source.see(configEntries.recordTopic(key))
      const entry = configEntries.get(key)?.value
      return entry && isOfKind(entry, kind) ? entry : undefined
    },
    ofKind<K extends ConfigEntryKind>(kind: K) {
      const { configEntries } = source.tables()
      source.see(configEntries.bucketTopic('kind', kind))
      return values(configEntries.bucket('kind', kind)).filter((entry) => isOfKind(entry, kind))
    },
    all() {
      const { configEntries } = source.tables()
      source.see(configEntries.allTopic())
      return values(configEntries.rows)
    },
  }
}

function isOfKind<K extends ConfigEntryKind>(entry: ConfigEntry, kind: K): entry is ConfigEntry & EntryOf<K> {
  return entry.Kind === kind
}
