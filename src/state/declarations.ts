/**
 * The tables: what each is called, the key and shape of its records, and how they can be found.
 *
 * A new table is one declaration here, and its accessors in reads.ts and write-tx.ts. What one record means for
 * others (a node for the instances on it) is in tables.ts.
 */
import {
  type ConfigEntry,
  ConnectProxyConfig,
  configEntryName,
  DirEntry,
  FederationState,
  HealthCheck,
  HealthCheckDefinition,
  Node,
  NodeCoordinate,
  NodeService,
  ServiceConnect,
} from '#codec'
import { configEntryShape } from './config-entry-record.ts'
import { firstPart, foldCase, joinKey, rawKey } from './keys.ts'
import { deepFreeze } from './records.ts'
import type { TableDeclaration } from './table.ts'

export const nodeKey = (name: string): string => joinKey('nodes', foldCase(name))
export const serviceKey = (node: string, id: string): string => joinKey('services', foldCase(node), id)
export const checkKey = (node: string, id: string): string => joinKey('checks', foldCase(node), id)
export const coordinateKey = (node: string, segment: string): string => joinKey('coordinates', foldCase(node), segment)

export const nodesTable: TableDeclaration<Node> = {
  name: 'nodes',
  shape: Node,
  fits: (node, key) => foldCase(node.Node) === key,
  indexes: {
    id: { of: ({ ID }) => (ID === '' ? [] : [foldCase(ID)]) },
  },
}

const NO_PROXY = deepFreeze(ConnectProxyConfig.of())
const NO_CONNECT = deepFreeze(ServiceConnect.of())
const NO_DEFINITION = deepFreeze(HealthCheckDefinition.of())

/** The service that `service` is a way into: a proxy's destination, itself where it speaks mTLS on its own. */
function connectTarget(service: NodeService): readonly string[] {
  if (service.Kind === 'connect-proxy') return [foldCase(service.Proxy.DestinationServiceName)]
  return service.Connect.Native ? [foldCase(service.Service)] : []
}

export const servicesTable: TableDeclaration<NodeService> = {
  name: 'services',
  shape: NodeService,
  fits: (service, key) => rawKey(firstPart(key), service.ID) === key,
  indexes: {
    node: { of: (_, key) => [firstPart(key)] },
    // Instances and their nodes.
    name: { of: ({ Service }) => [foldCase(Service)] },
    kind: { of: ({ Kind }) => [Kind] },
    connect: { of: connectTarget },
    // The same with their checks.
    health: { of: ({ Service }) => [foldCase(Service)], slot: (name) => `services.name:${name}` },
    connectHealth: { of: connectTarget, slot: (name) => `services.connect:${name}` },
  },
  slots: (key) => [`services.node:${firstPart(key)}`],
  compact: (service) => ({
    ...service,
    Proxy: ConnectProxyConfig.isEmpty(service.Proxy) ? NO_PROXY : service.Proxy,
    Connect: ServiceConnect.isEmpty(service.Connect) ? NO_CONNECT : service.Connect,
  }),
}

/** The checks of one instance; with an empty ID those of the node itself. */
export const instanceKey = (node: string, serviceId: string): string => joinKey('checks', foldCase(node), serviceId)

export const checksTable: TableDeclaration<HealthCheck> = {
  name: 'checks',
  shape: HealthCheck,
  fits: (check, key) => rawKey(foldCase(check.Node), check.CheckID) === key,
  indexes: {
    node: { of: (_, key) => [firstPart(key)] },
    instance: {
      of: ({ ServiceID }, key) => [rawKey(firstPart(key), ServiceID)],
      slot: (instance) => `checks.node:${firstPart(instance)}`,
    },
    service: { of: ({ ServiceName }) => (ServiceName === '' ? [] : [foldCase(ServiceName)]) },
    state: { of: ({ Status }) => [Status] },
  },
  slots: (key) => [`checks.node:${firstPart(key)}`],
  compact: (check) => ({
    ...check,
    Definition: HealthCheckDefinition.isEmpty(check.Definition) ? NO_DEFINITION : check.Definition,
  }),
}

/** Levels of directories whose deletions are kept apart; deeper ones share. Each costs a key per deletion. */
const KV_SLOT_DEPTH = 3

/** The slot that keeps the index of deletions below a prefix: that of the deepest directory that holds all of it. */
export function kvPrefixSlot(prefix: string): string {
  let end = 0
  for (let depth = 1; depth < KV_SLOT_DEPTH; depth++) {
    const next = prefix.indexOf('/', end)
    if (next === -1) break
    end = next + 1
  }
  return `kv.dir:${prefix.slice(0, end)}`
}

function kvSlots(key: string): readonly string[] {
  const slots = [`kv/${key}`, 'kv.dir:']
  let end = 0
  for (let depth = 1; depth < KV_SLOT_DEPTH; depth++) {
    const next = key.indexOf('/', end)
    if (next === -1) break
    end = next + 1
    slots.push(`kv.dir:${key.slice(0, end)}`)
  }
  return slots
}

export const kvTable: TableDeclaration<DirEntry> = {
  name: 'kv',
  shape: DirEntry,
  fits: (entry, key) => entry.Key === key,
  // A key that loses its lock or goes leaves its index in the slot of the table, which costs no further key.
  indexes: { session: { of: ({ Session }) => (Session === '' ? [] : [foldCase(Session)]), slot: () => 'kv' } },
  slots: kvSlots,
  // A copy: the bytes as decoded hold on to the message they came in.
  compact: (entry) => ({ ...entry, Value: entry.Value === null ? null : Buffer.from(entry.Value) }),
}

export const coordinatesTable: TableDeclaration<NodeCoordinate> = {
  name: 'coordinates',
  shape: NodeCoordinate,
  fits: (coordinate, key) => rawKey(foldCase(coordinate.Node), coordinate.Segment) === key,
  indexes: {
    node: { of: (_, key) => [firstPart(key)] },
  },
}

export const federationStatesTable: TableDeclaration<FederationState> = {
  name: 'federation-states',
  shape: FederationState,
  fits: (state, key) => state.Datacenter === key,
  indexes: {},
}

/** Names of entries are those of services, which are compared without regard to case. */
export const configEntryKey = (kind: string, name: string): string => joinKey('config-entries', kind, foldCase(name))

export const configEntriesTable: TableDeclaration<ConfigEntry> = {
  name: 'config-entries',
  shape: configEntryShape,
  fits: (entry, key) => rawKey(entry.Kind, foldCase(configEntryName(entry))) === key,
  indexes: {
    kind: { of: ({ Kind }) => [Kind] },
  },
}
