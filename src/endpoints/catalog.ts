/**
 * Catalog.*: the reads of nodes and services. Writes stand in catalog-write.ts.
 */
import {
  DatacentersRequest,
  DCSpecificRequest,
  IndexedGatewayServices,
  IndexedNodeServiceList,
  IndexedNodeServices,
  IndexedNodes,
  IndexedServiceList,
  IndexedServiceNodes,
  IndexedServices,
  list,
  type Node,
  type NodeService,
  NodeServiceList,
  NodeServices,
  NodeSpecificRequest,
  ServiceNode,
  ServiceSpecificRequest,
  string,
  Weights,
} from '#codec'
import type { ReadTx, ServiceInstance } from '#state'
import { withCentralConfig } from './central-config.ts'
import { endpointError } from './errors.ts'
import { nodeFields, nodeServiceFields, serviceNodeFields } from './filter-fields.ts'
import { callOperation, readOperation } from './operation.ts'
import { type Kept, keep, type Rights } from './rights.ts'
import { filtered, hasMetadata, nearestFirst, tagTest } from './selection.ts'
import { seesInstance } from './visible.ts'

export { deregister, register } from './catalog-write.ts'

/** Every known datacenter, nearest first; also those that cannot be reached now. */
export const listDatacenters = callOperation({
  name: 'Catalog.ListDatacenters',
  args: DatacentersRequest,
  reply: list(string),
  scope: 'here',
  anyone: 'names of datacenters say nothing of what is in them',
  run: async ({ router }) => [...router.datacenters()],
})

export const listNodes = readOperation({
  name: 'Catalog.ListNodes',
  args: DCSpecificRequest,
  reply: IndexedNodes,
  scope: 'datacenter',
  query(tx, args, context) {
    const known = args.PeerName === '' ? tx.nodes.all() : []
    const nodes = known.filter(({ Meta }) => hasMetadata(args.NodeMetaFilters, Meta))
    const wanted = filtered(nodes, args.Filter, nodeFields)
    return IndexedNodes.of({ Nodes: nearestFirst(wanted, args.Source, context, ({ Node }) => Node) })
  },
  filter(reply, rights) {
    const { items: Nodes, filtered } = keep(reply.Nodes, ({ Node }) => rights.allows.nodeRead(Node))
    return { reply: { ...reply, Nodes }, filtered }
  },
})

/** Names of services, each with the tags of its instances. */
export const listServices = readOperation({
  name: 'Catalog.ListServices',
  args: DCSpecificRequest,
  reply: IndexedServices,
  scope: 'datacenter',
  query: (tx, args) => IndexedServices.of({ Services: Object.fromEntries(namesWithTags(tx, args)) }),
  filter(reply, { allows }) {
    const entries = Object.entries(reply.Services ?? {})
    const seen = entries.filter(([name]) => allows.serviceRead(name))
    return { reply: { ...reply, Services: Object.fromEntries(seen) }, filtered: seen.length < entries.length }
  },
})

function namesWithTags(tx: ReadTx, args: DCSpecificRequest): ReadonlyMap<string, readonly string[]> {
  const anyNode = args.NodeMetaFilters === null || Object.keys(args.NodeMetaFilters).length === 0
  if (anyNode && args.Filter === '') return tx.services.names()
  const instances = tx.services.all().filter(({ node }) => hasMetadata(args.NodeMetaFilters, node.Meta))
  const tags = new Map<string, Set<string>>()
  for (const { ServiceName, ServiceTags } of filtered(instances.map(serviceNodeOf), args.Filter, serviceNodeFields)) {
    const known = tags.get(ServiceName) ?? new Set()
    tags.set(ServiceName, known)
    for (const tag of ServiceTags ?? []) known.add(tag)
  }
  return new Map([...tags].map(([name, all]) => [name, [...all]]))
}

/** Names of services alone. */
export const serviceList = readOperation({
  name: 'Catalog.ServiceList',
  args: DCSpecificRequest,
  reply: IndexedServiceList,
  scope: 'datacenter',
  query: (tx) => IndexedServiceList.of({ Services: [...tx.services.names().keys()].map((Name) => ({ Name })) }),
  filter(reply, { allows }) {
    const { items: Services, filtered } = keep(reply.Services, ({ Name }) => allows.serviceRead(Name))
    return { reply: { ...reply, Services }, filtered }
  },
})

/** The instances of a service, or its mesh-capable ones. */
export const serviceNodes = readOperation({
  name: 'Catalog.ServiceNodes',
  args: ServiceSpecificRequest,
  reply: IndexedServiceNodes,
  scope: 'datacenter',
  check(args) {
    if (args.ServiceName === '' && args.ServiceAddress === '') {
      throw endpointError('INVALID_REQUEST', { text: 'Must provide service name' })
    }
  },
  query(tx, args, context) {
    const hasTags = tagTest(args)
    const instances = instancesFor(tx, args)
      .filter(({ node }) => hasMetadata(args.NodeMetaFilters, node.Meta))
      .filter(({ service }) => hasTags(service.Tags))
      .filter(({ node, service }) => args.ServiceAddress === '' || addressOf(node, service) === args.ServiceAddress)
    const shown = args.MergeCentralConfig
      ? instances.map(({ node, service }) => ({ node, service: withCentralConfig(tx, service) }))
      : instances
    const wanted = filtered(shown.map(serviceNodeOf), args.Filter, serviceNodeFields)
    return IndexedServiceNodes.of({ ServiceNodes: nearestFirst(wanted, args.Source, context, ({ Node }) => Node) })
  },
  filter(reply, rights, args) {
    const { items: ServiceNodes, filtered } = keep(
      reply.ServiceNodes,
      (one) =>
        seesInstance(rights, one.Node, one.ServiceName) &&
        (!args.Connect || rights.allows.serviceRead(args.ServiceName)),
    )
    return { reply: { ...reply, ServiceNodes }, filtered }
  },
})

function instancesFor(tx: ReadTx, args: ServiceSpecificRequest): readonly ServiceInstance[] {
  // Nothing comes from peers, and nothing is behind an ingress gateway: neither is served.
  if (args.Ingress || args.PeerName !== '') return []
  if (args.ServiceName === '') return tx.services.all()
  return args.Connect ? tx.services.connectFor(args.ServiceName) : tx.services.named(args.ServiceName)
}

const addressOf = (node: Node, service: NodeService): string =>
  service.Address === '' ? node.Address : service.Address

/** One instance with its node, flattened. */
function serviceNodeOf({ node, service }: ServiceInstance): ServiceNode {
  return ServiceNode.of({
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    Datacenter: node.Datacenter,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    ServiceKind: service.Kind,
    ServiceID: service.ID,
    ServiceName: service.Service,
    ServiceTags: service.Tags,
    ServiceAddress: service.Address,
    ServiceTaggedAddresses: service.TaggedAddresses,
    ServiceWeights: service.Weights ?? Weights.of(),
    ServiceMeta: service.Meta ?? {},
    ServicePort: service.Port,
    ServiceSocketPath: service.SocketPath,
    ServiceEnableTagOverride: service.EnableTagOverride,
    ServiceProxy: service.Proxy,
    ServiceConnect: service.Connect,
    ServiceLocality: service.Locality,
    PeerName: service.PeerName,
    CreateIndex: service.CreateIndex,
    ModifyIndex: service.ModifyIndex,
  })
}

/** What runs on a node, by service ID; null for an unknown node. */
export const nodeServices = readOperation({
  name: 'Catalog.NodeServices',
  args: NodeSpecificRequest,
  reply: IndexedNodeServices,
  scope: 'datacenter',
  check: requireNode,
  query(tx, args) {
    const found = servicesOn(tx, args)
    if (found === undefined) return IndexedNodeServices.of()
    const Services = Object.fromEntries(found.services.map((service) => [service.ID, service]))
    return IndexedNodeServices.of({ NodeServices: NodeServices.of({ Node: found.node, Services }) })
  },
  filter(reply, rights) {
    const found = reply.NodeServices
    if (found === null) return { reply, filtered: false }
    if (!rights.allows.nodeRead(found.Node?.Node ?? ''))
      return { reply: { ...reply, NodeServices: null }, filtered: true }
    const entries = Object.entries(found.Services ?? {})
    const seen = entries.filter(([, { Service }]) => rights.allows.serviceRead(Service))
    const NodeServices = { ...found, Services: Object.fromEntries(seen) }
    return { reply: { ...reply, NodeServices }, filtered: seen.length < entries.length }
  },
})

/** What runs on a node, as a list. */
export const nodeServiceList = readOperation({
  name: 'Catalog.NodeServiceList',
  args: NodeSpecificRequest,
  reply: IndexedNodeServiceList,
  scope: 'datacenter',
  check: requireNode,
  query(tx, args) {
    const found = servicesOn(tx, args)
    if (found === undefined) return IndexedNodeServiceList.of()
    const Services = args.MergeCentralConfig
      ? found.services.map((service) => withCentralConfig(tx, service))
      : found.services
    return IndexedNodeServiceList.of({ NodeServices: NodeServiceList.of({ Node: found.node, Services }) })
  },
  filter: visibleServiceList,
})

/** The links of an ingress or terminating gateway: none, because neither is served. */
export const gatewayServices = readOperation({
  name: 'Catalog.GatewayServices',
  args: ServiceSpecificRequest,
  reply: IndexedGatewayServices,
  scope: 'datacenter',
  check(args) {
    if (args.ServiceName === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide gateway name' })
  },
  query: () => IndexedGatewayServices.of({ Services: [] }),
  authorize: ({ ServiceName }, rights) =>
    rights.need(rights.allows.serviceRead(ServiceName), 'service:read', ServiceName),
})

function visibleServiceList(reply: IndexedNodeServiceList, rights: Rights): Kept<IndexedNodeServiceList> {
  const found = reply.NodeServices
  if (found.Node === null) return { reply, filtered: false }
  if (!rights.allows.nodeRead(found.Node.Node)) {
    return { reply: { ...reply, NodeServices: NodeServiceList.of() }, filtered: true }
  }
  const { items: Services, filtered } = keep(found.Services, ({ Service }) => rights.allows.serviceRead(Service))
  return { reply: { ...reply, NodeServices: { ...found, Services } }, filtered }
}

function requireNode(args: NodeSpecificRequest): void {
  if (args.Node === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide node' })
}

/** A node is found by its name, or else by its ID. */
function servicesOn(
  tx: ReadTx,
  args: NodeSpecificRequest,
): { node: Node; services: readonly NodeService[] } | undefined {
  const node = tx.nodes.get(args.Node) ?? tx.nodes.byId(args.Node)
  if (node === undefined || args.PeerName !== '') return undefined
  return { node, services: filtered(tx.services.ofNode(node.Node), args.Filter, nodeServiceFields) }
}
